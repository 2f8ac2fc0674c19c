ALTER TABLE events RENAME CONSTRAINT events_key TO events_id;
ALTER TABLE events RENAME CONSTRAINT positive TO above_zero;
