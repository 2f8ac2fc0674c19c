CREATE SCHEMA "Odd Schema";
CREATE TABLE "Odd Schema"."Table With A Name Of 63 Bytes, Quoted; Mixed Case______________" (
    "Id" int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    "select" text DEFAULT 'it''s "x" $concertina$',
    "Ünï" text UNIQUE,
    more int
);
GRANT SELECT ("Ünï", "Id"), INSERT ("select") ON "Odd Schema"."Table With A Name Of 63 Bytes, Quoted; Mixed Case______________" TO pg_monitor;
COMMENT ON COLUMN "Odd Schema"."Table With A Name Of 63 Bytes, Quoted; Mixed Case______________"."select" IS 'a "word" $concertina$ %I';
INSERT INTO "Odd Schema"."Table With A Name Of 63 Bytes, Quoted; Mixed Case______________" ("Ünï") SELECT 'ü' || i FROM generate_series(1, 300) AS i;
