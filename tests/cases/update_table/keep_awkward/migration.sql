-- concertina:keep-before-image
UPDATE "Table With A Name Of 63 Bytes, Quoted; Mixed Case______________" SET "sum" = "sum" * 2 + "Column ""x"" Of 63 Bytes_________________________________________";
