-- What we may not remove, and what an administrator could do about it.
SELECT pg_catalog.quote_ident(current_user) AS role, pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(owner)) AS owner, what,
       remedy
FROM (
    SELECT 1, nspowner, pg_catalog.format('schema %I', nspname),
           pg_catalog.format('ALTER SCHEMA %I OWNER TO %I', nspname, current_user)
    FROM pg_catalog.pg_namespace WHERE nspname IN ('concertina', 'concertina_archive')
    UNION ALL
    SELECT 2, c.relowner, pg_catalog.format('trigger %I of table %I.%I', t.tgname, n.nspname, c.relname),
           pg_catalog.format('DROP TRIGGER %I ON %I.%I', t.tgname, n.nspname, c.relname)
    FROM pg_catalog.pg_trigger AS t
    JOIN pg_catalog.pg_proc AS f ON f.oid = t.tgfoid
    JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE NOT t.tgisinternal AND t.tgparentid = 0
      AND f.pronamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = 'concertina')
) AS ours (place, owner, what, remedy)
WHERE NOT pg_catalog.pg_has_role(owner, 'USAGE')
ORDER BY place, what
