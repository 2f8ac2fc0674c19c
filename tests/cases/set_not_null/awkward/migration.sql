ALTER TABLE "Odd Schema"."Table With A Name Of 63 Bytes, Quoted; Mixed Case______________" ALTER "Column ""x"" Of 63 Bytes_________________________________________" SET NOT NULL;
