DELETE FROM users WHERE id BETWEEN 701 AND 5000; -- only the first of each
ALTER TABLE users ADD CONSTRAINT users_email_key UNIQUE (email);
