CREATE TABLE users (id bigserial PRIMARY KEY, email text);
INSERT INTO users (email) SELECT 'u' || i FROM generate_series(1, 100) AS i;
