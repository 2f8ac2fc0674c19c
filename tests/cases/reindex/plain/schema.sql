CREATE TABLE users (id bigint PRIMARY KEY, email text NOT NULL, age int);
CREATE UNIQUE INDEX users_email_idx ON users (lower(email)) WHERE age > 0;
CREATE INDEX users_age_idx ON users (age) INCLUDE (email);
INSERT INTO users SELECT i, 'u' || i, i % 90 FROM generate_series(0, 1999) AS i;
