-- concertina: allow no-online-form reason: the table is small and the shop is closed at night
ALTER TABLE users ADD COLUMN email_lower text GENERATED ALWAYS AS (lower(email)) STORED;
