CREATE TABLE parts (
    code text PRIMARY KEY,
    made_of text REFERENCES parts ON UPDATE CASCADE ON DELETE SET NULL,
    stock int NOT NULL DEFAULT 0,
    old_writes int NOT NULL DEFAULT 0,
    new_writes int NOT NULL DEFAULT 0
);
CREATE TABLE orders (id bigint PRIMARY KEY, part text REFERENCES parts (code) ON UPDATE CASCADE);
INSERT INTO parts SELECT 'p' || i, CASE WHEN i > 9 THEN 'p' || i / 10 END FROM generate_series(1, 600) AS i;
INSERT INTO orders SELECT i, 'p' || i FROM generate_series(1, 600) AS i;
