CREATE TABLE users (id bigint PRIMARY KEY, age int);
INSERT INTO users SELECT i, i % 90 FROM generate_series(1, 300) AS i;
CREATE VIEW adults AS SELECT id, age FROM users WHERE age > 17;
CREATE VIEW "Count" AS SELECT count(*) AS n FROM adults;
CREATE MATERIALIZED VIEW kept AS SELECT n FROM "Count";
CREATE VIEW apart AS SELECT id FROM users;
