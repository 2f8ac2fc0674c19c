CREATE INDEX "An Index; ""quoted""" ON "Odd Schema"."Table With A Name Of 63 Bytes, Quoted; Mixed Case______________" ("select" DESC NULLS LAST, "Column ""x"" Of 63 Bytes_________________________________________" COLLATE "C");
CREATE INDEX ON "Odd Schema"."Table With A Name Of 63 Bytes, Quoted; Mixed Case______________" ("Column ""x"" Of 63 Bytes_________________________________________", "Ünï");
