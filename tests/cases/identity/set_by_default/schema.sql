CREATE TABLE orders (id bigint PRIMARY KEY, number int GENERATED ALWAYS AS IDENTITY);
INSERT INTO orders (id) SELECT generate_series(1, 200);
