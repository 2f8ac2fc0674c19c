-- An enum, a domain or a composite type. $1 is its oid.
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
        WHEN 'c' THEN jsonb_build_array(format('CREATE TYPE %s AS (%s)', t.oid::regtype,
            (SELECT string_agg(concat_ws(' ', quote_ident(a.attname), format_type(a.atttypid, a.atttypmod),
                    CASE WHEN a.attcollation <> y.typcollation THEN 'COLLATE ' || a.attcollation::regcollation END), ', ' ORDER BY a.attnum)
                FROM pg_attribute AS a JOIN pg_type AS y ON y.oid = a.atttypid
                WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped)))
        ELSE '[]'
    END,
    'after', (
        SELECT coalesce(jsonb_agg(sql), '[]') FROM (
            SELECT format('COMMENT ON TYPE %s IS %L', t.oid::regtype, obj_description(t.oid, 'pg_type'))
                WHERE obj_description(t.oid, 'pg_type') IS NOT NULL
            UNION ALL SELECT format('COMMENT ON COLUMN %s.%I IS %L', t.oid::regtype, a.attname, col_description(a.attrelid, a.attnum))
                FROM pg_attribute AS a WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND col_description(a.attrelid, a.attnum) IS NOT NULL
            UNION ALL SELECT format('ALTER TYPE %s OWNER TO %I', t.oid::regtype, pg_get_userbyid(t.typowner))
                WHERE pg_get_userbyid(t.typowner) <> current_user
        ) AS all_of_it (sql)
    ),
    'sequences', '[]'::json,
    'cannot', CASE WHEN t.typtype NOT IN ('e', 'd', 'c') THEN 'it is neither an enum nor a domain nor a composite type' END
)
FROM pg_type AS t LEFT JOIN pg_type AS b ON b.oid = t.typbasetype WHERE t.oid = $1::oid
