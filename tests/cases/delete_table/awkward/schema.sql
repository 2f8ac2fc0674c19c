CREATE SCHEMA "Odd Schema";
CREATE TABLE "Odd Schema"."Table With A Name Of 63 Bytes, Quoted; Mixed Case______________" (
    "Id" int,
    "where" text,
    "Ünï" int,
    PRIMARY KEY ("Id", "where")
);
INSERT INTO "Odd Schema"."Table With A Name Of 63 Bytes, Quoted; Mixed Case______________" SELECT i, 'it''s ' || i % 3, i % 7 FROM generate_series(1, 900) AS i;
CREATE FUNCTION "Gone"() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO seen VALUES (OLD."Id"); RETURN OLD; END $$;
CREATE TABLE seen (id int PRIMARY KEY);
CREATE TRIGGER g BEFORE DELETE ON "Odd Schema"."Table With A Name Of 63 Bytes, Quoted; Mixed Case______________" FOR EACH ROW EXECUTE FUNCTION "Gone"();
