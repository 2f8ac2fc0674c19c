CREATE TABLE visits (id bigint PRIMARY KEY, user_id bigint, at timestamptz);
CREATE INDEX visits_at_idx ON visits (at);
ALTER TABLE visits ADD CONSTRAINT visits_user_fk FOREIGN KEY (user_id) REFERENCES users (id);
CREATE UNIQUE INDEX ON visits (user_id, at);
