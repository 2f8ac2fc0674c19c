CREATE TABLE users (id bigint PRIMARY KEY, email text, age int, legacy text);
INSERT INTO users SELECT i, 'u' || i, i % 90, 'l' || i FROM generate_series(1, 300) AS i;
CREATE VIEW adults AS SELECT id, email, legacy FROM users WHERE age >= 18;
CREATE VIEW adult_count AS SELECT count(*) AS n FROM adults;
COMMENT ON VIEW adults IS 'old';
GRANT SELECT ON adults TO PUBLIC;
CREATE FUNCTION "Grade"(age int) RETURNS text LANGUAGE sql AS 'SELECT CASE WHEN age > 17 THEN ''a'' ELSE ''b'' END';
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.email := lower(NEW.email); RETURN NEW; END $$;
CREATE TRIGGER touch BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch();
