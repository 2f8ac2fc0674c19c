ALTER TABLE "Odd Schema"."Table With A Name Of 63 Bytes, Quoted; Mixed Case______________" ALTER "select" DROP NOT NULL;
