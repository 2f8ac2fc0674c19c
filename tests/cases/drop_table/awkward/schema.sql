CREATE SCHEMA "Odd Schema";
CREATE TABLE "Odd Schema"."Table With A Name Of 63 Bytes, Quoted; Mixed Case______________" (
    "Id" int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    "select" text DEFAULT 'it''s',
    "Ünï" text UNIQUE
);
CREATE INDEX "Index ""x"" Of 63 Bytes__________________________________________" ON "Odd Schema"."Table With A Name Of 63 Bytes, Quoted; Mixed Case______________" ("select");
INSERT INTO "Odd Schema"."Table With A Name Of 63 Bytes, Quoted; Mixed Case______________" ("Ünï") SELECT 'ü' || i FROM generate_series(1, 700) AS i;
CREATE TABLE "Table With A Name Of 63 Bytes, Quoted; Mixed Case______________" ("Id" int);
