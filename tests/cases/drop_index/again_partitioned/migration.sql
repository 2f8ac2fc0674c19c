DROP INDEX events_kind_idx;
CREATE INDEX events_kind_idx ON events (kind, amount);
