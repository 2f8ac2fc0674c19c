ALTER TABLE "Odd Schema"."Table ""x""" RENAME CONSTRAINT "Constraint Of 63 Bytes, Quoted; Mixed Case_____________________" TO "Another ""Name"" Of 63 Bytes, Quoted; Mixed Case________________";
ALTER INDEX "Odd Schema"."Table ""x""_select_check" RENAME TO "order";
ALTER INDEX IF EXISTS "No Such" RENAME TO "Nothing";
ALTER TABLE "Odd Schema"."Table ""x""" ADD COLUMN "After" int;
