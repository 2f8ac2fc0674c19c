CREATE TABLE users (
    id bigserial PRIMARY KEY,
    email text CONSTRAINT users_email_key UNIQUE,
    age int CONSTRAINT grown_up CHECK (age >= 18),
    boss bigint CONSTRAINT users_boss_fk REFERENCES users DEFERRABLE,
    note text
);
CREATE INDEX users_age_idx ON users (age);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.note := TG_NAME; RETURN NEW; END $$;
CREATE TRIGGER touch BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION touch();
CREATE RULE quiet AS ON DELETE TO users WHERE old.id < 0 DO INSTEAD NOTHING;
CREATE POLICY everybody ON users USING (true);
COMMENT ON CONSTRAINT grown_up ON users IS 'by law';
INSERT INTO users (email, age) SELECT 'u' || i, 18 + i % 50 FROM generate_series(1, 300) AS i;
