CREATE INDEX users_name_idx ON users (name);
CREATE UNIQUE INDEX ON users (email);
