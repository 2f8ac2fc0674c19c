-- What gives our role the right to an object of this class ($1) and name ($2) that it lacks: what for, and the statement without its
-- last word. $3: it must be the owner; $4: what the statement does to tables.
WITH thing AS (
    SELECT CASE c.relkind
               WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' WHEN 'S' THEN 'sequence'
               WHEN 'i' THEN 'index' WHEN 'I' THEN 'index' ELSE 'table'
           END AS class,
           n.nspname AS schema, c.relname AS name, format('%I.%I', n.nspname, c.relname) AS quoted, c.relowner AS owner,
           CASE
               WHEN c.relkind IN ('i', 'I') THEN NULL
               WHEN c.relkind = 'S' AND NOT has_sequence_privilege(c.oid, 'USAGE') THEN 'USAGE'
               WHEN c.relkind = 'S' THEN NULL
               ELSE (
                   SELECT string_agg(p.name, ', ' ORDER BY p.at) FROM unnest($4::text[]) WITH ORDINALITY AS p (name, at)
                   WHERE NOT has_table_privilege(c.oid, p.name)
               )
           END AS lacks,
           CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS word
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'i', 'I')
    UNION ALL
    SELECT CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END,
           n.nspname, p.proname, format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)), p.proowner,
           CASE WHEN NOT has_function_privilege(p.oid, 'EXECUTE') THEN 'EXECUTE' END,
           CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END
    FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
    UNION ALL
    SELECT CASE t.typtype WHEN 'd' THEN 'domain' ELSE 'type' END,
           n.nspname, t.typname, format('%I.%I', n.nspname, t.typname), t.typowner,
           CASE WHEN NOT has_type_privilege(t.oid, 'USAGE') THEN 'USAGE' END, 'TYPE'
    FROM pg_catalog.pg_type AS t JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace
    WHERE t.typtype IN ('b', 'c', 'd', 'e', 'r', 'm')
    UNION ALL
    SELECT 'schema', '', n.nspname, quote_ident(n.nspname), n.nspowner,
           CASE WHEN NOT has_schema_privilege(n.oid, 'USAGE') THEN 'USAGE'
                WHEN NOT has_schema_privilege(n.oid, 'CREATE') THEN 'USAGE, CREATE' END,
           'SCHEMA'
    FROM pg_catalog.pg_namespace AS n
    UNION ALL
    SELECT 'language', '', l.lanname, quote_ident(l.lanname), l.lanowner,
           CASE WHEN NOT has_language_privilege(l.oid, 'USAGE') THEN 'USAGE' END, 'LANGUAGE'
    FROM pg_catalog.pg_language AS l
    UNION ALL
    SELECT 'database', '', d.datname, quote_ident(d.datname), d.datdba,
           CASE WHEN NOT has_database_privilege(d.oid, 'CREATE') THEN 'CREATE' END, 'DATABASE'
    FROM pg_catalog.pg_database AS d
)
SELECT CASE WHEN $3 THEN format('does not own %s, which belongs to %I', t.quoted, o.rolname)
            ELSE format('lacks %s on %s %s', t.lacks, t.class, t.quoted) END,
       CASE WHEN $3 THEN format('GRANT %I', o.rolname)
            ELSE format('GRANT %s ON %s %s', t.lacks, t.word, t.quoted) END
FROM thing AS t JOIN pg_catalog.pg_roles AS o ON o.oid = t.owner
WHERE (t.class = $1 OR $1 = 'relation')
  AND $2 IN (t.name, quote_ident(t.name), t.schema || '.' || t.name, t.quoted, format('%I.%I', t.schema, t.name))
  AND CASE WHEN $3
      -- Membership in a superuser would give away everything, and there is no other statement for all sorts of objects.
      THEN NOT pg_has_role(t.owner, 'USAGE') AND NOT o.rolsuper
      ELSE t.lacks IS NOT NULL END
