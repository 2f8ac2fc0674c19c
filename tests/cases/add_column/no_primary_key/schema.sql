CREATE TABLE log (at timestamptz NOT NULL, line text);
INSERT INTO log SELECT '2026-01-01'::timestamptz + i * interval '1 minute', 'line ' || i FROM generate_series(1, 1500) AS i;
