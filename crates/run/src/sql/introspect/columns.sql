-- Live columns in attribute order. On 18 a NOT NULL marking has a constraint, and is set while that is still NOT VALID.
SELECT json_build_object(
    'relation', a.attrelid::bigint,
    'number', a.attnum,
    'name', a.attname,
    'data_type', format_type(a.atttypid, a.atttypmod),
    'not_null', a.attnotnull,
    'not_null_name', k.conname,
    'not_null_valid', coalesce(k.convalidated, true),
    'identity', a.attidentity,
    'generated', a.attgenerated,
    'default', CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END
)
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
LEFT JOIN pg_catalog.pg_constraint AS k
       ON k.contype = 'n' AND k.conrelid = a.attrelid AND k.conkey[1] = a.attnum
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c')
  AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'concertina', 'concertina_archive')
ORDER BY a.attrelid, a.attnum
