-- What to drop of a schema, and the schema last. One statement for all tables, since they may reference each other, and one
-- for each routine and type. A sequence that belongs to a column, and a partition, go with their table; what is part of a
-- type goes with it.
WITH schema AS (SELECT oid, nspname FROM pg_catalog.pg_namespace WHERE nspname = $1),
relation AS (
    SELECT c.oid, c.relkind, pg_catalog.format('%I.%I', schema.nspname, c.relname) AS name
    FROM pg_catalog.pg_class AS c JOIN schema ON schema.oid = c.relnamespace
    WHERE NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend AS d
        JOIN pg_catalog.pg_class AS of ON of.oid = d.refobjid AND of.relnamespace = c.relnamespace
        WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0
          AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.deptype IN ('a', 'i')
    )
),
object (place, what, name) AS (
    SELECT 1, 'VIEW', name FROM relation WHERE relkind = 'v'
    UNION ALL SELECT 2, 'MATERIALIZED VIEW', name FROM relation WHERE relkind = 'm'
    UNION ALL SELECT 3, 'TABLE', name FROM relation WHERE relkind IN ('r', 'p')
    UNION ALL SELECT 4, 'FOREIGN TABLE', name FROM relation WHERE relkind = 'f'
    UNION ALL SELECT 5, 'SEQUENCE', name FROM relation WHERE relkind = 'S'
    UNION ALL
    SELECT 6, 'ROUTINE', pg_catalog.format('%I.%I(%s)', schema.nspname, f.proname,
                                           pg_catalog.pg_get_function_identity_arguments(f.oid))
    FROM pg_catalog.pg_proc AS f JOIN schema ON schema.oid = f.pronamespace
    UNION ALL
    SELECT 7, 'TYPE', pg_catalog.format('%I.%I', schema.nspname, t.typname)
    FROM pg_catalog.pg_type AS t JOIN schema ON schema.oid = t.typnamespace
    WHERE NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend AS d
        WHERE d.classid = 'pg_catalog.pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'i'
    )
    UNION ALL SELECT 8, 'SCHEMA', pg_catalog.quote_ident(nspname) FROM schema
)
SELECT what, pg_catalog.string_agg(name, ', ' ORDER BY name) FROM object
GROUP BY place, what, CASE WHEN place IN (6, 7) THEN name END
ORDER BY place, min(name)
