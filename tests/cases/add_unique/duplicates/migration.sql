ALTER TABLE users ADD CONSTRAINT users_age_key UNIQUE (age);
