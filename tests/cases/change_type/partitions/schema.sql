CREATE TABLE events (id bigint, at date NOT NULL, size int NOT NULL DEFAULT 0, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE events_24 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE events_25 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE INDEX events_size ON events (size);
CREATE INDEX ON events_25 (size, at) WHERE size > 5;
ALTER TABLE events ADD CHECK (size >= 0);
INSERT INTO events SELECT i, date '2024-01-01' + i % 700, i % 30 FROM generate_series(1, 400) AS i;
ANALYZE;
