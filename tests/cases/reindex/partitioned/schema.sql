CREATE TABLE events (id bigint PRIMARY KEY, kind text) PARTITION BY RANGE (id);
CREATE TABLE events_low PARTITION OF events FOR VALUES FROM (0) TO (1000);
CREATE TABLE events_high PARTITION OF events FOR VALUES FROM (1000) TO (2000) PARTITION BY HASH (id);
CREATE TABLE events_high_0 PARTITION OF events_high FOR VALUES WITH (MODULUS 1, REMAINDER 0);
CREATE INDEX events_kind_idx ON events (kind);
INSERT INTO events SELECT i, 'k' || i FROM generate_series(0, 1999) AS i;
