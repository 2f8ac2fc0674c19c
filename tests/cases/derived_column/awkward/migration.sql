ALTER TABLE "Odd Schema"."Table With A Name Of 63 Bytes, Quoted; Mixed Case______________" ADD COLUMN "Dérivé ""d""" text;
UPDATE "Odd Schema"."Table With A Name Of 63 Bytes, Quoted; Mixed Case______________" AS "T" SET "Dérivé ""d""" = "T"."Column ""x"" Of 63 Bytes_________________________________________" || '; {"select"}' || "select";
ALTER TABLE "Odd Schema"."Table With A Name Of 63 Bytes, Quoted; Mixed Case______________" ALTER COLUMN "Dérivé ""d""" SET NOT NULL;
