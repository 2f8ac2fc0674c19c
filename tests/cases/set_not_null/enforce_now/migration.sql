-- concertina: enforce-now reason: the writers were checked by hand
ALTER TABLE users ALTER COLUMN name SET NOT NULL;
