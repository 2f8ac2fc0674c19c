-- An enum or a domain. $1 is its oid.
SELECT json_build_object(
    'columns', '[]'::json,
    'before', CASE t.typtype
        WHEN 'e' THEN jsonb_build_array(format('CREATE TYPE %s AS ENUM (%s)', t.oid::regtype,
            (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder) FROM pg_enum AS e WHERE e.enumtypid = t.oid)))
        WHEN 'd' THEN jsonb_build_array(concat_ws(' ', 'CREATE DOMAIN', t.oid::regtype::text, 'AS', format_type(t.typbasetype, t.typtypmod),
            CASE WHEN t.typcollation <> b.typcollation THEN 'COLLATE ' || t.typcollation::regcollation END,
            'DEFAULT ' || t.typdefault,
            (SELECT string_agg(format('CONSTRAINT %I %s', k.conname, pg_get_constraintdef(k.oid)), ' ' ORDER BY k.conname)
                FROM pg_constraint AS k WHERE k.contypid = t.oid AND k.contype = 'c'),
            CASE WHEN t.typnotnull THEN 'NOT NULL' END))
        ELSE '[]'
    END,
    'after', (
        SELECT coalesce(jsonb_agg(sql), '[]') FROM (
            SELECT format('COMMENT ON TYPE %s IS %L', t.oid::regtype, obj_description(t.oid, 'pg_type'))
                WHERE obj_description(t.oid, 'pg_type') IS NOT NULL
            UNION ALL SELECT format('ALTER TYPE %s OWNER TO %I', t.oid::regtype, pg_get_userbyid(t.typowner))
                WHERE pg_get_userbyid(t.typowner) <> current_user
        ) AS all_of_it (sql)
    ),
    'sequences', '[]'::json,
    'cannot', CASE WHEN t.typtype NOT IN ('e', 'd') THEN 'it is neither an enum nor a domain' END
)
FROM pg_type AS t LEFT JOIN pg_type AS b ON b.oid = t.typbasetype WHERE t.oid = $1::oid
