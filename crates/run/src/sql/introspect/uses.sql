-- Who needs a function, a type or a sequence that somebody made: what DROP without CASCADE would fail for. Automatic and internal
-- dependencies go with the object. What lies in our own schemas does not count: it moves along or goes by itself.
WITH object AS MATERIALIZED (
    SELECT 'function' AS sort, 'pg_catalog.pg_proc'::regclass AS classid, p.oid AS objid, p.pronamespace AS namespace,
           p.proname AS name
    FROM pg_catalog.pg_proc AS p
    UNION ALL
    SELECT 'type', 'pg_catalog.pg_type'::regclass, t.oid, t.typnamespace, t.typname FROM pg_catalog.pg_type AS t
    UNION ALL
    -- Columns of an array depend on the array's type.
    SELECT 'type', 'pg_catalog.pg_type'::regclass, t.typarray, t.typnamespace, t.typname
    FROM pg_catalog.pg_type AS t WHERE t.typarray <> 0
    UNION ALL
    SELECT 'sequence', 'pg_catalog.pg_class'::regclass, c.oid, c.relnamespace, c.relname
    FROM pg_catalog.pg_class AS c WHERE c.relkind = 'S'
),
own AS MATERIALIZED (
    SELECT oid FROM pg_catalog.pg_namespace
    WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'concertina', 'concertina_archive')
),
dependency AS MATERIALIZED (
    SELECT DISTINCT o.sort, n.nspname AS schema, o.name, d.classid, d.objid, d.objsubid
    FROM object AS o
    JOIN own ON own.oid = o.namespace
    JOIN pg_catalog.pg_namespace AS n ON n.oid = o.namespace
    JOIN pg_catalog.pg_depend AS d ON d.refclassid = o.classid AND d.refobjid = o.objid
    WHERE d.deptype = 'n'
),
used AS (
    SELECT p.*, 'column' AS by, c.oid AS relation, a.attname AS part
    FROM dependency AS p
    JOIN pg_catalog.pg_class AS c ON p.classid = 'pg_catalog.pg_class'::regclass AND c.oid = p.objid
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = p.objsubid
    WHERE p.objsubid > 0
    UNION ALL
    SELECT p.*, 'index', i.indrelid, c.relname
    FROM dependency AS p
    JOIN pg_catalog.pg_class AS c ON p.classid = 'pg_catalog.pg_class'::regclass AND c.oid = p.objid
    JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid
    UNION ALL
    SELECT p.*, 'default', d.adrelid, a.attname
    FROM dependency AS p
    JOIN pg_catalog.pg_attrdef AS d ON p.classid = 'pg_catalog.pg_attrdef'::regclass AND d.oid = p.objid
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
    UNION ALL
    SELECT p.*, 'constraint', k.conrelid, k.conname
    FROM dependency AS p
    JOIN pg_catalog.pg_constraint AS k ON p.classid = 'pg_catalog.pg_constraint'::regclass AND k.oid = p.objid
    WHERE k.conrelid <> 0
    UNION ALL
    SELECT p.*, 'trigger', t.tgrelid, t.tgname
    FROM dependency AS p
    JOIN pg_catalog.pg_trigger AS t ON p.classid = 'pg_catalog.pg_trigger'::regclass AND t.oid = p.objid
    UNION ALL
    SELECT p.*, 'relation', w.ev_class, NULL
    FROM dependency AS p
    JOIN pg_catalog.pg_rewrite AS w ON p.classid = 'pg_catalog.pg_rewrite'::regclass AND w.oid = p.objid
    UNION ALL
    SELECT p.*, 'other', NULL, NULL
    FROM dependency AS p
    WHERE p.classid NOT IN ('pg_catalog.pg_attrdef'::regclass, 'pg_catalog.pg_constraint'::regclass,
                            'pg_catalog.pg_trigger'::regclass, 'pg_catalog.pg_rewrite'::regclass,
                            'pg_catalog.pg_class'::regclass)
       OR (p.classid = 'pg_catalog.pg_constraint'::regclass
           AND (SELECT k.conrelid FROM pg_catalog.pg_constraint AS k WHERE k.oid = p.objid) = 0)
       -- A partition key.
       OR (p.classid = 'pg_catalog.pg_class'::regclass AND p.objsubid = 0
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_index AS i WHERE i.indexrelid = p.objid))
)
SELECT json_build_object(
    'sort', u.sort,
    'schema', u.schema,
    'name', u.name,
    'by', u.by,
    'relation', u.relation::bigint,
    'part', u.part,
    'description', d.description
)
FROM used AS u
LEFT JOIN pg_catalog.pg_class AS c ON c.oid = u.relation
CROSS JOIN LATERAL (
    SELECT CASE WHEN u.by = 'relation' THEN pg_describe_object('pg_catalog.pg_class'::regclass, u.relation, 0)
                ELSE pg_describe_object(u.classid, u.objid, u.objsubid) END AS description
) AS d
WHERE d.description IS NOT NULL AND (c.oid IS NULL OR c.relnamespace IN (SELECT oid FROM own))
ORDER BY u.sort, u.schema, u.name, d.description
