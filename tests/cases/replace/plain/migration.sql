DROP VIEW adult_count;
DROP VIEW adults;
CREATE VIEW adults AS SELECT id, lower(email) AS email, age FROM users WHERE age >= 21;
GRANT SELECT ON adults TO pg_monitor;
CREATE VIEW adult_count AS SELECT count(*) AS n, max(age) AS oldest FROM adults;
