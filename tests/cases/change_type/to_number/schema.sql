CREATE TABLE items (id bigint PRIMARY KEY, size text NOT NULL, label text);
CREATE INDEX ON items (size);
INSERT INTO items SELECT i, (i % 40)::text, 'l' || i FROM generate_series(1, 300) AS i;
ANALYZE items;
