CREATE TABLE settings (
    id bigint PRIMARY KEY,
    score boolean NOT NULL DEFAULT true,
    "Höchstwert" int
);
INSERT INTO settings SELECT i, i % 3 = 0, i FROM generate_series(1, 2000) AS i;
