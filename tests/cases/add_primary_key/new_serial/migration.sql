ALTER TABLE users ADD COLUMN number bigserial PRIMARY KEY;
