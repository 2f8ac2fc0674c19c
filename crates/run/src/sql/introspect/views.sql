-- Statements that make a view or materialized view anew: its query, options, owner, defaults, privileges and comments. Indexes and
-- triggers are read elsewhere; a view with rules of its own cannot be made so, and has none.
WITH view AS MATERIALIZED (
    SELECT c.oid, c.relkind, c.relowner, c.relacl, c.reloptions, c.reltablespace, format('%I.%I', n.nspname, c.relname) AS name,
           CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'MATERIALIZED VIEW' END AS noun
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('v', 'm') AND (c.relkind = 'v' OR c.relispopulated)
      AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'concertina', 'concertina_archive')
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_rewrite AS w WHERE w.ev_class = c.oid AND w.rulename <> '_RETURN')
),
statement AS (
    SELECT v.oid, 1 AS place, '' AS item, format(
        'CREATE %s %s%s%s AS %s', v.noun, v.name,
        ' WITH (' || (
            SELECT string_agg(format('%I = %L', o.option_name, o.option_value), ', ' ORDER BY o.option_name)
            FROM pg_options_to_table(v.reloptions) AS o
        ) || ')',
        ' TABLESPACE ' || (SELECT quote_ident(s.spcname) FROM pg_catalog.pg_tablespace AS s WHERE s.oid = v.reltablespace),
        rtrim(pg_get_viewdef(v.oid), '; ')
    ) AS sql
    FROM view AS v
    UNION ALL
    SELECT v.oid, 2, a.attname, format('ALTER VIEW %s ALTER COLUMN %I SET DEFAULT %s', v.name, a.attname,
                                       pg_get_expr(d.adbin, d.adrelid))
    FROM view AS v
    JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = v.oid
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = v.oid AND a.attnum = d.adnum
    UNION ALL
    SELECT v.oid, 3, '', format('COMMENT ON %s %s IS %L', v.noun, v.name, obj_description(v.oid, 'pg_class'))
    FROM view AS v WHERE obj_description(v.oid, 'pg_class') IS NOT NULL
    UNION ALL
    SELECT v.oid, 4, a.attname, format('COMMENT ON COLUMN %s.%I IS %L', v.name, a.attname, col_description(v.oid, a.attnum))
    FROM view AS v JOIN pg_catalog.pg_attribute AS a ON a.attrelid = v.oid AND a.attnum > 0
    WHERE col_description(v.oid, a.attnum) IS NOT NULL
    UNION ALL
    -- A default ACL of the owner's may have given rights; what is granted then is exactly what was.
    SELECT v.oid, 5, '', format('REVOKE ALL ON %s FROM PUBLIC, %I', v.name, pg_get_userbyid(v.relowner))
    FROM view AS v WHERE v.relacl IS NOT NULL
    UNION ALL
    SELECT v.oid, 6, g.grantee || g.privilege_type, format(
        'GRANT %s ON %s TO %s%s', g.privilege_type, v.name,
        CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END,
        CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
    )
    FROM view AS v CROSS JOIN LATERAL aclexplode(v.relacl) AS g
    UNION ALL
    SELECT v.oid, 7, a.attname || g.grantee || g.privilege_type, format(
        'GRANT %s (%I) ON %s TO %s%s', g.privilege_type, a.attname, v.name,
        CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END,
        CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
    )
    FROM view AS v
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = v.oid AND a.attnum > 0
    CROSS JOIN LATERAL aclexplode(a.attacl) AS g
    UNION ALL
    SELECT v.oid, 8, '', format('ALTER %s %s OWNER TO %I', v.noun, v.name, pg_get_userbyid(v.relowner))
    FROM view AS v WHERE v.relowner <> (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = current_user)
)
SELECT json_build_object('relation', oid::bigint, 'statements', json_agg(sql ORDER BY place, item))
FROM statement
GROUP BY oid
HAVING bool_and(sql IS NOT NULL)
ORDER BY oid
