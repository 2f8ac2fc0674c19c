ALTER POLICY "Other" ON "App"."Notes" USING ("Id" > 5) WITH CHECK ("Id" > 6);
DROP POLICY "A policy whose name is cut by PostgreSQL, for it is longer than sixty-three" ON "App"."Notes";
CREATE POLICY "A policy whose name is cut by PostgreSQL, for it is longer than sixty-three" ON "App"."Notes" USING ("Id" > 7);
DROP POLICY IF EXISTS missing ON "App"."Notes";
