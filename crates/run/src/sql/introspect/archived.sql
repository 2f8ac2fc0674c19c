-- Tables that carry a label of ours in the archive, with their columns: undo kept rows or values there.
SELECT json_build_object(
    'name', c.relname,
    'columns', (
        SELECT json_agg(json_build_array(a.attname, format_type(a.atttypid, a.atttypmod)) ORDER BY a.attnum)
        FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    )
)
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = 'concertina_archive' AND c.relkind = 'r'
  AND obj_description(c.oid, 'pg_class') LIKE '{"concertina":%'
ORDER BY c.relname
