CREATE TABLE notes (id int PRIMARY KEY, owner text NOT NULL, text text);
INSERT INTO notes SELECT i, 'u' || i % 3 FROM generate_series(0, 299) AS i;
CREATE POLICY own ON notes FOR SELECT USING (owner = current_user);
COMMENT ON POLICY own ON notes IS 'one''s own';
CREATE POLICY small ON notes AS RESTRICTIVE USING (id < 1000) WITH CHECK (id < 2000);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
