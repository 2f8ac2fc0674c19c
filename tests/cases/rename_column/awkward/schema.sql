DO $$ BEGIN CREATE ROLE "Reader of Columns"; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
CREATE SCHEMA "Odd Schema";
GRANT USAGE ON SCHEMA "Odd Schema" TO "Reader of Columns";
CREATE TYPE "Odd Schema"."Mood" AS ENUM ('sad', 'Column');
CREATE TABLE "Odd Schema"."Table With A Name Of 63 Bytes, Quoted; Mixed Case______________" (
    "Id" int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    "Column ""x"" Of 63 Bytes_________________________________________" varchar(90) COLLATE "C" DEFAULT 'it''s; $concertina$',
    "select" int NOT NULL DEFAULT 7,
    "Ünï" "Odd Schema"."Mood"
);
CREATE INDEX "Index ""x"" Of 63 Bytes__________________________________________"
    ON "Odd Schema"."Table With A Name Of 63 Bytes, Quoted; Mixed Case______________" ((lower("Column ""x"" Of 63 Bytes_________________________________________") || 'Column "x"'), "Column ""x"" Of 63 Bytes_________________________________________" varchar_pattern_ops DESC)
    INCLUDE ("Ünï") WHERE "Column ""x"" Of 63 Bytes_________________________________________" <> '"Column ""x"""';
COMMENT ON COLUMN "Odd Schema"."Table With A Name Of 63 Bytes, Quoted; Mixed Case______________"."Column ""x"" Of 63 Bytes_________________________________________" IS 'said of it';
GRANT SELECT ("Column ""x"" Of 63 Bytes_________________________________________", "Id"), UPDATE ("Column ""x"" Of 63 Bytes_________________________________________") ON "Odd Schema"."Table With A Name Of 63 Bytes, Quoted; Mixed Case______________" TO "Reader of Columns";
ALTER TABLE "Odd Schema"."Table With A Name Of 63 Bytes, Quoted; Mixed Case______________" ALTER "Column ""x"" Of 63 Bytes_________________________________________" SET STATISTICS 77;
INSERT INTO "Odd Schema"."Table With A Name Of 63 Bytes, Quoted; Mixed Case______________" ("Column ""x"" Of 63 Bytes_________________________________________", "Ünï")
SELECT 'it''s ' || i, 'sad' FROM generate_series(1, 700) AS i;
