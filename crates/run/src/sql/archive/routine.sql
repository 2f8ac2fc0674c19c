-- A function, a procedure or an aggregate. $1 is its oid. What an aggregate is made of: `dumpAgg` in src/bin/pg_dump/pg_dump.c.
SELECT json_build_object(
    'columns', '[]'::json,
    'before', jsonb_build_array(CASE WHEN p.prokind <> 'a' THEN pg_get_functiondef(p.oid) ELSE (
        SELECT format('CREATE AGGREGATE %s.%I (%s) (%s)', p.pronamespace::regnamespace, p.proname,
            coalesce(nullif(pg_get_function_identity_arguments(p.oid), ''), '*'), concat_ws(', ',
            'SFUNC = ' || a.aggtransfn::text, 'STYPE = ' || format_type(a.aggtranstype, NULL),
            'SSPACE = ' || nullif(a.aggtransspace, 0), 'INITCOND = ' || quote_literal(a.agginitval),
            'FINALFUNC = ' || CASE WHEN a.aggfinalfn <> 0 THEN a.aggfinalfn::text END,
            CASE WHEN a.aggfinalextra THEN 'FINALFUNC_EXTRA' END,
            CASE WHEN a.aggfinalfn <> 0 THEN 'FINALFUNC_MODIFY = ' || changes.name END,
            'COMBINEFUNC = ' || CASE WHEN a.aggcombinefn <> 0 THEN a.aggcombinefn::text END, 'SERIALFUNC = ' || CASE WHEN a.aggserialfn <> 0 THEN a.aggserialfn::text END,
            'DESERIALFUNC = ' || CASE WHEN a.aggdeserialfn <> 0 THEN a.aggdeserialfn::text END,
            'MSFUNC = ' || CASE WHEN a.aggmtransfn <> 0 THEN a.aggmtransfn::text END, 'MINVFUNC = ' || CASE WHEN a.aggminvtransfn <> 0 THEN a.aggminvtransfn::text END,
            CASE WHEN a.aggmtranstype <> 0 THEN 'MSTYPE = ' || format_type(a.aggmtranstype, NULL) END,
            'MSSPACE = ' || nullif(a.aggmtransspace, 0), 'MINITCOND = ' || quote_literal(a.aggminitval),
            'MFINALFUNC = ' || CASE WHEN a.aggmfinalfn <> 0 THEN a.aggmfinalfn::text END,
            CASE WHEN a.aggmfinalextra THEN 'MFINALFUNC_EXTRA' END,
            CASE WHEN a.aggmfinalfn <> 0 THEN 'MFINALFUNC_MODIFY = ' || moving.name END,
            (SELECT format('SORTOP = OPERATOR(%s.%s)', o.oprnamespace::regnamespace, o.oprname) FROM pg_operator AS o WHERE o.oid = a.aggsortop),
            CASE p.proparallel WHEN 's' THEN 'PARALLEL = safe' WHEN 'r' THEN 'PARALLEL = restricted' END,
            CASE WHEN a.aggkind = 'h' THEN 'HYPOTHETICAL' END))
        FROM pg_aggregate AS a,
             LATERAL (SELECT CASE a.aggfinalmodify WHEN 'r' THEN 'READ_ONLY' WHEN 's' THEN 'SHAREABLE' ELSE 'READ_WRITE' END) AS changes (name),
             LATERAL (SELECT CASE a.aggmfinalmodify WHEN 'r' THEN 'READ_ONLY' WHEN 's' THEN 'SHAREABLE' ELSE 'READ_WRITE' END) AS moving (name)
        WHERE a.aggfnoid = p.oid
    ) END),
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
    'cannot', NULL
)
FROM pg_proc AS p WHERE p.oid = $1::oid
