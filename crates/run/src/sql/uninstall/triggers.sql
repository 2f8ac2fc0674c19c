-- Triggers that call our functions, as DROP TRIGGER names them. Those of partitions go with their parent's.
SELECT pg_catalog.format('%I ON %I.%I', t.tgname, n.nspname, c.relname) AS on_table
FROM pg_catalog.pg_trigger AS t
JOIN pg_catalog.pg_proc AS f ON f.oid = t.tgfoid
JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE NOT t.tgisinternal AND t.tgparentid = 0
  AND f.pronamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = 'concertina')
ORDER BY 1
