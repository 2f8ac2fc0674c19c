CREATE TABLE users (id bigint PRIMARY KEY, email text, n int NOT NULL DEFAULT 0);
INSERT INTO users SELECT i, 'U' || i FROM generate_series(1, 300) AS i;
CREATE FUNCTION count_up() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.n := OLD.n + 1; RETURN NEW; END $$;
CREATE TRIGGER "Count" BEFORE UPDATE OF email ON users FOR EACH ROW EXECUTE FUNCTION count_up();
CREATE VIEW lowered AS SELECT id FROM users WHERE email = lower(email);
