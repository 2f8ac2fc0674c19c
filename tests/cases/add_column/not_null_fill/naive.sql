ALTER TABLE users ADD COLUMN country text;
UPDATE users SET country = 'CH';
ALTER TABLE users ALTER COLUMN country SET NOT NULL;
