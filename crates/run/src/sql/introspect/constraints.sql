-- Constraints but NOT NULL ones. A foreign key to a partitioned table has a row for each partition of that too, under the same
-- referencing table: those are its inner workings.
SELECT json_build_object(
    'relation', k.conrelid::bigint,
    'name', k.conname,
    'kind', k.contype,
    'columns', coalesce(k.conkey, '{}'),
    'definition', pg_get_constraintdef(k.oid),
    'validated', k.convalidated,
    'deferrable', k.condeferrable,
    'inherited', k.coninhcount > 0 OR k.conparentid <> 0,
    'references', CASE WHEN k.contype = 'f' THEN json_build_object(
        'relation', k.confrelid::bigint,
        'schema', fn.nspname,
        'name', f.relname,
        'columns', k.confkey
    ) END
)
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_constraint AS k ON k.conrelid = c.oid
LEFT JOIN pg_catalog.pg_constraint AS parent ON parent.oid = k.conparentid
LEFT JOIN pg_catalog.pg_class AS f ON f.oid = k.confrelid
LEFT JOIN pg_catalog.pg_namespace AS fn ON fn.oid = f.relnamespace
WHERE k.contype IN ('c', 'p', 'u', 'f', 'x', 't')
  AND (k.contype <> 'f' OR parent.conrelid IS DISTINCT FROM k.conrelid)
  AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'concertina', 'concertina_archive')
ORDER BY k.conrelid, k.oid
