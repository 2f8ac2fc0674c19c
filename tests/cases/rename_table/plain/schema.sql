CREATE TABLE users (
    id bigserial PRIMARY KEY,
    email text NOT NULL CONSTRAINT users_email_key UNIQUE,
    name text DEFAULT 'nobody',
    note text,
    low text GENERATED ALWAYS AS (lower(email)) STORED
);
CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint REFERENCES users ON DELETE CASCADE);
CREATE INDEX users_name_idx ON users (name);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.note := 'touched'; RETURN NEW; END $$;
CREATE TRIGGER users_touch BEFORE INSERT OR UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch();
CREATE VIEW named AS SELECT id, name FROM users WHERE name IS NOT NULL;
COMMENT ON TABLE users IS 'it''s who is here';
COMMENT ON COLUMN users.email IS 'how to reach them';
GRANT SELECT, INSERT ON users TO PUBLIC;
GRANT UPDATE (name) ON users TO pg_monitor WITH GRANT OPTION;
INSERT INTO users (email, name) SELECT 'U' || i, nullif('n' || i, 'n7') FROM generate_series(1, 500) AS i;
INSERT INTO orders SELECT i, i FROM generate_series(1, 100) AS i;
