-- Tables and what is queried like one. Measuring a file waits for whoever has it locked, and a REINDEX has its index for long: such
-- indexes count as empty.
WITH locked AS MATERIALIZED (
    SELECT l.relation FROM pg_catalog.pg_locks AS l
    WHERE l.mode = 'AccessExclusiveLock' AND l.relation IS NOT NULL
      AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
)
SELECT json_build_object(
    'oid', c.oid::bigint,
    'schema', n.nspname,
    'name', c.relname,
    'kind', c.relkind,
    'owner', pg_get_userbyid(c.relowner),
    'unlogged', c.relpersistence = 'u',
    'row_security', c.relrowsecurity,
    'row_security_forced', c.relforcerowsecurity,
    'tuples', c.reltuples,
    'pages', c.relpages,
    'block', current_setting('block_size')::bigint,
    'heap', CASE WHEN c.relkind IN ('r', 'm') THEN pg_relation_size(c.oid) END,
    'bytes', CASE WHEN c.relkind IN ('r', 'm') THEN pg_table_size(c.oid) END,
    'index_bytes', CASE WHEN c.relkind IN ('r', 'm') THEN (
        SELECT sum(pg_relation_size(i.indexrelid))::bigint FROM pg_catalog.pg_index AS i
        WHERE i.indrelid = c.oid AND i.indexrelid NOT IN (SELECT relation FROM locked)
    ) END,
    'partition_of', (
        SELECT h.inhparent::bigint FROM pg_catalog.pg_inherits AS h
        WHERE h.inhrelid = c.oid AND c.relispartition LIMIT 1
    ),
    'detaching', EXISTS (
        SELECT FROM pg_catalog.pg_inherits AS h WHERE h.inhrelid = c.oid AND h.inhdetachpending
    ),
    'partition_bound', pg_get_expr(c.relpartbound, c.oid),
    'partition_by', CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END,
    'inherits', EXISTS (
        SELECT FROM pg_catalog.pg_inherits AS h
        WHERE (h.inhrelid = c.oid AND NOT c.relispartition) OR (h.inhparent = c.oid AND c.relkind <> 'p')
    ),
    -- Columns of the key itself in its order (0 for an expression), then all of them, those inside expressions too. Both depend
    -- on their table internally. Source: StorePartitionKey in src/backend/catalog/heap.c.
    'partition_key', CASE WHEN c.relkind = 'p' THEN (
        SELECT p.partattrs::smallint[] || ARRAY(
            SELECT d.objsubid::smallint FROM pg_catalog.pg_depend AS d
            WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.objsubid > 0
              AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = c.oid AND d.refobjsubid = 0
              AND d.deptype = 'i'
            ORDER BY d.objsubid
        )
        FROM pg_catalog.pg_partitioned_table AS p WHERE p.partrelid = c.oid
    ) END
)
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c')
  AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'concertina', 'concertina_archive')
ORDER BY c.oid
