CREATE TABLE users (id bigint PRIMARY KEY, age int, twice int GENERATED ALWAYS AS (age * 2) STORED);
INSERT INTO users SELECT i, i % 90 FROM generate_series(1, 300) AS i;
