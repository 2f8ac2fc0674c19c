ALTER TABLE users ADD CONSTRAINT users_age_sane CHECK (age >= 0);
