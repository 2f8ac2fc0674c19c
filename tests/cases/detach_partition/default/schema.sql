CREATE TABLE "Orders" ("Id" bigint NOT NULL, "Region" varchar(10)) PARTITION BY LIST ("Region");
CREATE TABLE "Orders eu" PARTITION OF "Orders" FOR VALUES IN ('de', 'fr');
CREATE TABLE "Orders rest" PARTITION OF "Orders" DEFAULT;
CREATE UNIQUE INDEX ON "Orders" ("Id", "Region");
INSERT INTO "Orders" SELECT i, (ARRAY['de', 'fr', 'br', NULL])[1 + i % 4] FROM generate_series(0, 999) AS i;
