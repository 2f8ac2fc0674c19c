CREATE TABLE users (id bigint PRIMARY KEY, age int);
CREATE TABLE notes (id bigint PRIMARY KEY, user_id bigint REFERENCES users ON DELETE SET NULL);
INSERT INTO users SELECT i, i % 90 FROM generate_series(1, 400) AS i;
INSERT INTO notes SELECT i, 1 + i % 400 FROM generate_series(1, 100) AS i;
