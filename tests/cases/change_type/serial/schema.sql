CREATE TABLE logs (id serial UNIQUE, line text);
INSERT INTO logs (line) SELECT 'l' || i FROM generate_series(1, 300) AS i;
ANALYZE;
