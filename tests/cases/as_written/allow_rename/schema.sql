CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TABLE users (
    id bigint PRIMARY KEY,
    email text NOT NULL
);
INSERT INTO users SELECT i, 'u' || i || '@example.org' FROM generate_series(1, 2000) AS i;
