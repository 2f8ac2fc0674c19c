ALTER TABLE events ALTER size TYPE bigint;
