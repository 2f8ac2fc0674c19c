-- Row level security policies, with the statements that make them again.
SELECT json_build_object(
    'relation', p.polrelid::bigint,
    'name', p.polname,
    'permissive', p.polpermissive,
    'anew', array_remove(ARRAY[
        format('CREATE POLICY %I ON %I.%I AS %s FOR %s TO %s%s%s', p.polname, n.nspname, c.relname,
            CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
            CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
            (SELECT string_agg(CASE role WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(role)) END, ', ' ORDER BY role)
             FROM unnest(p.polroles) AS role),
            ' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')',
            ' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')'),
        CASE WHEN obj_description(p.oid, 'pg_policy') IS NOT NULL THEN
            format('COMMENT ON POLICY %I ON %I.%I IS %L', p.polname, n.nspname, c.relname, obj_description(p.oid, 'pg_policy'))
        END
    ], NULL)
)
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_policy AS p ON p.polrelid = c.oid
WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'concertina', 'concertina_archive')
ORDER BY p.polrelid, p.polname
