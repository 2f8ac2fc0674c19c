CREATE SCHEMA "Odd Schema";
CREATE TABLE "Odd Schema"."Table ""x""" (
    "Id" int CONSTRAINT "Constraint Of 63 Bytes, Quoted; Mixed Case_____________________" PRIMARY KEY,
    "select" int CHECK ("select" > 0)
);
CREATE INDEX "Table ""x""_select_check" ON "Odd Schema"."Table ""x""" ("select");
INSERT INTO "Odd Schema"."Table ""x""" SELECT i, i FROM generate_series(1, 50) AS i;
