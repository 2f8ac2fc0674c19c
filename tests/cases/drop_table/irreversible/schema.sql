CREATE TABLE log (at timestamptz, line text);
INSERT INTO log SELECT '2026-01-01', 'l' || i FROM generate_series(1, 100) AS i;
