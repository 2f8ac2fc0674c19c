CREATE TABLE users (id bigint PRIMARY KEY, age int CONSTRAINT users_age_check CHECK (age > 0));
CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint CONSTRAINT orders_user_fk REFERENCES users);
INSERT INTO users SELECT i, 1 + i % 90 FROM generate_series(1, 300) AS i;
INSERT INTO orders SELECT i, 1 + i % 300 FROM generate_series(1, 300) AS i;
