-- Functions and procedures outside PostgreSQL's own schemas, those of extensions included: expressions call them.
SELECT json_build_object(
    'schema', n.nspname,
    'name', p.proname,
    'arguments', pg_get_function_identity_arguments(p.oid),
    'volatility', p.provolatile,
    -- Its text, which the server looks into only when it runs; what a body in standard SQL needs, it knows by oid.
    'body', CASE WHEN l.lanname NOT IN ('c', 'internal') THEN p.prosrc END
)
FROM pg_catalog.pg_proc AS p
JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'concertina', 'concertina_archive')
