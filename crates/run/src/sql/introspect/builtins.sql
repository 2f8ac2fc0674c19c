-- The worst volatility among the overloads of each of PostgreSQL's own functions: v after s after i, as luck has it.
SELECT json_object_agg(proname, volatility) FROM (
    SELECT proname, max(provolatile::text COLLATE "C") AS volatility FROM pg_catalog.pg_proc
    WHERE pronamespace = 'pg_catalog'::regnamespace GROUP BY proname
) AS builtin
