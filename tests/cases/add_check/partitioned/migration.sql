ALTER TABLE events ADD CONSTRAINT events_amount_small CHECK (amount < 1000);
