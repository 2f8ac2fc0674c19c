CREATE SCHEMA "App";
CREATE TABLE "App"."Notes" ("Id" int, "Owner" name, "Kind" text) PARTITION BY LIST ("Kind");
CREATE TABLE "App"."Notes a" PARTITION OF "App"."Notes" FOR VALUES IN ('a');
CREATE TABLE teams ("Member" name);
CREATE POLICY "A policy whose name is cut by PostgreSQL, for it is longer than sixty-three" ON "App"."Notes" TO PUBLIC
    USING ("Owner" = current_user OR EXISTS (SELECT FROM teams WHERE "Member" = current_user));
CREATE POLICY "Other" ON "App"."Notes" AS RESTRICTIVE FOR UPDATE USING (true);
ALTER TABLE "App"."Notes" ENABLE ROW LEVEL SECURITY;
