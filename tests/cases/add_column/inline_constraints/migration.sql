ALTER TABLE users
    ADD COLUMN team_id int REFERENCES teams (id) ON DELETE SET NULL,
    ADD COLUMN handle text UNIQUE,
    ADD COLUMN level int CHECK (level BETWEEN 0 AND 9);
