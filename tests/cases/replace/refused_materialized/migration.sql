DROP MATERIALIZED VIEW ages;
CREATE MATERIALIZED VIEW ages AS SELECT age, count(*) AS n, max(id) AS last FROM users GROUP BY age;
CREATE UNIQUE INDEX ages_age ON ages (age);
