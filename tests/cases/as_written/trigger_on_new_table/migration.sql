CREATE TABLE notes (id int PRIMARY KEY, user_id bigint REFERENCES users (id), body text, changed timestamptz);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.changed := '2026-01-01'; RETURN NEW; END $$;
CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION touch();
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_notes ON notes USING (user_id = 1);
INSERT INTO notes (id, user_id, body) VALUES (1, 1, 'hello');
