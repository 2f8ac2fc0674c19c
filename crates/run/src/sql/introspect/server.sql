-- The server, our role, and what has no table of its own below.
SELECT json_build_object(
    'version', current_setting('server_version_num')::integer,
    'role', current_user,
    'superuser', (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user),
    'search_path', current_schemas(false),
    'schemas', (
        SELECT coalesce(json_agg(nspname), '[]') FROM pg_catalog.pg_namespace
        WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'concertina', 'concertina_archive')
    ),
    'extensions', (SELECT coalesce(json_agg(extname), '[]') FROM pg_catalog.pg_extension)
)
