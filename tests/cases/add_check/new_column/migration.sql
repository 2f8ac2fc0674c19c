ALTER TABLE users ADD COLUMN level int DEFAULT 1;
ALTER TABLE users ADD CONSTRAINT level_small CHECK (level < 10);
