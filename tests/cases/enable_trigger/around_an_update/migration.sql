ALTER TABLE users DISABLE TRIGGER USER;
-- concertina:keep-before-image
UPDATE users SET lower = email || lower(email) WHERE id <= 200;
-- concertina:keep-before-image
DELETE FROM users WHERE id > 290;
ALTER TABLE users ENABLE TRIGGER USER;
