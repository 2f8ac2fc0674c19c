ALTER TABLE events ADD COLUMN label text;
UPDATE events SET label = kind || ':' || coalesce(amount, 0);
ALTER TABLE events ALTER COLUMN label SET NOT NULL;
