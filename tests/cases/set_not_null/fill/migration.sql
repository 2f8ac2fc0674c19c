-- concertina: fill name = 'unknown'
ALTER TABLE users ALTER COLUMN name SET NOT NULL;
