ALTER INDEX users_age_idx RENAME TO users_by_age;
ALTER TRIGGER touch ON users RENAME TO users_touch;
ALTER RULE quiet ON users RENAME TO silent;
ALTER POLICY everybody ON users RENAME TO anybody;
ALTER TABLE users RENAME CONSTRAINT users_email_key TO one_email;
ALTER TABLE users RENAME CONSTRAINT grown_up TO adult;
ALTER TABLE users RENAME CONSTRAINT users_boss_fk TO has_boss;
