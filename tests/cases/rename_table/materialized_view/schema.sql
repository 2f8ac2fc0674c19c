CREATE TABLE users (id bigint PRIMARY KEY, email text);
INSERT INTO users SELECT i, 'u' || i % 7 FROM generate_series(1, 300) AS i;
CREATE MATERIALIZED VIEW per_email AS SELECT email, count(*) AS n FROM users GROUP BY email;
CREATE UNIQUE INDEX ON per_email (email);
GRANT SELECT ON per_email TO PUBLIC;
