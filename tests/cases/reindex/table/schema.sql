CREATE TABLE "Notes of a table whose name is exactly sixty-three bytes long, si" ("Id" bigint PRIMARY KEY, "Text" text);
INSERT INTO "Notes of a table whose name is exactly sixty-three bytes long, si" SELECT i, repeat('x', 3000) || i FROM generate_series(0, 199) AS i;
CREATE INDEX ON "Notes of a table whose name is exactly sixty-three bytes long, si" (md5("Text"));
