CREATE SCHEMA "Odd Schema";
CREATE TABLE "Odd Schema"."Table With A Name Of 63 Bytes, Quoted; Mixed Case______________" (
    "Id" int GENERATED ALWAYS AS IDENTITY,
    "Column ""x"" Of 63 Bytes_________________________________________" text,
    "select" int NOT NULL DEFAULT 7,
    "Ünï" text
);
INSERT INTO "Odd Schema"."Table With A Name Of 63 Bytes, Quoted; Mixed Case______________" ("Column ""x"" Of 63 Bytes_________________________________________", "Ünï")
SELECT 'it''s ' || i, CASE WHEN i % 2 = 0 THEN 'ü' || i END FROM generate_series(1, 700) AS i;
