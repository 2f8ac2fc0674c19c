ALTER TABLE users ADD CONSTRAINT c CHECK (no_such_column > 0);
