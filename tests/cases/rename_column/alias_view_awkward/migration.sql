-- concertina:alias-view reason: its names are odd
ALTER TABLE "Odd Schema"."Table With A Name Of 63 Bytes, Quoted; Mixed Case______________" RENAME COLUMN "Ünï" TO "Column With A Name Of 63 Bytes, ""Quoted""; Mixed Case___________";
