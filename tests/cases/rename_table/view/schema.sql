CREATE TABLE users (id bigint PRIMARY KEY, email text, active boolean NOT NULL DEFAULT true);
CREATE VIEW active_users AS SELECT id, email FROM users WHERE active;
ALTER VIEW active_users ALTER COLUMN email SET DEFAULT 'none';
CREATE VIEW by_letter AS SELECT left(email, 1) AS letter, count(*) AS n FROM users GROUP BY 1;
CREATE FUNCTION add_letter() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO users (id, email) VALUES (NEW.n, NEW.letter); RETURN NEW; END $$;
CREATE TRIGGER add INSTEAD OF INSERT ON by_letter FOR EACH ROW EXECUTE FUNCTION add_letter();
GRANT SELECT ON active_users TO PUBLIC;
INSERT INTO users SELECT i, 'u' || i, i % 3 > 0 FROM generate_series(1, 300) AS i;
