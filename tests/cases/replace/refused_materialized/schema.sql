CREATE TABLE users (id bigint PRIMARY KEY, age int);
INSERT INTO users SELECT i, i % 90 FROM generate_series(1, 300) AS i;
CREATE MATERIALIZED VIEW ages AS SELECT age, count(*) AS n FROM users GROUP BY age;
CREATE UNIQUE INDEX ages_age ON ages (age);
