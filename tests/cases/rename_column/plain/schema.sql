CREATE TABLE users (
    id bigint PRIMARY KEY,
    email text NOT NULL,
    name text,
    age int DEFAULT 18
);
CREATE INDEX users_name ON users (name);
INSERT INTO users SELECT i, 'u' || i || '@example.org', CASE WHEN i % 7 = 0 THEN NULL ELSE 'User ' || i END, i % 90
FROM generate_series(1, 2000) AS i;
