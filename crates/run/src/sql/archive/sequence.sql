-- A sequence that belongs to no column. $1 is its oid.
SELECT json_build_object(
    'columns', '[]'::json,
    'before', jsonb_build_array(format('CREATE SEQUENCE %s AS %s INCREMENT BY %s MINVALUE %s MAXVALUE %s START WITH %s CACHE %s %s',
        s.seqrelid::regclass, format_type(s.seqtypid, NULL), s.seqincrement, s.seqmin, s.seqmax, s.seqstart, s.seqcache,
        CASE WHEN s.seqcycle THEN 'CYCLE' ELSE 'NO CYCLE' END)),
    'after', (
        SELECT coalesce(jsonb_agg(sql), '[]') FROM (
            SELECT format('COMMENT ON SEQUENCE %s IS %L', c.oid::regclass, obj_description(c.oid, 'pg_class'))
                WHERE obj_description(c.oid, 'pg_class') IS NOT NULL
            UNION ALL SELECT format('ALTER SEQUENCE %s OWNER TO %I', c.oid::regclass, pg_get_userbyid(c.relowner))
                WHERE pg_get_userbyid(c.relowner) <> current_user
            UNION ALL SELECT format('GRANT %s ON SEQUENCE %s TO %s', g.privilege_type, c.oid::regclass,
                CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END)
                FROM aclexplode(c.relacl) AS g WHERE g.grantee <> c.relowner
        ) AS all_of_it (sql)
    ),
    'sequences', json_build_array(s.seqrelid::regclass::text),
    'cannot', NULL
)
FROM pg_sequence AS s JOIN pg_class AS c ON c.oid = s.seqrelid WHERE s.seqrelid = $1::oid
