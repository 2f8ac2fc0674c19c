CREATE SCHEMA "App";
CREATE TABLE "App"."Events of a table whose name is exactly sixty-three bytes long, yes" ("Id" bigint NOT NULL, "Month" date NOT NULL, "Kind" int, UNIQUE ("Id", "Month", "Kind"))
    PARTITION BY RANGE ("Month");
CREATE TABLE "App".high PARTITION OF "App"."Events of a table whose name is exactly sixty-three bytes long, yes"
    FOR VALUES FROM ('2024-01-01') TO ('2025-01-01') PARTITION BY LIST ("Kind");
CREATE TABLE "App".high_1 PARTITION OF "App".high FOR VALUES IN (1);
CREATE FUNCTION noop() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER "Noop" BEFORE INSERT ON "App".high FOR EACH ROW EXECUTE FUNCTION noop();
-- Itself partitioned.
CREATE TABLE "App"."Partition with a long name, of sixty-three bytes in all, as such" ("Id" bigint NOT NULL, "Kind" int, "Month" date NOT NULL)
    PARTITION BY RANGE ("Id");
CREATE TABLE "App"."low" PARTITION OF "App"."Partition with a long name, of sixty-three bytes in all, as such" FOR VALUES FROM (0) TO (500);
CREATE TABLE "App"."Low rest" PARTITION OF "App"."Partition with a long name, of sixty-three bytes in all, as such" DEFAULT;
INSERT INTO "App"."Partition with a long name, of sixty-three bytes in all, as such" SELECT i, 2, '2024-02-01' FROM generate_series(0, 999) AS i;
