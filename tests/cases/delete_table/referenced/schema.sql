CREATE TABLE users (id bigint PRIMARY KEY);
CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint REFERENCES users);
INSERT INTO users SELECT generate_series(1, 100);
INSERT INTO orders VALUES (1, 77);
