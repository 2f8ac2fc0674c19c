CREATE TABLE events (id bigint, kind text, note text) PARTITION BY RANGE (id);
CREATE TABLE events_low PARTITION OF events FOR VALUES FROM (0) TO (1000);
CREATE TABLE events_high PARTITION OF events FOR VALUES FROM (1000) TO (9000000000) PARTITION BY LIST (kind);
CREATE TABLE events_high_a PARTITION OF events_high FOR VALUES IN ('a');
CREATE TABLE events_high_rest PARTITION OF events_high DEFAULT;
INSERT INTO events SELECT i, (ARRAY['a', 'b'])[1 + i % 2] FROM generate_series(0, 1999) AS i;
