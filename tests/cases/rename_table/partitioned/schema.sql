CREATE TABLE events (
    id bigint NOT NULL,
    kind text NOT NULL DEFAULT 'plain',
    PRIMARY KEY (id)
) PARTITION BY RANGE (id);
CREATE INDEX events_kind_idx ON events (kind);
CREATE TABLE events_low PARTITION OF events FOR VALUES FROM (0) TO (1000);
CREATE TABLE events_high PARTITION OF events FOR VALUES FROM (1000) TO (100000000) PARTITION BY RANGE (id);
CREATE TABLE events_high_1 PARTITION OF events_high FOR VALUES FROM (1000) TO (100000000);
INSERT INTO events SELECT i, 'k' || i % 5 FROM generate_series(0, 1999) AS i;
