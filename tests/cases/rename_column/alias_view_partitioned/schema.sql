CREATE TABLE events (id bigint, at date NOT NULL, sort int, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE events_2024 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE events_rest PARTITION OF events DEFAULT;
CREATE INDEX ON events (at, sort);
ALTER TABLE events ENABLE ROW LEVEL SECURITY;
CREATE POLICY not_low ON events USING (sort >= 0);
INSERT INTO events SELECT i, date '2024-01-01' + i, i % 7 FROM generate_series(1, 500) AS i;
