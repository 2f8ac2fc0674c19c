CREATE TABLE "Orders" ("Id" bigint NOT NULL, "Region" varchar(10)) PARTITION BY LIST ("Region");
CREATE TABLE "Orders rest" PARTITION OF "Orders" DEFAULT;
CREATE UNIQUE INDEX ON "Orders" ("Id", "Region");
INSERT INTO "Orders" SELECT i, (ARRAY['br', NULL])[1 + i % 2] FROM generate_series(0, 999) AS i;
