ALTER TABLE users ADD COLUMN upper_name text;
UPDATE users SET upper_name = upper(name) WHERE name IS NOT NULL;
CREATE INDEX users_upper_name_idx ON users (upper_name);
