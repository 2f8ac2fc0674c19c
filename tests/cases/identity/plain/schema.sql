CREATE TABLE orders (
    id bigint PRIMARY KEY,
    number int GENERATED ALWAYS AS IDENTITY (START 100 INCREMENT 5 CACHE 1)
);
INSERT INTO orders (id) SELECT generate_series(1, 200);
