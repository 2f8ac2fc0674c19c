-- Totals become whole cents, and orders belong to products that exist.
ALTER TABLE orders ADD COLUMN total_cents bigint;
UPDATE orders SET total_cents = round(total * 100);
ALTER TABLE orders ALTER COLUMN total_cents SET NOT NULL;
ALTER TABLE orders ADD CHECK (total_cents >= 0);
CREATE INDEX orders_product_id_idx ON orders (product_id);
ALTER TABLE orders ADD FOREIGN KEY (product_id) REFERENCES products (id);
