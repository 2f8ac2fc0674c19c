-- concertina:alias-view reason: four billion rows
ALTER TABLE users RENAME COLUMN name TO full_name;
