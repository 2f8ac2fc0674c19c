CREATE TABLE users (id bigint PRIMARY KEY, email text, lower text, touched int NOT NULL DEFAULT 0, seen boolean);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.touched := NEW.touched + 1; RETURN NEW; END $$;
CREATE TRIGGER users_touch BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch();
INSERT INTO users (id, email) SELECT i, 'U' || i FROM generate_series(1, 300) AS i;
