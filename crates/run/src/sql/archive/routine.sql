-- A function or procedure. $1 is its oid.
SELECT json_build_object(
    'columns', '[]'::json,
    'before', CASE WHEN p.prokind IN ('f', 'p', 'w') THEN jsonb_build_array(pg_get_functiondef(p.oid)) ELSE '[]' END,
    'after', (
        SELECT coalesce(jsonb_agg(sql ORDER BY place), '[]') FROM (
            SELECT 1, format('COMMENT ON ROUTINE %s IS %L', p.oid::regprocedure, obj_description(p.oid, 'pg_proc'))
                WHERE obj_description(p.oid, 'pg_proc') IS NOT NULL
            UNION ALL SELECT 2, format('ALTER ROUTINE %s OWNER TO %I', p.oid::regprocedure, pg_get_userbyid(p.proowner))
                WHERE pg_get_userbyid(p.proowner) <> current_user
            UNION ALL SELECT 3, format('REVOKE ALL ON ROUTINE %s FROM PUBLIC', p.oid::regprocedure) WHERE p.proacl IS NOT NULL
            UNION ALL SELECT 4, format('GRANT EXECUTE ON ROUTINE %s TO %s', p.oid::regprocedure,
                CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END)
                FROM aclexplode(p.proacl) AS g WHERE g.grantee <> p.proowner
        ) AS all_of_it (place, sql)
    ),
    'sequences', '[]'::json,
    'cannot', CASE WHEN p.prokind = 'a' THEN 'it is an aggregate' END
)
FROM pg_proc AS p WHERE p.oid = $1::oid
