ALTER TABLE "Child Table" ADD FOREIGN KEY ("x Y", "order") REFERENCES "Odd Schema"."Table With A Name Of 63 Bytes, Quoted; Mixed Case______________" ("Column ""x"" Of 63 Bytes_________________________________________", "B")
    MATCH FULL ON UPDATE CASCADE ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED;
