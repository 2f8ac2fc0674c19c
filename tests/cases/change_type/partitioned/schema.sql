CREATE TABLE events (id bigint, at date NOT NULL, kind varchar(8), PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2024-07-01');
CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM ('2024-07-01') TO ('2025-01-01');
INSERT INTO events SELECT i, date '2024-01-01' + i % 360, 'k' || i FROM generate_series(1, 900) AS i;
