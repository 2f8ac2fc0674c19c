CREATE TABLE lines (body json, amount numeric);
INSERT INTO lines SELECT '{"a": 1}', i % 5 FROM generate_series(1, 900) AS i;
