CREATE TABLE ranks (id int PRIMARY KEY, "Hot rank" int NOT NULL DEFAULT 1728, seen int DEFAULT 0, kept int NOT NULL DEFAULT 5);
CREATE INDEX ON ranks ("Hot rank" DESC, id);
INSERT INTO ranks SELECT i, i, i, i FROM generate_series(1, 400) AS i;
