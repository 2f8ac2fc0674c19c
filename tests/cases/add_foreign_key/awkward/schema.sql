CREATE SCHEMA "Odd Schema";
CREATE TABLE "Odd Schema"."Table With A Name Of 63 Bytes, Quoted; Mixed Case______________" ("Column ""x"" Of 63 Bytes_________________________________________" int, "B" text, PRIMARY KEY ("B", "Column ""x"" Of 63 Bytes_________________________________________"), UNIQUE ("Column ""x"" Of 63 Bytes_________________________________________", "B"));
CREATE TABLE "Child Table" ("x Y" int, "order" text, id int PRIMARY KEY);
INSERT INTO "Odd Schema"."Table With A Name Of 63 Bytes, Quoted; Mixed Case______________" SELECT i, 'b' || i FROM generate_series(1, 300) AS i;
INSERT INTO "Child Table" SELECT i, 'b' || i, i FROM generate_series(1, 200) AS i;
INSERT INTO "Child Table" VALUES (NULL, NULL, 1000);
