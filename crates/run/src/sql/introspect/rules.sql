-- Rewrite rules but those that are views, with the statements that make them again.
SELECT json_build_object(
    'relation', w.ev_class::bigint,
    'name', w.rulename,
    'anew', array_remove(ARRAY[
        rtrim(pg_get_ruledef(w.oid), '; '),
        CASE w.ev_enabled
            WHEN 'D' THEN format('ALTER TABLE %I.%I DISABLE RULE %I', n.nspname, c.relname, w.rulename)
            WHEN 'R' THEN format('ALTER TABLE %I.%I ENABLE REPLICA RULE %I', n.nspname, c.relname, w.rulename)
            WHEN 'A' THEN format('ALTER TABLE %I.%I ENABLE ALWAYS RULE %I', n.nspname, c.relname, w.rulename)
        END,
        CASE WHEN obj_description(w.oid, 'pg_rewrite') IS NOT NULL THEN
            format('COMMENT ON RULE %I ON %I.%I IS %L', w.rulename, n.nspname, c.relname, obj_description(w.oid, 'pg_rewrite'))
        END
    ], NULL)
)
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_rewrite AS w ON w.ev_class = c.oid
WHERE w.rulename <> '_RETURN'
  AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'concertina', 'concertina_archive')
ORDER BY w.ev_class, w.rulename
