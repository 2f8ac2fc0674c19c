CREATE TABLE events (id bigint PRIMARY KEY, kind text) PARTITION BY RANGE (id);
CREATE TABLE events_low PARTITION OF events FOR VALUES FROM (0) TO (1000);
CREATE TABLE events_high PARTITION OF events FOR VALUES FROM (1000) TO (9000000000);
INSERT INTO events SELECT i, 'a' FROM generate_series(0, 1999) AS i;
CREATE TABLE notes (id bigint PRIMARY KEY, event bigint);
CREATE INDEX ON notes (event);
INSERT INTO notes SELECT i, i FROM generate_series(0, 1999) AS i;
