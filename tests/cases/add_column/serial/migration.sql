ALTER TABLE users ADD COLUMN number serial;
