ALTER TABLE "Odd Schema"."Table With A Name Of 63 Bytes, Quoted; Mixed Case______________" RENAME TO "Another Name Of 63 Bytes, Quoted; ""Mixed"" Case________________";
ALTER TABLE IF EXISTS "No Such" RENAME TO "Nothing";
ALTER TABLE "Odd Schema"."Users" RENAME TO users;
