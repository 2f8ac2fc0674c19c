-- What lies in the archive, with its size.
WITH schema AS (SELECT oid, nspname FROM pg_catalog.pg_namespace WHERE nspname = 'concertina_archive'),
object (oid, class, name, kind) AS (
    SELECT oid, 'pg_catalog.pg_class'::regclass, relname, relkind FROM pg_catalog.pg_class
    WHERE relnamespace = (SELECT oid FROM schema) AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
    UNION ALL
    SELECT oid, 'pg_catalog.pg_proc'::regclass, proname, NULL FROM pg_catalog.pg_proc
    WHERE pronamespace = (SELECT oid FROM schema)
    UNION ALL
    SELECT oid, 'pg_catalog.pg_type'::regclass, typname, NULL FROM pg_catalog.pg_type
    WHERE typnamespace = (SELECT oid FROM schema)
),
archived AS (
    SELECT pg_catalog.format('%I.%I', schema.nspname, object.name) AS name,
           CASE WHEN kind IN ('r', 'm', 'S') THEN pg_catalog.pg_total_relation_size(object.oid)
                WHEN kind = 'p' THEN (SELECT sum(pg_catalog.pg_total_relation_size(relid))::bigint
                                      FROM pg_catalog.pg_partition_tree(object.oid::regclass)) END AS bytes
    FROM object CROSS JOIN schema
    -- A table's row type, its partitions and the sequences of its columns are parts of it.
    WHERE NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend AS d
        WHERE d.classid = object.class AND d.objid = object.oid AND d.objsubid = 0 AND d.deptype IN ('a', 'i')
    )
)
SELECT name, bytes, pg_catalog.pg_size_pretty(bytes) AS size FROM archived ORDER BY name
