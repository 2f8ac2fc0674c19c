CREATE INDEX events_kind_idx ON events (kind, amount);
CREATE INDEX ON events (lower(note)) WHERE amount > 10;
