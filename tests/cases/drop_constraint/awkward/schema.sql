CREATE SCHEMA "Odd Schema";
CREATE TABLE "Odd Schema"."Events" (
    "Id" bigint NOT NULL,
    "Ünï" int,
    CONSTRAINT "Check ""x"" Of 63 Bytes__________________________________________" CHECK ("Ünï" > 0),
    CONSTRAINT "Key" UNIQUE ("Id", "Ünï")
) PARTITION BY RANGE ("Id");
CREATE TABLE "Odd Schema"."Low" PARTITION OF "Odd Schema"."Events" FOR VALUES FROM (0) TO (100000);
INSERT INTO "Odd Schema"."Events" SELECT i, i FROM generate_series(1, 300) AS i;
