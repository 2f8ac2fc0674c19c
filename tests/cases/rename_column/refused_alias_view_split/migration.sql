ALTER TABLE users ALTER COLUMN age SET DEFAULT 0;
-- concertina:alias-view reason: four billion rows
ALTER TABLE users RENAME COLUMN name TO full_name;
