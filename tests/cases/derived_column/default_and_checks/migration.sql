ALTER TABLE users ADD COLUMN adult boolean DEFAULT false;
UPDATE users SET adult = true WHERE age >= 18;
ALTER TABLE users ALTER COLUMN adult SET NOT NULL;
ALTER TABLE users ADD CONSTRAINT adults_have_age CHECK (NOT adult OR age IS NOT NULL);
