CREATE TABLE orders (
    id bigint PRIMARY KEY,
    quantity int NOT NULL DEFAULT 1 CHECK (quantity > 0),
    note text
);
COMMENT ON COLUMN orders.quantity IS 'how many';
CREATE INDEX orders_quantity ON orders (quantity);
CREATE INDEX orders_doubled ON orders ((quantity * 2)) WHERE quantity > 10;
INSERT INTO orders SELECT i, 1 + i % 50, 'n' || i FROM generate_series(1, 500) AS i;
ANALYZE orders;
