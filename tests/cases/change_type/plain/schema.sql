CREATE TABLE users (
    id bigint PRIMARY KEY,
    email varchar(20) NOT NULL DEFAULT 'nobody' UNIQUE,
    name text
);
CREATE INDEX users_email ON users (name, email) INCLUDE (id);
INSERT INTO users SELECT i, 'u' || i || '@example.org', 'User ' || i FROM generate_series(1, 2000) AS i;
