ALTER TABLE users ADD COLUMN rank bigint;
UPDATE users SET rank = (SELECT count(*) FROM users AS other WHERE other.id < users.id);
ALTER TABLE users ALTER COLUMN rank SET NOT NULL;
