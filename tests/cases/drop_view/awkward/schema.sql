CREATE SCHEMA "Odd Schema";
CREATE TABLE "T" ("Id" int PRIMARY KEY, "it's" text);
CREATE VIEW "Odd Schema"."View ""x"" Of 63 Bytes___________________________________________" AS SELECT "Id", "it's" AS "select" FROM "T" WHERE "it's" <> 'a''b\c';
CREATE FUNCTION "F"() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER "Instead" INSTEAD OF INSERT ON "Odd Schema"."View ""x"" Of 63 Bytes___________________________________________" FOR EACH ROW EXECUTE FUNCTION "F"();
