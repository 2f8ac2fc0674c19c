ALTER TABLE users ADD COLUMN active boolean NOT NULL DEFAULT true;
ALTER TABLE users ADD COLUMN tags text[] DEFAULT '{}'::text[], ADD COLUMN score numeric(5, 1) DEFAULT 1.0;
