DROP VIEW IF EXISTS "Odd Schema"."View ""x"" Of 63 Bytes___________________________________________", "No Such";
