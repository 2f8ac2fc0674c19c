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
    'default', CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END,
    'extras', json_strip_nulls(json_build_object(
        'collation', CASE WHEN a.attcollation <> t.typcollation THEN (
            SELECT format('%I.%I', l.nspname, o.collname) FROM pg_catalog.pg_collation AS o
            JOIN pg_catalog.pg_namespace AS l ON l.oid = o.collnamespace
            WHERE o.oid = a.attcollation
        ) END,
        'grants', CASE WHEN a.attacl IS NULL THEN '[]' ELSE (
            SELECT coalesce(json_agg(json_build_object(
                'privilege', g.privilege_type,
                'to', CASE WHEN g.grantee <> 0 THEN pg_get_userbyid(g.grantee) END,
                'grantable', g.is_grantable
            ) ORDER BY g.privilege_type, g.grantee), '[]')
            FROM aclexplode(a.attacl) AS g
        ) END,
        'comment', e.description,
        -- -1, and from 17 on NULL, is the default.
        'statistics', nullif(a.attstattarget, -1)
    ))
)
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_description AS e
       ON e.classoid = 'pg_catalog.pg_class'::regclass AND e.objoid = a.attrelid AND e.objsubid = a.attnum
LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
LEFT JOIN pg_catalog.pg_constraint AS k
       ON k.contype = 'n' AND k.conrelid = a.attrelid AND k.conkey[1] = a.attnum
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c')
  AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'concertina', 'concertina_archive')
ORDER BY a.attrelid, a.attnum
