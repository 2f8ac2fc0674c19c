ALTER TABLE "Odd Schema"."Table With A Name Of 63 Bytes, Quoted; Mixed Case______________" ADD COLUMN "Stämp" timestamptz DEFAULT clock_timestamp();
ALTER TABLE ONLY "Odd Schema"."Table With A Name Of 63 Bytes, Quoted; Mixed Case______________" ADD "From" text COLLATE "C" DEFAULT 'a''b\c; --';
