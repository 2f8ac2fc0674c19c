CREATE TABLE users (id bigint PRIMARY KEY);
CREATE TABLE orders (
    id bigint PRIMARY KEY,
    user_id bigint NOT NULL CONSTRAINT orders_user_fk REFERENCES users ON DELETE CASCADE,
    parent bigint REFERENCES orders
);
CREATE TABLE lines (order_id bigint REFERENCES orders, n int, PRIMARY KEY (order_id, n));
INSERT INTO users SELECT generate_series(1, 100);
INSERT INTO orders SELECT i, 1 + i % 100, nullif(i - 1, 0) FROM generate_series(1, 400) AS i;
INSERT INTO lines SELECT i, 1 FROM generate_series(1, 400) AS i;
