SELECT pg_catalog.set_config('search_path', '', false);
CREATE SCHEMA concertina;
CREATE SCHEMA concertina_archive;
CREATE FUNCTION concertina.sync_cents_9c410e8387() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF NEW."cents" IS NULL THEN
      NEW."cents" := (NEW."balance" * 100);
    END IF;
  ELSIF pg_catalog.record_image_eq(ROW(OLD."cents"), ROW(NEW."cents"))
    AND pg_catalog.record_image_ne(ROW(OLD."balance"), ROW(NEW."balance")) THEN
    NEW."cents" := (NEW."balance" * 100);
  END IF;
  RETURN NEW;
END
$$;
CREATE TABLE concertina.event (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    migration text,
    kind text NOT NULL,
    message text NOT NULL,
    data json,
    by text NOT NULL
);
COMMENT ON TABLE concertina.event IS 'Concertina: what happened, append-only';
ALTER TABLE concertina.event ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME concertina.event_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE concertina.lease (
    only_row boolean DEFAULT true NOT NULL,
    token uuid,
    holder text,
    backend_pid integer,
    backend_start text,
    acquired_at timestamp with time zone,
    heartbeat_at timestamp with time zone,
    CONSTRAINT lease_only_row_check CHECK (only_row)
)
WITH (fillfactor='20');
COMMENT ON TABLE concertina.lease IS 'Concertina: the runner at work; token is NULL when nobody is';
CREATE TABLE concertina.meta (
    only_row boolean DEFAULT true NOT NULL,
    version integer NOT NULL,
    system_identifier text,
    database_oid oid,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT meta_only_row_check CHECK (only_row)
);
COMMENT ON TABLE concertina.meta IS 'Concertina: version of the ledger, and the database it was made in';
CREATE TABLE concertina.migration (
    id bigint NOT NULL,
    name text NOT NULL,
    checksum text NOT NULL,
    state text NOT NULL,
    simple boolean NOT NULL,
    plan json,
    started_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    changed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    by text NOT NULL,
    error text,
    CONSTRAINT migration_state_check CHECK ((state = ANY (ARRAY['expanding'::text, 'expanded'::text, 'contracting'::text, 'done'::text, 'undoing'::text, 'undone'::text])))
);
COMMENT ON TABLE concertina.migration IS 'Concertina: migrations that have begun';
ALTER TABLE concertina.migration ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME concertina.migration_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE concertina.step (
    migration bigint NOT NULL,
    direction text NOT NULL,
    ordinal integer NOT NULL,
    sub integer NOT NULL,
    state text NOT NULL,
    attempts integer DEFAULT 1 NOT NULL,
    rows bigint,
    cursor json,
    victim_ms double precision DEFAULT 0 NOT NULL,
    lock_wait_ms double precision DEFAULT 0 NOT NULL,
    backend_pid integer,
    backend_start text,
    started_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    finished_at timestamp with time zone,
    error text,
    CONSTRAINT step_direction_check CHECK ((direction = ANY (ARRAY['forward'::text, 'undo'::text]))),
    CONSTRAINT step_state_check CHECK ((state = ANY (ARRAY['running'::text, 'done'::text, 'failed'::text, 'undone'::text])))
);
COMMENT ON TABLE concertina.step IS 'Concertina: steps that have begun; a transactional step commits its row with its effect';
CREATE TABLE public."Accounts" (
    id bigint NOT NULL,
    owner bigint NOT NULL,
    balance bigint NOT NULL,
    version integer DEFAULT 0 NOT NULL,
    legacy text DEFAULT 'old'::text,
    cents bigint
);
CREATE TABLE public.owners (
    id bigint NOT NULL
);
INSERT INTO concertina.event OVERRIDING SYSTEM VALUE VALUES (1, '2026-11-27 21:49:39.950742+00', '0001_reshape', 'expand_started', '7 steps to run', NULL, 'postgres@host 25965');
INSERT INTO concertina.event OVERRIDING SYSTEM VALUE VALUES (2, '2026-11-27 21:49:40.274487+00', '0001_reshape', 'step_done', 'step 1 "Add column cents to public."Accounts"" took 0.3 s', NULL, 'postgres@host 25965');
INSERT INTO concertina.lease VALUES (true, 'c24327a2-ffbf-4a3b-8ff9-d1e71c09cb82', 'postgres@host 25965', 25978, '2026-11-27T21:49:39.571231Z', '2026-11-27 21:49:39.584087+00', '2026-11-27 21:49:39.584087+00');
INSERT INTO concertina.meta VALUES (true, 1, '7712971713286640403', 16461, '2026-11-27 21:49:39.538174+00');
INSERT INTO concertina.migration OVERRIDING SYSTEM VALUE VALUES (1, '0001_reshape', '7fc68946cb6e63758c2202b79bc0a72a25ed67a95db12745036b8e53e78f0b87', 'expanding', false, '{"format":1,"migration":"0001_reshape","checksum":"7fc68946cb6e63758c2202b79bc0a72a25ed67a95db12745036b8e53e78f0b87","server_version":150018,"search_path":["public"],"statements":[{"line":1,"sql":"ALTER TABLE public.\"Accounts\" ADD COLUMN cents bigint","kinds":["add_column"],"facts":{"locks":[{"relation":"public.\"Accounts\"","mode":"AccessExclusiveLock"}],"work":[],"transaction":true,"breaks":["COPY public.\"Accounts\" without a column list, INSERT … SELECT * and prepared SELECT * notice the new column cents of public.\"Accounts\""],"fails":null}},{"line":2,"sql":"UPDATE public.\"Accounts\" SET cents = balance * 100","kinds":["update_table"],"facts":{"locks":[{"relation":"public.\"Accounts\"","mode":"RowExclusiveLock"}],"work":[{"relation":"public.\"Accounts\"","what":"rows"}],"transaction":true,"breaks":["writers of the same rows of public.\"Accounts\" wait until the whole statement is committed"],"fails":null}},{"line":3,"sql":"ALTER TABLE public.\"Accounts\" ALTER COLUMN cents SET NOT NULL","kinds":["set_not_null"],"facts":{"locks":[{"relation":"public.\"Accounts\"","mode":"AccessExclusiveLock"}],"work":[{"relation":"public.\"Accounts\"","what":"scan"}],"transaction":true,"breaks":["code that writes NULL into column cents of public.\"Accounts\", or leaves it out, gets errors (23502) from then on"],"fails":null}},{"line":4,"sql":"CREATE INDEX \"Accounts_cents_idx\" ON public.\"Accounts\" (cents)","kinds":["create_index"],"facts":{"locks":[{"relation":"public.\"Accounts\"","mode":"ShareLock"}],"work":[{"relation":"public.\"Accounts\"","what":"index_build"}],"transaction":true,"breaks":[],"fails":null}},{"line":5,"sql":"ALTER TABLE public.\"Accounts\" ADD CONSTRAINT accounts_owner_fkey FOREIGN KEY (owner) REFERENCES public.owners (id)","kinds":["add_foreign_key"],"facts":{"locks":[{"relation":"public.owners","mode":"ShareRowExclusiveLock"},{"relation":"public.\"Accounts\"","mode":"ShareRowExclusiveLock"}],"work":[{"relation":"public.\"Accounts\"","what":"scan"},{"relation":"public.owners","what":"scan"}],"transaction":true,"breaks":["code that writes rows into public.\"Accounts\" without their row in public.owners, or deletes the latter, gets errors (23503)"],"fails":null}},{"line":6,"sql":"ALTER TABLE public.\"Accounts\" DROP COLUMN legacy","kinds":["drop_column"],"facts":{"locks":[{"relation":"public.\"Accounts\"","mode":"AccessExclusiveLock"}],"work":[],"transaction":true,"breaks":["running code that names legacy of public.\"Accounts\" fails (42703)","a prepared SELECT * on public.\"Accounts\" fails once per connection (0A000)"],"fails":null}}],"steps":[{"statement":0,"phase":"expand","title":"Add column cents to public.\"Accounts\"","why":"column and trigger arrive together: no row is written without its value from here on","action":{"type":"transaction","sql":["ALTER TABLE public.\"Accounts\" ADD COLUMN cents bigint","CREATE FUNCTION concertina.sync_cents_9c410e8387() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $concertina$\nBEGIN\n  IF TG_OP = ''INSERT'' THEN\n    IF NEW.\"cents\" IS NULL THEN\n      NEW.\"cents\" := (NEW.\"balance\" * 100);\n    END IF;\n  ELSIF pg_catalog.record_image_eq(ROW(OLD.\"cents\"), ROW(NEW.\"cents\"))\n    AND pg_catalog.record_image_ne(ROW(OLD.\"balance\"), ROW(NEW.\"balance\")) THEN\n    NEW.\"cents\" := (NEW.\"balance\" * 100);\n  END IF;\n  RETURN NEW;\nEND\n$concertina$","CREATE TRIGGER \"~concertina_00_cents_9c410e8387\" BEFORE INSERT OR UPDATE ON public.\"Accounts\" FOR EACH ROW EXECUTE FUNCTION concertina.sync_cents_9c410e8387()"]},"locks":[{"relation":"public.\"Accounts\"","mode":"AccessExclusiveLock"}],"work":[],"probe":{"type":"column","table":"public.\"Accounts\"","column":"cents","exists":true},"undo":{"type":"steps","steps":[{"statement":0,"phase":"expand","title":"Drop column cents of public.\"Accounts\"","why":"takes back ADD COLUMN","action":{"type":"transaction","sql":["DROP TRIGGER IF EXISTS \"~concertina_00_cents_9c410e8387\" ON public.\"Accounts\"","DROP FUNCTION IF EXISTS concertina.sync_cents_9c410e8387()","ALTER TABLE public.\"Accounts\" DROP COLUMN cents"]},"locks":[{"relation":"public.\"Accounts\"","mode":"AccessExclusiveLock"}],"work":[],"probe":{"type":"column","table":"public.\"Accounts\"","column":"cents","exists":false},"undo":{"type":"nothing"},"requires":[],"provides":[{"column_gone":{"table":"public.\"Accounts\"","column":"cents"}},{"trigger_gone":{"table":"public.\"Accounts\"","trigger":"~concertina_00_cents_9c410e8387"}}],"destroys":true}],"loses":"what was written into column cents since"},"requires":[{"relation":"public.\"Accounts\""},{"no_column":["public.\"Accounts\"","cents"]}],"provides":[{"column":{"table":"public.\"Accounts\"","column":{"name":"cents","data_type":"bigint","not_null":null,"default":null,"identity":null,"generated":null,"new_here":true}}},{"trigger":{"table":"public.\"Accounts\"","trigger":{"name":"~concertina_00_cents_9c410e8387","row":true,"before":true,"on":["insert","update"],"update_of":[],"transition_table":false,"enabled":true,"definition":"CREATE TRIGGER \"~concertina_00_cents_9c410e8387\" BEFORE INSERT OR UPDATE ON public.\"Accounts\" FOR EACH ROW EXECUTE FUNCTION concertina.sync_cents_9c410e8387()"}}}],"destroys":false},{"statement":0,"phase":"backfill","title":"Fill column cents of public.\"Accounts\"","why":"rows that were there before the trigger get their value","action":{"type":"backfill","table":"public.\"Accounts\"","write":{"type":"update","alias":"Accounts","set":[["cents","\"Accounts\".balance * 100"]],"unchanged":[],"pending":"\"Accounts\".cents IS NULL"},"walk":{"type":"pages","stride":16},"fire_triggers":false,"rows":164},"locks":[{"relation":"public.\"Accounts\"","mode":"RowExclusiveLock"}],"work":[{"relation":"public.\"Accounts\"","what":"rows"}],"probe":{"type":"ledger"},"undo":{"type":"nothing"},"requires":[],"provides":[],"destroys":false},{"statement":0,"phase":"validate","title":"Reject new NULLs in column cents of public.\"Accounts\"","why":"a CHECK that is not yet validated needs no scan","action":{"type":"transaction","sql":["ALTER TABLE public.\"Accounts\" ADD CONSTRAINT concertina_not_null_cents_5e8f18f665 CHECK (cents IS NOT NULL) NOT VALID"]},"locks":[{"relation":"public.\"Accounts\"","mode":"AccessExclusiveLock"}],"work":[],"probe":{"type":"constraint","table":"public.\"Accounts\"","name":"concertina_not_null_cents_5e8f18f665","validated":false},"undo":{"type":"steps","steps":[{"statement":0,"phase":"expand","title":"Drop constraint concertina_not_null_cents_5e8f18f665 of public.\"Accounts\"","why":"takes back what was to become NOT NULL","action":{"type":"transaction","sql":["ALTER TABLE public.\"Accounts\" DROP CONSTRAINT IF EXISTS concertina_not_null_cents_5e8f18f665"]},"locks":[{"relation":"public.\"Accounts\"","mode":"AccessExclusiveLock"}],"work":[],"probe":{"type":"constraint","table":"public.\"Accounts\"","name":"concertina_not_null_cents_5e8f18f665","validated":null},"undo":{"type":"nothing"},"requires":[],"provides":[{"constraint_gone":{"table":"public.\"Accounts\"","constraint":"concertina_not_null_cents_5e8f18f665"}}],"destroys":false}],"loses":null},"requires":[{"column":["public.\"Accounts\"","cents"]}],"provides":[{"constraint":{"table":"public.\"Accounts\"","constraint":{"name":"concertina_not_null_cents_5e8f18f665","kind":"check","columns":["cents"],"definition":"CHECK ((cents IS NOT NULL))","validated":false,"deferrable":false,"inherited":false}}}],"destroys":false},{"statement":0,"phase":"validate","title":"Check that no row of public.\"Accounts\" has a NULL in column cents","why":"the scan runs beside reads and writes","action":{"type":"long","sql":"ALTER TABLE public.\"Accounts\" VALIDATE CONSTRAINT concertina_not_null_cents_5e8f18f665"},"locks":[{"relation":"public.\"Accounts\"","mode":"ShareUpdateExclusiveLock"}],"work":[{"relation":"public.\"Accounts\"","what":"scan"}],"probe":{"type":"constraint","table":"public.\"Accounts\"","name":"concertina_not_null_cents_5e8f18f665","validated":true},"undo":{"type":"nothing"},"requires":[],"provides":[{"constraint_validated":{"table":"public.\"Accounts\"","constraint":"concertina_not_null_cents_5e8f18f665"}}],"destroys":false},{"statement":0,"phase":"validate","title":"Make column cents of public.\"Accounts\" NOT NULL","why":"the validated CHECK implies it, so nothing is scanned; the CHECK has done its work","action":{"type":"transaction","sql":["ALTER TABLE public.\"Accounts\" ALTER COLUMN cents SET NOT NULL","ALTER TABLE public.\"Accounts\" DROP CONSTRAINT IF EXISTS concertina_not_null_cents_5e8f18f665"]},"locks":[{"relation":"public.\"Accounts\"","mode":"AccessExclusiveLock"}],"work":[],"probe":{"type":"not_null","table":"public.\"Accounts\"","column":"cents","not_null":true},"undo":{"type":"steps","steps":[{"statement":0,"phase":"expand","title":"Allow NULL in column cents of public.\"Accounts\"","why":"takes back SET NOT NULL","action":{"type":"transaction","sql":["ALTER TABLE public.\"Accounts\" ALTER COLUMN cents DROP NOT NULL"]},"locks":[{"relation":"public.\"Accounts\"","mode":"AccessExclusiveLock"}],"work":[],"probe":{"type":"not_null","table":"public.\"Accounts\"","column":"cents","not_null":false},"undo":{"type":"nothing"},"requires":[],"provides":[{"not_null":{"table":"public.\"Accounts\"","column":"cents","not_null":null}}],"destroys":false}],"loses":null},"requires":[{"column":["public.\"Accounts\"","cents"]}],"provides":[{"not_null":{"table":"public.\"Accounts\"","column":"cents","not_null":{"name":null,"valid":true}}},{"constraint_gone":{"table":"public.\"Accounts\"","constraint":"concertina_not_null_cents_5e8f18f665"}}],"destroys":false},{"statement":3,"phase":"validate","title":"Build index \"Accounts_cents_idx\" on public.\"Accounts\"","why":"CREATE INDEX alone would block every write while it scans the table","action":{"type":"alone","sql":"CREATE INDEX CONCURRENTLY \"Accounts_cents_idx\" ON public.\"Accounts\" (cents)","heal":"DROP INDEX CONCURRENTLY IF EXISTS public.\"Accounts_cents_idx\""},"locks":[{"relation":"public.\"Accounts\"","mode":"ShareUpdateExclusiveLock"}],"work":[{"relation":"public.\"Accounts\"","what":"index_build"}],"probe":{"type":"index","name":"public.\"Accounts_cents_idx\"","valid":true},"undo":{"type":"steps","steps":[{"statement":0,"phase":"validate","title":"Drop index \"Accounts_cents_idx\" of public.\"Accounts\"","why":"takes the new index away","action":{"type":"alone","sql":"DROP INDEX CONCURRENTLY IF EXISTS public.\"Accounts_cents_idx\"","heal":null},"locks":[{"relation":"public.\"Accounts\"","mode":"ShareUpdateExclusiveLock"},{"relation":"public.\"Accounts_cents_idx\"","mode":"ShareUpdateExclusiveLock"}],"work":[],"probe":{"type":"index","name":"public.\"Accounts_cents_idx\"","valid":false},"undo":{"type":"nothing"},"requires":[],"provides":[{"index_gone":{"table":"public.\"Accounts\"","index":"Accounts_cents_idx"}}],"destroys":false}],"loses":null},"requires":[{"relation":"public.\"Accounts\""},{"no_relation":"public.\"Accounts_cents_idx\""}],"provides":[{"index":{"table":"public.\"Accounts\"","index":{"name":"Accounts_cents_idx","columns":["cents"],"include":[],"uses":["cents"],"unique":false,"primary":false,"exclusion":false,"partial":false,"immediate":true,"valid":true,"constraint":null,"inherited":false,"definition":"CREATE INDEX \"Accounts_cents_idx\" ON public.\"Accounts\" (cents)"}}}],"destroys":false},{"statement":4,"phase":"validate","title":"Prove that no row breaks foreign key accounts_owner_fkey on public.\"Accounts\"","why":"a violator found now stops the migration while nothing is enforced yet","action":{"type":"proof","query":"SELECT \"Accounts\".id::text AS id FROM ONLY public.\"Accounts\" WHERE \"Accounts\".owner IS NOT NULL AND NOT EXISTS (SELECT 1 FROM ONLY public.owners AS concertina_referenced WHERE concertina_referenced.id = \"Accounts\".owner) LIMIT 5","violation":"rows of public.\"Accounts\" without their row in public.owners"},"locks":[],"work":[{"relation":"public.\"Accounts\"","what":"scan"}],"probe":{"type":"ledger"},"undo":{"type":"nothing"},"requires":[],"provides":[],"destroys":false},{"statement":0,"phase":"contract","title":"Remove the sync trigger of public.\"Accounts\"","why":"old code is gone, and new code writes the column itself","action":{"type":"transaction","sql":["DROP TRIGGER IF EXISTS \"~concertina_00_cents_9c410e8387\" ON public.\"Accounts\"","DROP FUNCTION IF EXISTS concertina.sync_cents_9c410e8387()"]},"locks":[{"relation":"public.\"Accounts\"","mode":"AccessExclusiveLock"}],"work":[],"probe":{"type":"trigger","table":"public.\"Accounts\"","name":"~concertina_00_cents_9c410e8387","exists":false},"undo":{"type":"nothing"},"requires":[],"provides":[{"trigger_gone":{"table":"public.\"Accounts\"","trigger":"~concertina_00_cents_9c410e8387"}}],"destroys":false},{"statement":4,"phase":"contract","title":"Add foreign key accounts_owner_fkey to public.\"Accounts\", not yet valid","why":"new rows are checked from here on; rows that exist are not looked at under the strong lock","action":{"type":"transaction","sql":["ALTER TABLE public.\"Accounts\" ADD CONSTRAINT accounts_owner_fkey FOREIGN KEY (owner) REFERENCES public.owners (id) NOT VALID"]},"locks":[{"relation":"public.owners","mode":"ShareRowExclusiveLock"},{"relation":"public.\"Accounts\"","mode":"ShareRowExclusiveLock"}],"work":[],"probe":{"type":"constraint","table":"public.\"Accounts\"","name":"accounts_owner_fkey","validated":false},"undo":{"type":"steps","steps":[{"statement":0,"phase":"contract","title":"Drop foreign key accounts_owner_fkey of public.\"Accounts\"","why":"takes the new constraint away","action":{"type":"transaction","sql":["ALTER TABLE public.\"Accounts\" DROP CONSTRAINT IF EXISTS accounts_owner_fkey"]},"locks":[{"relation":"public.owners","mode":"AccessExclusiveLock"},{"relation":"public.\"Accounts\"","mode":"AccessExclusiveLock"}],"work":[],"probe":{"type":"constraint","table":"public.\"Accounts\"","name":"accounts_owner_fkey","validated":null},"undo":{"type":"nothing"},"requires":[],"provides":[{"constraint_gone":{"table":"public.\"Accounts\"","constraint":"accounts_owner_fkey"}}],"destroys":false}],"loses":null},"requires":[{"relation":"public.\"Accounts\""},{"no_constraint":["public.\"Accounts\"","accounts_owner_fkey"]},{"column":["public.\"Accounts\"","owner"]}],"provides":[{"constraint":{"table":"public.\"Accounts\"","constraint":{"name":"accounts_owner_fkey","kind":{"foreign_key":{"table":"public.owners","columns":["id"]}},"columns":["owner"],"definition":"FOREIGN KEY (owner) REFERENCES public.owners (id)","validated":false,"deferrable":false,"inherited":false}}}],"destroys":false},{"statement":4,"phase":"contract","title":"Validate foreign key accounts_owner_fkey of public.\"Accounts\"","why":"the scan runs beside reads and writes","action":{"type":"long","sql":"ALTER TABLE public.\"Accounts\" VALIDATE CONSTRAINT accounts_owner_fkey"},"locks":[{"relation":"public.owners","mode":"RowShareLock"},{"relation":"public.\"Accounts\"","mode":"ShareUpdateExclusiveLock"}],"work":[{"relation":"public.\"Accounts\"","what":"scan"},{"relation":"public.owners","what":"scan"}],"probe":{"type":"constraint","table":"public.\"Accounts\"","name":"accounts_owner_fkey","validated":true},"undo":{"type":"nothing"},"requires":[],"provides":[{"constraint_validated":{"table":"public.\"Accounts\"","constraint":"accounts_owner_fkey"}}],"destroys":false},{"statement":5,"phase":"contract","title":"Begin to archive column legacy of public.\"Accounts\"","why":"from here on a trigger brings every write of the column into the archive as well","action":{"type":"transaction","sql":["CREATE TABLE concertina_archive.\"Accounts_legacy_6dd0d8951f\" AS SELECT id, legacy FROM public.\"Accounts\" WITH NO DATA","ALTER TABLE concertina_archive.\"Accounts_legacy_6dd0d8951f\" ADD COLUMN concertina_gone boolean NOT NULL DEFAULT false, ADD PRIMARY KEY (id)","REVOKE ALL ON TABLE concertina_archive.\"Accounts_legacy_6dd0d8951f\" FROM PUBLIC","CREATE FUNCTION concertina.\"archive_Accounts_legacy_6dd0d8951f\"() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $concertina$\n#variable_conflict use_column\nBEGIN\n    IF TG_OP = ''UPDATE'' THEN\n        IF NOT record_image_ne(ROW(OLD.id, OLD.legacy), ROW(NEW.id, NEW.legacy)) THEN\n            RETURN NULL;\n        END IF;\n    END IF;\n    IF TG_OP = ''DELETE'' OR (TG_OP = ''UPDATE'' AND record_image_ne(ROW(OLD.id), ROW(NEW.id))) THEN\n        INSERT INTO concertina_archive.\"Accounts_legacy_6dd0d8951f\" (id, concertina_gone) VALUES (OLD.id, true)\n            ON CONFLICT (id) DO UPDATE SET legacy = NULL, concertina_gone = true;\n    END IF;\n    IF TG_OP <> ''DELETE'' THEN\n        INSERT INTO concertina_archive.\"Accounts_legacy_6dd0d8951f\" (id, legacy) VALUES (NEW.id, NEW.legacy)\n            ON CONFLICT (id) DO UPDATE SET legacy = EXCLUDED.legacy, concertina_gone = false;\n    END IF;\n    RETURN NULL;\nEND\n$concertina$","REVOKE ALL ON FUNCTION concertina.\"archive_Accounts_legacy_6dd0d8951f\"() FROM PUBLIC","CREATE TRIGGER \"~concertina_archive_legacy_6dd0d8951f\" AFTER INSERT OR DELETE OR UPDATE ON public.\"Accounts\" FOR EACH ROW EXECUTE FUNCTION concertina.\"archive_Accounts_legacy_6dd0d8951f\"()"]},"locks":[{"relation":"public.\"Accounts\"","mode":"ShareRowExclusiveLock"}],"work":[],"probe":{"type":"trigger","table":"public.\"Accounts\"","name":"~concertina_archive_legacy_6dd0d8951f","exists":true},"undo":{"type":"steps","steps":[{"statement":0,"phase":"contract","title":"Remove the archive of column legacy of public.\"Accounts\"","why":"the column is there: the archive is not needed","action":{"type":"transaction","sql":["DROP TRIGGER IF EXISTS \"~concertina_archive_legacy_6dd0d8951f\" ON public.\"Accounts\"","DROP FUNCTION IF EXISTS concertina.\"archive_Accounts_legacy_6dd0d8951f\"()","DROP TABLE IF EXISTS concertina_archive.\"Accounts_legacy_6dd0d8951f\""]},"locks":[{"relation":"public.\"Accounts\"","mode":"AccessExclusiveLock"}],"work":[],"probe":{"type":"trigger","table":"public.\"Accounts\"","name":"~concertina_archive_legacy_6dd0d8951f","exists":false},"undo":{"type":"nothing"},"requires":[],"provides":[{"trigger_gone":{"table":"public.\"Accounts\"","trigger":"~concertina_archive_legacy_6dd0d8951f"}}],"destroys":false}],"loses":null},"requires":[{"column":["public.\"Accounts\"","legacy"]},{"column":["public.\"Accounts\"","id"]}],"provides":[{"trigger":{"table":"public.\"Accounts\"","trigger":{"name":"~concertina_archive_legacy_6dd0d8951f","row":true,"before":false,"on":["insert","update","delete"],"update_of":[],"transition_table":false,"enabled":true,"definition":"CREATE TRIGGER \"~concertina_archive_legacy_6dd0d8951f\" AFTER INSERT OR DELETE OR UPDATE ON public.\"Accounts\" FOR EACH ROW EXECUTE FUNCTION concertina.\"archive_Accounts_legacy_6dd0d8951f\"()"}}}],"destroys":false},{"statement":5,"phase":"contract","title":"Archive column legacy of public.\"Accounts\"","why":"undo brings the values back from there","action":{"type":"backfill","table":"public.\"Accounts\"","write":{"type":"copy","into":"concertina_archive.\"Accounts_legacy_6dd0d8951f\"","columns":["id","legacy"]},"walk":{"type":"key","columns":["id"]},"fire_triggers":false,"rows":164},"locks":[{"relation":"public.\"Accounts\"","mode":"RowExclusiveLock"}],"work":[{"relation":"public.\"Accounts\"","what":"rows"}],"probe":{"type":"ledger"},"undo":{"type":"nothing"},"requires":[],"provides":[],"destroys":false},{"statement":5,"phase":"contract","title":"Prove that the archive holds column legacy of public.\"Accounts\"","why":"every value is compared before anything is dropped","action":{"type":"proof","query":"SELECT concertina_row.id::text AS id FROM ONLY public.\"Accounts\" AS concertina_row LEFT JOIN concertina_archive.\"Accounts_legacy_6dd0d8951f\" AS concertina_archived ON concertina_archived.id = concertina_row.id AND NOT concertina_archived.concertina_gone WHERE concertina_archived.concertina_gone IS NULL OR pg_catalog.record_image_ne(ROW(concertina_archived.legacy), ROW(concertina_row.legacy)) LIMIT 5","violation":"rows of public.\"Accounts\" whose legacy the archive does not hold"},"locks":[],"work":[{"relation":"public.\"Accounts\"","what":"scan"}],"probe":{"type":"ledger"},"undo":{"type":"nothing"},"requires":[],"provides":[],"destroys":false},{"statement":5,"phase":"contract","title":"Drop column legacy of public.\"Accounts\"","why":"its values are in concertina_archive.\"Accounts_legacy_6dd0d8951f\"","action":{"type":"transaction","sql":["DROP TRIGGER IF EXISTS \"~concertina_archive_legacy_6dd0d8951f\" ON public.\"Accounts\"","DROP FUNCTION IF EXISTS concertina.\"archive_Accounts_legacy_6dd0d8951f\"()","ALTER TABLE public.\"Accounts\" DROP COLUMN legacy"]},"locks":[{"relation":"public.\"Accounts\"","mode":"AccessExclusiveLock"}],"work":[],"probe":{"type":"column","table":"public.\"Accounts\"","column":"legacy","exists":false},"undo":{"type":"steps","steps":[{"statement":0,"phase":"contract","title":"Add column legacy to public.\"Accounts\" again","why":"empty at first: nothing is rewritten","action":{"type":"transaction","sql":["DO $concertina$\nBEGIN\n    EXECUTE (\n        SELECT concat_ws('' '', ''ALTER TABLE public.\"Accounts\" ADD COLUMN legacy'', format_type(a.atttypid, a.atttypmod),\n            CASE WHEN a.attcollation <> t.typcollation THEN ''COLLATE '' || a.attcollation::regcollation END)\n        FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid\n        WHERE a.attrelid = ''concertina_archive.\"Accounts_legacy_6dd0d8951f\"''::regclass AND a.attname = ''legacy''\n    );\nEND\n$concertina$","ALTER TABLE public.\"Accounts\" ALTER COLUMN legacy SET DEFAULT ''old''::text"]},"locks":[{"relation":"public.\"Accounts\"","mode":"AccessExclusiveLock"}],"work":[],"probe":{"type":"column","table":"public.\"Accounts\"","column":"legacy","exists":true},"undo":{"type":"nothing"},"requires":[],"provides":[{"column":{"table":"public.\"Accounts\"","column":{"name":"legacy","data_type":"text","not_null":null,"default":"''old''::text","identity":null,"generated":null}}}],"destroys":false},{"statement":0,"phase":"contract","title":"Bring back column legacy of public.\"Accounts\"","why":"from the archive, row by row","action":{"type":"backfill","table":"public.\"Accounts\"","write":{"type":"restore","from":"concertina_archive.\"Accounts_legacy_6dd0d8951f\"","key":["id"],"column":"legacy"},"walk":{"type":"key","columns":["id"]},"fire_triggers":false,"rows":164},"locks":[{"relation":"public.\"Accounts\"","mode":"RowExclusiveLock"}],"work":[{"relation":"public.\"Accounts\"","what":"rows"}],"probe":{"type":"ledger"},"undo":{"type":"nothing"},"requires":[],"provides":[],"destroys":false}],"loses":"as the last column, without comments, grants and statistics targets; rows written after contract get NULL"},"requires":[{"column":["public.\"Accounts\"","legacy"]}],"provides":[{"trigger_gone":{"table":"public.\"Accounts\"","trigger":"~concertina_archive_legacy_6dd0d8951f"}},{"column_gone":{"table":"public.\"Accounts\"","column":"legacy"}}],"destroys":true}],"notices":[{"statement":0,"code":"announce","message":"COPY public.\"Accounts\" without a column list, INSERT … SELECT * and prepared SELECT * notice the new column cents of public.\"Accounts\""},{"statement":0,"code":"announce","message":"until contract, column cents of public.\"Accounts\" is derived anew whenever one of its sources changes, and for every inserted row that has no value in it, also where new code writes an explicit NULL"},{"statement":0,"code":"breaks","message":"until contract, where the expression for column cents raises an error for a row (or calls a function that the writing role may not execute), the application''s write of that row to public.\"Accounts\" raises it too"},{"statement":4,"code":"announce","message":"foreign key accounts_owner_fkey on public.\"Accounts\" is enforced from contract on; until then code may still write rows against it"},{"statement":4,"code":"announce","message":"public.\"Accounts\" has no index that begins with (owner): every DELETE and key UPDATE on public.owners will scan it"},{"statement":5,"code":"breaks","message":"at contract: running code that names legacy of public.\"Accounts\" fails (42703)"},{"statement":5,"code":"breaks","message":"at contract: a prepared SELECT * on public.\"Accounts\" fails once per connection (0A000)"},{"statement":5,"code":"undo-loses","message":"after contract, undo brings legacy of public.\"Accounts\" back, but as the last column, without comments, grants and statistics targets; rows written after contract get NULL"}],"claims":[{"relation":"public.\"Accounts\"","column":"cents","write":false},{"relation":"public.\"Accounts\"","column":"cents","write":true},{"relation":"public.\"Accounts\"","column":"legacy","write":true},{"relation":"public.\"Accounts\"","column":"owner","write":false}]}', '2026-11-27 21:49:39.896225+00', '2026-11-27 21:49:39.896225+00', 'postgres@host 25965', NULL);
INSERT INTO concertina.step VALUES (1, 'forward', 0, 0, 'done', 1, NULL, NULL, 0, 14.814464, 25972, '2026-11-27T21:49:39.433208Z', '2026-11-27 21:49:40.118763+00', '2026-11-27 21:49:40.218611+00', NULL);
INSERT INTO concertina.step VALUES (1, 'forward', 1, 0, 'running', 1, 72, '{"at":0,"end":2,"from":0,"pass":5,"to":2,"walk":"window"}', 0, 0, 25972, '2026-11-27T21:49:39.433208Z', '2026-11-27 21:49:40.417435+00', NULL, NULL);
INSERT INTO public."Accounts" VALUES (2, 3, 14, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (4, 5, 28, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (5, 6, 35, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (6, 7, 42, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (7, 8, 49, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (8, 9, 56, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (9, 10, 63, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (10, 1, 70, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (11, 2, 77, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (15, 6, 105, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (16, 7, 112, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (17, 8, 119, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (19, 10, 133, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (20, 1, 140, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (21, 2, 147, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (24, 5, 168, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (25, 6, 175, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (27, 8, 189, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (29, 10, 203, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (30, 1, 210, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (31, 2, 217, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (32, 3, 224, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (34, 5, 238, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (35, 6, 245, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (36, 7, 252, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (37, 8, 259, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (42, 3, 294, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (43, 4, 301, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (45, 6, 315, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (46, 7, 322, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (49, 10, 343, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (52, 3, 364, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (55, 6, 385, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (58, 9, 406, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (61, 2, 427, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (62, 3, 434, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (65, 6, 455, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (66, 7, 462, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (68, 9, 476, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (69, 10, 483, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (70, 1, 490, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (71, 2, 497, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (73, 4, 511, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (74, 5, 518, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (76, 7, 532, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (79, 10, 553, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (81, 2, 567, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (86, 7, 602, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (87, 8, 609, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (89, 10, 623, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (90, 1, 630, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (92, 3, 644, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (94, 5, 658, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (95, 6, 665, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (97, 8, 679, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (98, 9, 686, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (99, 10, 693, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (100, 1, 700, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (101, 2, 707, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (102, 3, 714, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (104, 5, 728, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (105, 6, 735, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (106, 7, 742, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (109, 10, 763, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (110, 1, 770, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (114, 5, 798, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (116, 7, 812, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (117, 8, 819, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (118, 9, 826, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (119, 10, 833, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (121, 2, 847, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (123, 4, 861, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (128, 9, 896, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (129, 10, 903, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (130, 1, 910, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (132, 3, 924, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (133, 4, 931, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (134, 5, 938, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (135, 6, 945, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (136, 7, 952, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (23, 4, 161, 0, 'old', 16100);
INSERT INTO public."Accounts" VALUES (38, 9, 266, 0, 'old', 26600);
INSERT INTO public."Accounts" VALUES (40, 1, 280, 0, 'old', 28000);
INSERT INTO public."Accounts" VALUES (51, 2, 357, 0, 'old', 35700);
INSERT INTO public."Accounts" VALUES (53, 4, 371, 0, 'old', 37100);
INSERT INTO public."Accounts" VALUES (22, 3, 154, 0, 'old', 15400);
INSERT INTO public."Accounts" VALUES (41, 2, 287, 0, 'old', 28700);
INSERT INTO public."Accounts" VALUES (44, 5, 308, 0, 'old', 30800);
INSERT INTO public."Accounts" VALUES (60, 1, 420, 0, 'old', 42000);
INSERT INTO public."Accounts" VALUES (85, 6, 595, 0, 'old', 59500);
INSERT INTO public."Accounts" VALUES (103, 4, 721, 0, 'old', 72100);
INSERT INTO public."Accounts" VALUES (108, 9, 756, 0, 'old', 75600);
INSERT INTO public."Accounts" VALUES (111, 2, 777, 0, 'old', 77700);
INSERT INTO public."Accounts" VALUES (1, 2, 7, 0, 'old', 700);
INSERT INTO public."Accounts" VALUES (14, 5, 98, 0, 'old', 9800);
INSERT INTO public."Accounts" VALUES (28, 9, 196, 0, 'old', 19600);
INSERT INTO public."Accounts" VALUES (39, 10, 273, 0, 'old', 27300);
INSERT INTO public."Accounts" VALUES (50, 1, 350, 0, 'old', 35000);
INSERT INTO public."Accounts" VALUES (112, 3, 784, 0, 'old', 78400);
INSERT INTO public."Accounts" VALUES (115, 6, 805, 0, 'old', 80500);
INSERT INTO public."Accounts" VALUES (122, 3, 854, 0, 'old', 85400);
INSERT INTO public."Accounts" VALUES (126, 7, 882, 0, 'old', 88200);
INSERT INTO public."Accounts" VALUES (3, 4, 21, 0, 'old', 2100);
INSERT INTO public."Accounts" VALUES (12, 3, 84, 0, 'old', 8400);
INSERT INTO public."Accounts" VALUES (13, 4, 91, 0, 'old', 9100);
INSERT INTO public."Accounts" VALUES (18, 9, 126, 0, 'old', 12600);
INSERT INTO public."Accounts" VALUES (26, 7, 182, 0, 'old', 18200);
INSERT INTO public."Accounts" VALUES (33, 4, 231, 0, 'old', 23100);
INSERT INTO public."Accounts" VALUES (57, 8, 399, 0, 'old', 39900);
INSERT INTO public."Accounts" VALUES (59, 10, 413, 0, 'old', 41300);
INSERT INTO public."Accounts" VALUES (64, 5, 448, 0, 'old', 44800);
INSERT INTO public."Accounts" VALUES (78, 9, 546, 0, 'old', 54600);
INSERT INTO public."Accounts" VALUES (137, 8, 959, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (138, 9, 966, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (139, 10, 973, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (141, 2, 987, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (142, 3, 994, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (144, 5, 8, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (145, 6, 15, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (146, 7, 22, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (147, 8, 29, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (148, 9, 36, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (149, 10, 43, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (151, 2, 57, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (152, 3, 64, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (153, 4, 71, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (155, 6, 85, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (156, 7, 92, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (158, 9, 106, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (159, 10, 113, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (160, 1, 120, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (162, 3, 134, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (166, 7, 162, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (167, 8, 169, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (168, 9, 176, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (169, 10, 183, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (170, 1, 190, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (171, 2, 197, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (174, 5, 218, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (175, 6, 225, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (176, 7, 232, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (177, 8, 239, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (178, 9, 246, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (179, 10, 253, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (181, 2, 267, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (182, 3, 274, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (184, 5, 288, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (185, 6, 295, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (186, 7, 302, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (187, 8, 309, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (188, 9, 316, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (191, 2, 337, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (192, 3, 344, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (193, 4, 351, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (194, 5, 358, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (195, 6, 365, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (196, 7, 372, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (197, 8, 379, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (198, 9, 386, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (200, 1, 400, 0, 'old', NULL);
INSERT INTO public."Accounts" VALUES (47, 8, 329, 0, 'old', 32900);
INSERT INTO public."Accounts" VALUES (48, 9, 336, 0, 'old', 33600);
INSERT INTO public."Accounts" VALUES (63, 4, 441, 0, 'old', 44100);
INSERT INTO public."Accounts" VALUES (75, 6, 525, 0, 'old', 52500);
INSERT INTO public."Accounts" VALUES (113, 4, 791, 0, 'old', 79100);
INSERT INTO public."Accounts" VALUES (131, 2, 917, 0, 'old', 91700);
INSERT INTO public."Accounts" VALUES (161, 2, 127, 0, 'old', 12700);
INSERT INTO public."Accounts" VALUES (54, 5, 378, 0, 'old', 37800);
INSERT INTO public."Accounts" VALUES (56, 7, 392, 0, 'old', 39200);
INSERT INTO public."Accounts" VALUES (67, 8, 469, 0, 'old', 46900);
INSERT INTO public."Accounts" VALUES (72, 3, 504, 0, 'old', 50400);
INSERT INTO public."Accounts" VALUES (77, 8, 539, 0, 'old', 53900);
INSERT INTO public."Accounts" VALUES (82, 3, 574, 0, 'old', 57400);
INSERT INTO public."Accounts" VALUES (83, 4, 581, 0, 'old', 58100);
INSERT INTO public."Accounts" VALUES (91, 2, 637, 0, 'old', 63700);
INSERT INTO public."Accounts" VALUES (120, 1, 840, 0, 'old', 84000);
INSERT INTO public."Accounts" VALUES (125, 6, 875, 0, 'old', 87500);
INSERT INTO public."Accounts" VALUES (127, 8, 889, 0, 'old', 88900);
INSERT INTO public."Accounts" VALUES (140, 1, 980, 0, 'old', 98000);
INSERT INTO public."Accounts" VALUES (143, 4, 1, 0, 'old', 100);
INSERT INTO public."Accounts" VALUES (150, 1, 50, 0, 'old', 5000);
INSERT INTO public."Accounts" VALUES (190, 1, 330, 0, 'old', 33000);
INSERT INTO public."Accounts" VALUES (163, 4, 141, 0, 'old', 14100);
INSERT INTO public."Accounts" VALUES (165, 6, 155, 0, 'old', 15500);
INSERT INTO public."Accounts" VALUES (173, 4, 211, 0, 'old', 21100);
INSERT INTO public."Accounts" VALUES (183, 4, 281, 0, 'old', 28100);
INSERT INTO public."Accounts" VALUES (154, 5, 78, 0, 'old', 7800);
INSERT INTO public."Accounts" VALUES (157, 8, 99, 0, 'old', 9900);
INSERT INTO public."Accounts" VALUES (180, 1, 260, 0, 'old', 26000);
INSERT INTO public."Accounts" VALUES (199, 10, 393, 0, 'old', 39300);
INSERT INTO public."Accounts" VALUES (80, 1, 560, 0, 'old', 56000);
INSERT INTO public."Accounts" VALUES (84, 5, 588, 0, 'old', 58800);
INSERT INTO public."Accounts" VALUES (88, 9, 616, 0, 'old', 61600);
INSERT INTO public."Accounts" VALUES (93, 4, 651, 0, 'old', 65100);
INSERT INTO public."Accounts" VALUES (96, 7, 672, 0, 'old', 67200);
INSERT INTO public."Accounts" VALUES (107, 8, 749, 0, 'old', 74900);
INSERT INTO public."Accounts" VALUES (124, 5, 868, 0, 'old', 86800);
INSERT INTO public."Accounts" VALUES (164, 5, 148, 0, 'old', 14800);
INSERT INTO public."Accounts" VALUES (172, 3, 204, 0, 'old', 20400);
INSERT INTO public."Accounts" VALUES (189, 10, 323, 0, 'old', 32300);
INSERT INTO public.owners VALUES (1);
INSERT INTO public.owners VALUES (2);
INSERT INTO public.owners VALUES (3);
INSERT INTO public.owners VALUES (4);
INSERT INTO public.owners VALUES (5);
INSERT INTO public.owners VALUES (6);
INSERT INTO public.owners VALUES (7);
INSERT INTO public.owners VALUES (8);
INSERT INTO public.owners VALUES (9);
INSERT INTO public.owners VALUES (10);
SELECT pg_catalog.setval('concertina.event_id_seq', 2, true);
SELECT pg_catalog.setval('concertina.migration_id_seq', 1, true);
ALTER TABLE ONLY concertina.event
    ADD CONSTRAINT event_pkey PRIMARY KEY (id);
ALTER TABLE ONLY concertina.lease
    ADD CONSTRAINT lease_pkey PRIMARY KEY (only_row);
ALTER TABLE ONLY concertina.meta
    ADD CONSTRAINT meta_pkey PRIMARY KEY (only_row);
ALTER TABLE ONLY concertina.migration
    ADD CONSTRAINT migration_name_key UNIQUE (name);
ALTER TABLE ONLY concertina.migration
    ADD CONSTRAINT migration_pkey PRIMARY KEY (id);
ALTER TABLE ONLY concertina.step
    ADD CONSTRAINT step_pkey PRIMARY KEY (migration, direction, ordinal, sub);
ALTER TABLE ONLY public."Accounts"
    ADD CONSTRAINT "Accounts_pkey" PRIMARY KEY (id);
ALTER TABLE ONLY public.owners
    ADD CONSTRAINT owners_pkey PRIMARY KEY (id);
CREATE TRIGGER "~concertina_00_cents_9c410e8387" BEFORE INSERT OR UPDATE ON public."Accounts" FOR EACH ROW EXECUTE FUNCTION concertina.sync_cents_9c410e8387();
ALTER TABLE ONLY concertina.step
    ADD CONSTRAINT step_migration_fkey FOREIGN KEY (migration) REFERENCES concertina.migration(id) ON DELETE CASCADE;
