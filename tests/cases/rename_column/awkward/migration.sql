ALTER TABLE "Odd Schema"."Table With A Name Of 63 Bytes, Quoted; Mixed Case______________"
    RENAME "Column ""x"" Of 63 Bytes_________________________________________" TO "Column ""x"" Of 63 Bytes________________________________________y";
