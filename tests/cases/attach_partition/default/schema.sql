CREATE TABLE orders (id bigint NOT NULL, region varchar(10), total numeric) PARTITION BY LIST (region);
CREATE TABLE orders_eu PARTITION OF orders FOR VALUES IN ('de', 'fr');
CREATE TABLE orders_rest PARTITION OF orders DEFAULT;
INSERT INTO orders SELECT i, (ARRAY['de', 'fr', 'br', NULL])[1 + i % 4], i FROM generate_series(0, 999) AS i;
CREATE TABLE orders_us (LIKE orders);
INSERT INTO orders_us SELECT i, 'us', i FROM generate_series(1000, 1999) AS i;
