-- Indexes, those behind constraints included. Columns inside expressions and predicates are known from pg_depend.
SELECT json_build_object(
    'relation', i.indrelid::bigint,
    'name', x.relname,
    -- Attribute numbers, 0 for an expression; the first ones are keys, the others INCLUDE.
    'key', i.indkey::smallint[],
    'keys', i.indnkeyatts,
    'inside', CASE WHEN i.indexprs IS NULL AND i.indpred IS NULL THEN '[]' ELSE (
        SELECT coalesce(json_agg(d.refobjsubid), '[]') FROM pg_catalog.pg_depend AS d
        WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = i.indexrelid AND d.objsubid = 0
          AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = i.indrelid AND d.refobjsubid > 0
    ) END,
    'unique', i.indisunique,
    'primary', i.indisprimary,
    'exclusion', i.indisexclusion,
    'partial', i.indpred IS NOT NULL,
    'immediate', i.indimmediate,
    'valid', i.indisvalid,
    'constraint', (
        SELECT k.conname FROM pg_catalog.pg_constraint AS k
        WHERE k.conrelid = i.indrelid AND k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x')
    ),
    'inherited', x.relispartition,
    'definition', pg_get_indexdef(i.indexrelid)
)
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_index AS i ON i.indrelid = c.oid
JOIN pg_catalog.pg_class AS x ON x.oid = i.indexrelid
WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'concertina', 'concertina_archive')
ORDER BY i.indrelid, i.indexrelid
