CREATE TABLE events (
    id bigint NOT NULL,
    kind text NOT NULL,
    amount int,
    note text,
    PRIMARY KEY (id)
) PARTITION BY RANGE (id);
CREATE TABLE events_low PARTITION OF events FOR VALUES FROM (0) TO (1000);
CREATE TABLE events_high PARTITION OF events FOR VALUES FROM (1000) TO (5000000) PARTITION BY RANGE (id);
CREATE TABLE events_high_1 PARTITION OF events_high FOR VALUES FROM (1000) TO (2000);
CREATE TABLE events_high_2 PARTITION OF events_high FOR VALUES FROM (2000) TO (5000000);
INSERT INTO events SELECT i, 'k' || i % 5, i % 100, CASE WHEN i % 3 = 0 THEN 'note ' || i END FROM generate_series(0, 2999) AS i;

CREATE INDEX events_kind_idx ON events (kind);
