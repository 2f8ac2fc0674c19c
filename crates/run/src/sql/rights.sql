-- What our role holds on the named relations ($1 schemas, $2 names), types ($3, $4) and schemas ($5). By name in the catalogs, since
-- to_regclass fails where the schema may not be used.
WITH RECURSIVE wanted AS (
    SELECT c.oid, n.nspname, c.relname, c.relkind, c.relowner
    FROM unnest($1::text[], $2::text[]) AS w (schema, name)
    JOIN pg_catalog.pg_namespace AS n ON n.nspname = w.schema
    JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.name
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
), part AS (
    SELECT w.oid AS root, h.inhrelid AS oid
    FROM wanted AS w JOIN pg_catalog.pg_inherits AS h ON h.inhparent = w.oid WHERE w.relkind = 'p'
    UNION
    SELECT p.root, h.inhrelid FROM part AS p JOIN pg_catalog.pg_inherits AS h ON h.inhparent = p.oid
), relation AS (
    SELECT * FROM wanted
    UNION
    SELECT c.oid, n.nspname, c.relname, c.relkind, c.relowner
    FROM part AS p
    JOIN pg_catalog.pg_class AS c ON c.oid = p.oid
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
)
SELECT json_build_object(
    'role', current_user,
    'login', session_user,
    'database', current_database(),
    'version', current_setting('server_version_num')::integer,
    'create_in_database', has_database_privilege(current_database(), 'CREATE'),
    'ledger', (
        SELECT count(*) = 2 FROM pg_catalog.pg_namespace WHERE nspname IN ('concertina', 'concertina_archive')
    ),
    -- Its columns are NULL for who may not see them. Logical subscribers are none of ours.
    'blind_to_standbys', NOT pg_has_role(session_user, 'pg_read_all_stats', 'USAGE') AND EXISTS (
        SELECT FROM pg_catalog.pg_stat_replication AS r
        LEFT JOIN pg_catalog.pg_replication_slots AS s ON s.active_pid = r.pid
        WHERE s.slot_type IS DISTINCT FROM 'logical'
    ),
    'extensions', (SELECT coalesce(json_agg(extname), '[]') FROM pg_catalog.pg_extension),
    'schemas', (
        SELECT coalesce(json_agg(json_build_object(
            'name', n.nspname,
            'rights', json_build_object(
                'usage', has_schema_privilege(n.oid, 'USAGE'),
                'create', has_schema_privilege(n.oid, 'CREATE'),
                'owns', pg_has_role(n.nspowner, 'USAGE')
            )
        )), '[]')
        FROM pg_catalog.pg_namespace AS n WHERE n.nspname = ANY ($5::text[])
    ),
    'relations', (
        SELECT coalesce(json_agg(json_build_object(
            'schema', c.nspname,
            'name', c.relname,
            'owner', o.rolname,
            'owns', pg_has_role(c.relowner, 'USAGE'),
            'member', pg_has_role(c.relowner, 'MEMBER'),
            'superuser', o.rolsuper,
            'sort', CASE c.relkind
                WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'S' THEN 'SEQUENCE'
                ELSE 'TABLE'
            END,
            'select', has_table_privilege(c.oid, 'SELECT'),
            'trigger', has_table_privilege(c.oid, 'TRIGGER'),
            'references', (
                SELECT coalesce(json_agg(a.attname), '[]') FROM pg_catalog.pg_attribute AS a
                WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                  AND has_column_privilege(c.oid, a.attnum, 'REFERENCES')
            ),
            'partitions', (
                SELECT coalesce(json_agg(json_build_array(r.nspname, r.relname)), '[]')
                FROM part AS p JOIN relation AS r ON r.oid = p.oid WHERE p.root = c.oid
            )
        )), '[]')
        FROM relation AS c JOIN pg_catalog.pg_roles AS o ON o.oid = c.relowner
    ),
    'types', (
        SELECT coalesce(json_agg(json_build_object(
            'schema', n.nspname,
            'name', t.typname,
            'owner', o.rolname,
            'owns', pg_has_role(t.typowner, 'USAGE'),
            'member', pg_has_role(t.typowner, 'MEMBER'),
            'superuser', o.rolsuper
        )), '[]')
        FROM unnest($3::text[], $4::text[]) AS w (schema, name)
        JOIN pg_catalog.pg_namespace AS n ON n.nspname = w.schema
        JOIN pg_catalog.pg_type AS t ON t.typnamespace = n.oid AND t.typname = w.name
        JOIN pg_catalog.pg_roles AS o ON o.oid = t.typowner
    )
)
