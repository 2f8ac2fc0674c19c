CREATE TABLE tree (id bigint PRIMARY KEY, parent bigint REFERENCES tree);
INSERT INTO tree SELECT i, nullif(i / 2, 0) FROM generate_series(1, 100) AS i;
