CREATE TABLE buyers (id int, country text, PRIMARY KEY (id, country));
INSERT INTO buyers SELECT i, 'de' FROM generate_series(1, 60) AS i;
CREATE TABLE "Órders" (
    n int PRIMARY KEY,
    "The Number of the One Who Has Bought It In The Shop Of The Town" int,
    "land" text,
    CONSTRAINT "who Bought" FOREIGN KEY ("The Number of the One Who Has Bought It In The Shop Of The Town", "land")
        REFERENCES buyers (id, country) DEFERRABLE INITIALLY DEFERRED
);
INSERT INTO "Órders" SELECT i, CASE WHEN i % 9 > 0 THEN 1 + i % 60 END, 'de' FROM generate_series(1, 300) AS i;
ANALYZE;
