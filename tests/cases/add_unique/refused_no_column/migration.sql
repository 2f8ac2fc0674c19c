ALTER TABLE users ADD UNIQUE (no_such_column);
