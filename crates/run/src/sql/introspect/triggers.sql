-- Triggers that somebody made. Their clones on partitions are marked internal on 14, like those of constraints; what tells them
-- apart is the constraint. Bits of tgtype: 1 row, 2 before, 4 insert, 8 delete, 16 update, 32 truncate, 64 instead of.
-- Source: src/include/catalog/pg_trigger.h.
SELECT json_build_object(
    'relation', t.tgrelid::bigint,
    'name', t.tgname,
    'type', t.tgtype,
    'update_of', t.tgattr::smallint[],
    'transition_table', t.tgoldtable IS NOT NULL OR t.tgnewtable IS NOT NULL,
    'fires', CASE t.tgenabled WHEN 'O' THEN to_json(true) WHEN 'D' THEN to_json(false)
        WHEN 'R' THEN to_json('replica'::text) ELSE to_json('always'::text) END,
    'definition', pg_get_triggerdef(t.oid)
)
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_trigger AS t ON t.tgrelid = c.oid
LEFT JOIN pg_catalog.pg_constraint AS k ON k.oid = t.tgconstraint
WHERE (NOT t.tgisinternal OR (t.tgparentid <> 0 AND coalesce(k.contype = 't', t.tgconstraint = 0)))
  AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'concertina', 'concertina_archive')
ORDER BY t.tgrelid, t.tgname
