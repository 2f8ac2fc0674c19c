-- Indexes, those behind constraints included. Columns inside expressions and predicates are known from pg_depend.
SELECT json_build_object(
    'relation', i.indrelid::bigint,
    'name', x.relname,
    'columns', (
        SELECT json_agg(a.attname ORDER BY key.place)
        FROM unnest(i.indkey::smallint[]) WITH ORDINALITY AS key (attnum, place)
        LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = key.attnum AND key.attnum <> 0
        WHERE key.place <= i.indnkeyatts
    ),
    'include', (
        SELECT coalesce(json_agg(a.attname ORDER BY key.place), '[]')
        FROM unnest(i.indkey::smallint[]) WITH ORDINALITY AS key (attnum, place)
        JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = key.attnum
        WHERE key.place > i.indnkeyatts
    ),
    'uses', (
        SELECT coalesce(json_agg(a.attname), '[]') FROM pg_catalog.pg_attribute AS a
        WHERE a.attrelid = i.indrelid AND a.attnum > 0
          AND (a.attnum = ANY (i.indkey::smallint[])
               OR EXISTS (
                   SELECT FROM pg_catalog.pg_depend AS d
                   WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = i.indexrelid AND d.objsubid = 0
                     AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = i.indrelid
                     AND d.refobjsubid = a.attnum
               ))
    ),
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
