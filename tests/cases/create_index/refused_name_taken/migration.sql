CREATE INDEX users_pkey ON users (name);
