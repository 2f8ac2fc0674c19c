CREATE TABLE counters (name text, n int);
INSERT INTO counters SELECT 'c' || i % 10, i FROM generate_series(1, 100) AS i;
