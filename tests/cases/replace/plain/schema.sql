CREATE TABLE users (id bigint PRIMARY KEY, email text, age int);
INSERT INTO users SELECT i, 'u' || i, i % 90 FROM generate_series(1, 300) AS i;
CREATE VIEW adults AS SELECT id, email FROM users WHERE age >= 18;
CREATE VIEW adult_count AS SELECT count(*) AS n FROM adults;
COMMENT ON VIEW adults IS 'old';
GRANT SELECT ON adults TO PUBLIC;
