DROP TABLE "Odd Schema"."Table With A Name Of 63 Bytes, Quoted; Mixed Case______________", "Table With A Name Of 63 Bytes, Quoted; Mixed Case______________";
DROP TABLE IF EXISTS "No Such";
