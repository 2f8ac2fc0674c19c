CREATE TABLE events (id bigint PRIMARY KEY, note text) PARTITION BY RANGE (id);
CREATE TABLE events_low PARTITION OF events FOR VALUES FROM (0) TO (1000);
INSERT INTO events SELECT i FROM generate_series(0, 999) AS i;
CREATE INDEX ON events (note);
