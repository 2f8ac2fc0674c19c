-- Sizes of these tables, those that exist. Measuring a file waits for whoever has it locked in ACCESS EXCLUSIVE mode: such tables and
-- indexes are taken by the size that the last VACUUM or ANALYZE noted.
WITH place AS (
    -- 0 is the database's own. What lies in pg_default lies in the data directory.
    SELECT t.oid, nullif(t.spcname, 'pg_default') AS name FROM pg_catalog.pg_tablespace AS t
    UNION ALL
    SELECT 0, nullif(t.spcname, 'pg_default')
    FROM pg_catalog.pg_database AS d JOIN pg_catalog.pg_tablespace AS t ON t.oid = d.dattablespace
    WHERE d.datname = current_database()
), locked AS MATERIALIZED (
    SELECT l.relation FROM pg_catalog.pg_locks AS l
    WHERE l.mode = 'AccessExclusiveLock' AND l.relation IS NOT NULL
      AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
)
SELECT json_build_object(
    'schema', n.nspname,
    'name', c.relname,
    'tuples', c.reltuples,
    'pages', c.relpages,
    'block', current_setting('block_size')::bigint,
    'unlogged', c.relpersistence <> 'p',
    'space', (SELECT name FROM place WHERE oid = c.reltablespace),
    'heap', CASE WHEN c.oid NOT IN (SELECT relation FROM locked) THEN pg_relation_size(c.oid) END,
    'toast', CASE WHEN c.oid NOT IN (SELECT relation FROM locked) THEN pg_table_size(c.oid) - pg_relation_size(c.oid) ELSE 0 END,
    'indexes', coalesce((
        SELECT json_object_agg(x.relname, CASE
            WHEN x.oid IN (SELECT relation FROM locked) THEN x.relpages * current_setting('block_size')::bigint
            ELSE pg_relation_size(x.oid) END)
        FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS x ON x.oid = i.indexrelid
        WHERE i.indrelid = c.oid
    ), '{}'),
    'index_spaces', coalesce((
        SELECT json_object_agg(x.relname, place.name)
        FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS x ON x.oid = i.indexrelid
        JOIN place ON place.oid = x.reltablespace
        WHERE i.indrelid = c.oid AND place.name IS NOT NULL
    ), '{}'),
    -- Statistics are there for tables that the role may read, once they were analysed; otherwise the type tells.
    'widths', coalesce((
        SELECT json_object_agg(a.attname, coalesce(s.avg_width, nullif(a.attlen, -1), 32))
        FROM pg_catalog.pg_attribute AS a
        LEFT JOIN pg_catalog.pg_stats AS s
          ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = a.attname AND NOT s.inherited
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    ), '{}')
)
FROM ROWS FROM (unnest($1), unnest($2)) AS wanted (schema, name)
JOIN pg_catalog.pg_namespace AS n ON n.nspname = wanted.schema
JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = wanted.name
WHERE c.relkind IN ('r', 'm')
