CREATE TABLE rates (id int PRIMARY KEY, rate numeric(8,4));
INSERT INTO rates SELECT i, i / 7.0 FROM generate_series(1, 200) AS i;
ANALYZE;
