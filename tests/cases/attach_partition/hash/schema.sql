CREATE TABLE h (id int NOT NULL, note text) PARTITION BY HASH (id);
CREATE TABLE h_0 PARTITION OF h FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE h_1 (LIKE h);
INSERT INTO h_1 SELECT i, 'n' FROM generate_series(0, 999) AS i WHERE satisfies_hash_partition('h'::regclass, 2, 1, i);
