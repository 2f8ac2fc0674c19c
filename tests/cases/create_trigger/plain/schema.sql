CREATE TABLE users (id bigint PRIMARY KEY, email text, n int NOT NULL DEFAULT 0);
INSERT INTO users (id, email) SELECT i, 'u' || i FROM generate_series(1, 300) AS i;
