CREATE TABLE events (id bigint PRIMARY KEY, kind text NOT NULL, at timestamptz NOT NULL DEFAULT '2020-01-01') PARTITION BY RANGE (id);
CREATE TABLE events_low PARTITION OF events FOR VALUES FROM (0) TO (1000);
CREATE TABLE events_high PARTITION OF events FOR VALUES FROM (1000) TO (5000000);
INSERT INTO events SELECT i, 'k' || i % 5, CASE WHEN i % 3 = 0 THEN '2020-01-01'::timestamptz ELSE now() + interval '1 year' END FROM generate_series(0, 2999) AS i;
