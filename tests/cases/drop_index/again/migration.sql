DROP INDEX users_name_idx, users_age_idx;
ALTER TABLE users ADD COLUMN city text DEFAULT 'x';
CREATE INDEX users_name_idx ON users (lower(name), city);
CREATE INDEX IF NOT EXISTS users_age_idx ON users (age DESC);
COMMENT ON INDEX users_age_idx IS 'the new one';
