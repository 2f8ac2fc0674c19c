CREATE TABLE codes (code varchar(8) PRIMARY KEY);
CREATE TABLE uses (id int PRIMARY KEY, code varchar(8) REFERENCES codes);
INSERT INTO codes SELECT 'c' || i FROM generate_series(1, 300) AS i;
INSERT INTO uses SELECT i, 'c' || i FROM generate_series(1, 300) AS i;
