DROP TRIGGER users_touch ON users;
-- concertina:keep-before-image
UPDATE users SET lower = email || lower(email);
