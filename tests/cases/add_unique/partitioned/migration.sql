ALTER TABLE events ADD CONSTRAINT events_id_kind_key UNIQUE (id, kind);
