ALTER TABLE "Odd Schema"."Events" DROP CONSTRAINT "Check ""x"" Of 63 Bytes__________________________________________", DROP CONSTRAINT "Key";
