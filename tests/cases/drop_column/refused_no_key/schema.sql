CREATE TABLE log (at timestamptz NOT NULL, line text, extra text);
INSERT INTO log SELECT '2026-01-01'::timestamptz + i * interval '1 minute', 'line ' || i, 'x' FROM generate_series(1, 100) AS i;
