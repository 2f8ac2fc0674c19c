CREATE TABLE people (id bigint PRIMARY KEY, name text, secret text);
CREATE PUBLICATION names FOR TABLE people (id, name) WHERE (id > 0);
INSERT INTO people SELECT i, 'p' || i, 's' || i FROM generate_series(1, 300) AS i;
