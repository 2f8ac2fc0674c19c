CREATE TABLE "Users" (id bigint PRIMARY KEY, email text, n int NOT NULL DEFAULT 0);
CREATE FUNCTION "Count"() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.n := OLD.n + 1; RETURN NEW; END $$;
CREATE TRIGGER "T" BEFORE UPDATE ON "Users" FOR EACH ROW EXECUTE FUNCTION "Count"();
REVOKE ALL ON FUNCTION "Count"() FROM PUBLIC;
INSERT INTO "Users" (id, email) SELECT i, 'u' || i FROM generate_series(1, 300) AS i;
