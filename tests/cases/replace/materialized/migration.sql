DROP MATERIALIZED VIEW ages;
-- concertina:allow no-online-form reason: ninety rows
CREATE MATERIALIZED VIEW ages AS SELECT age, count(*) AS n, max(id) AS last FROM users GROUP BY age;
CREATE UNIQUE INDEX ages_age ON ages (age);
