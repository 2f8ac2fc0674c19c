CREATE TABLE users (id bigint PRIMARY KEY, email text NOT NULL);
CREATE TABLE sessions (
    id bigserial PRIMARY KEY,
    token text NOT NULL UNIQUE,
    seen timestamptz NOT NULL DEFAULT '2026-01-01 00:00:00+00',
    CONSTRAINT sessions_token_check CHECK (token <> '')
);
CREATE INDEX sessions_seen_idx ON sessions (seen);
COMMENT ON TABLE sessions IS 'who is here';
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.seen := '2026-02-02 00:00:00+00'; RETURN NEW; END $$;
CREATE TRIGGER sessions_touch BEFORE UPDATE ON sessions FOR EACH ROW EXECUTE FUNCTION touch();
INSERT INTO users SELECT i, 'u' || i FROM generate_series(1, 50) AS i;
INSERT INTO sessions (token) SELECT 't' || i FROM generate_series(1, 500) AS i;
