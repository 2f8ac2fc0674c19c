CREATE TABLE events (
    id bigint CONSTRAINT events_key PRIMARY KEY,
    n int CONSTRAINT positive CHECK (n > 0)
) PARTITION BY RANGE (id);
CREATE TABLE events_low PARTITION OF events FOR VALUES FROM (0) TO (1000);
CREATE TABLE events_high PARTITION OF events FOR VALUES FROM (1000) TO (100000000);
INSERT INTO events SELECT i, 1 FROM generate_series(0, 1999) AS i;
