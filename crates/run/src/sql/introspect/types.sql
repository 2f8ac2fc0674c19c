-- Types that somebody made, the multiranges that come with ranges included; row types of tables and array types are not. A
-- domain over a constrained domain is constrained.
WITH RECURSIVE base AS (
    SELECT t.oid AS domain, t.oid, t.typbasetype, t.typtype, t.typnotnull FROM pg_catalog.pg_type AS t WHERE t.typtype = 'd'
    UNION ALL
    SELECT b.domain, t.oid, t.typbasetype, t.typtype, t.typnotnull
    FROM base AS b JOIN pg_catalog.pg_type AS t ON t.oid = b.typbasetype AND t.typtype = 'd'
)
SELECT json_build_object(
    'schema', n.nspname,
    'name', t.typname,
    'kind', t.typtype,
    'labels', CASE WHEN t.typtype = 'e' THEN (
        SELECT coalesce(json_agg(e.enumlabel ORDER BY e.enumsortorder), '[]') FROM pg_catalog.pg_enum AS e
        WHERE e.enumtypid = t.oid
    ) END,
    'constrained', EXISTS (
        SELECT FROM base AS b
        WHERE b.domain = t.oid
          AND (b.typnotnull OR EXISTS (SELECT FROM pg_catalog.pg_constraint AS k WHERE k.contypid = b.oid))
    ),
    'default', t.typdefault IS NOT NULL
)
FROM pg_catalog.pg_type AS t
JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace
LEFT JOIN pg_catalog.pg_class AS c ON c.oid = t.typrelid
WHERE (t.typtype IN ('e', 'd', 'r', 'm') OR (t.typtype = 'c' AND c.relkind = 'c')
       OR (t.typtype = 'b' AND NOT EXISTS (SELECT FROM pg_catalog.pg_type AS e WHERE e.typarray = t.oid)))
  AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'concertina', 'concertina_archive')
