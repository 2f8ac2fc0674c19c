ALTER TABLE orders ATTACH PARTITION orders_us FOR VALUES IN ('us', 'ca');
