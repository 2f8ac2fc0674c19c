ALTER TABLE events ADD UNIQUE (id, kind);
