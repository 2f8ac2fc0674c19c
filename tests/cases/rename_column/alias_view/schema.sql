CREATE TABLE users (
    id serial PRIMARY KEY,
    email text NOT NULL UNIQUE,
    name text NOT NULL DEFAULT 'nobody' CHECK (name <> ''),
    note text,
    low text GENERATED ALWAYS AS (lower(name)) STORED
);
CREATE INDEX users_name ON users (name);
CREATE TABLE orders (id serial PRIMARY KEY, user_id int REFERENCES users ON DELETE CASCADE);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.note := 'touched'; RETURN NEW; END $$;
CREATE TRIGGER touch BEFORE INSERT OR UPDATE OF name ON users FOR EACH ROW EXECUTE FUNCTION touch();
CREATE VIEW named_users AS SELECT id, name FROM users WHERE name <> 'x';
GRANT SELECT (id, name), UPDATE (name) ON users TO pg_monitor;
GRANT INSERT ON users TO pg_read_all_data;
COMMENT ON TABLE users IS 'it''s people';
COMMENT ON COLUMN users.name IS 'as they say';
INSERT INTO users (email, name) SELECT 'u' || i, 'n' || i FROM generate_series(1, 500) AS i;
INSERT INTO orders (user_id) SELECT i FROM generate_series(1, 100) AS i;
