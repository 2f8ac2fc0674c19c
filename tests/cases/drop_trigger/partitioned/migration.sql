DROP TRIGGER "Each Row" ON "Events";
DROP TRIGGER IF EXISTS each_statement ON "Events";
DROP TRIGGER IF EXISTS "No Such" ON "Events";
