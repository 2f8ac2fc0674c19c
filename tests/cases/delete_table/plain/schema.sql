CREATE TABLE users (id bigint PRIMARY KEY, email text NOT NULL, age int);
CREATE TABLE notes (id bigint PRIMARY KEY, user_id bigint REFERENCES users ON DELETE CASCADE);
CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint REFERENCES users);
CREATE INDEX ON notes (user_id);
CREATE INDEX ON orders (user_id);
INSERT INTO users SELECT i, 'u' || i % 700, i % 90 FROM generate_series(1, 2000) AS i;
INSERT INTO notes SELECT i, i FROM generate_series(1, 2000) AS i;
INSERT INTO orders SELECT i, i FROM generate_series(1, 700) AS i;
