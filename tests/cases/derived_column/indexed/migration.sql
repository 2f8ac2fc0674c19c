ALTER TABLE users ADD COLUMN initial text;
UPDATE users SET initial = left(name, 1);
