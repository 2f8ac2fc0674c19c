CREATE TABLE parents (id int PRIMARY KEY);
CREATE TABLE "Marked" (
    id int PRIMARY KEY,
    "No" int NOT NULL CONSTRAINT "Marked's key" UNIQUE,
    CONSTRAINT positive CHECK ("No" > 0),
    CONSTRAINT of_parent FOREIGN KEY ("No") REFERENCES parents
);
CREATE INDEX clustered ON "Marked" ("No", id);
ALTER TABLE "Marked" REPLICA IDENTITY USING INDEX "Marked's key";
ALTER TABLE "Marked" CLUSTER ON clustered;
COMMENT ON INDEX clustered IS 'it''s in order';
COMMENT ON INDEX "Marked's key" IS 'an index';
COMMENT ON CONSTRAINT "Marked's key" ON "Marked" IS 'a key $concertina$ %I';
COMMENT ON CONSTRAINT positive ON "Marked" IS 'a check';
COMMENT ON CONSTRAINT of_parent ON "Marked" IS 'a reference';
COMMENT ON COLUMN "Marked"."No" IS 'a column';
CREATE PUBLICATION of_marked FOR TABLE "Marked";
INSERT INTO parents SELECT i FROM generate_series(1, 1000) AS i;
INSERT INTO "Marked" SELECT i, i FROM generate_series(1, 300) AS i;
