-- What depends on a table or column and is not part of the table's own description: its indexes, defaults, constraints,
-- triggers without columns, partitions and owned sequences are left out.
WITH relation AS MATERIALIZED (
    SELECT c.oid, c.reltype, t.typarray
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_type AS t ON t.oid = c.reltype
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c')
      AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'concertina', 'concertina_archive')
),
dependency AS MATERIALIZED (
    SELECT r.oid AS relation, d.refobjsubid AS attnum, d.classid, d.objid, d.objsubid, d.deptype, false AS by_type
    FROM relation AS r
    JOIN pg_catalog.pg_depend AS d ON d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = r.oid
    UNION ALL
    -- Columns and functions that use the table's row type.
    SELECT r.oid, 0, d.classid, d.objid, d.objsubid, d.deptype, true
    FROM relation AS r
    JOIN pg_catalog.pg_depend AS d
      ON d.refclassid = 'pg_catalog.pg_type'::regclass AND d.refobjid IN (r.reltype, r.typarray)
    WHERE NOT (d.classid = 'pg_catalog.pg_type'::regclass AND d.objid IN (r.reltype, r.typarray))
),
dependent AS MATERIALIZED (
    -- A view depends by its rule; what is described is the view.
    SELECT p.relation, p.attnum, p.deptype IN ('a', 'i') AS automatic,
           CASE WHEN v.relkind IN ('v', 'm') THEN 'view' ELSE 'other' END AS kind,
           CASE WHEN v.relkind IN ('v', 'm') THEN 'pg_catalog.pg_class'::regclass ELSE p.classid END AS classid,
           CASE WHEN v.relkind IN ('v', 'm') THEN v.oid ELSE p.objid END AS objid, 0 AS objsubid
    FROM dependency AS p
    JOIN pg_catalog.pg_rewrite AS w ON p.classid = 'pg_catalog.pg_rewrite'::regclass AND w.oid = p.objid
    JOIN pg_catalog.pg_class AS v ON v.oid = w.ev_class
    WHERE w.ev_class <> p.relation OR (p.attnum <> 0 AND v.relkind NOT IN ('v', 'm'))
    UNION ALL
    SELECT p.relation, p.attnum, p.deptype IN ('a', 'i'), 'policy', p.classid, p.objid, 0
    FROM dependency AS p
    JOIN pg_catalog.pg_policy AS y ON p.classid = 'pg_catalog.pg_policy'::regclass AND y.oid = p.objid
    WHERE p.attnum <> 0 OR y.polrelid <> p.relation
    UNION ALL
    SELECT p.relation, p.attnum, p.deptype IN ('a', 'i'), 'trigger', p.classid, p.objid, 0
    FROM dependency AS p
    JOIN pg_catalog.pg_trigger AS t ON p.classid = 'pg_catalog.pg_trigger'::regclass AND t.oid = p.objid
    -- Ours come and go with the plan that made them.
    WHERE (p.attnum <> 0 OR t.tgrelid <> p.relation) AND NOT t.tgisinternal AND t.tgname !~ '^[!~]+concertina_'
    UNION ALL
    -- On 14 the generated column itself depends, and automatically: DROP COLUMN would take it along without a word. That is
    -- nothing to happen by the way, so it counts as standing in the way there too.
    SELECT p.relation, p.attnum, false, 'generated_column', p.classid, p.objid, p.objsubid
    FROM dependency AS p
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = p.objid AND a.attnum = p.objsubid AND a.attgenerated <> ''
    WHERE p.classid = 'pg_catalog.pg_class'::regclass AND p.objid = p.relation AND p.objsubid <> p.attnum
      AND p.attnum <> 0 AND NOT p.by_type
    UNION ALL
    SELECT p.relation, p.attnum, false, 'generated_column', 'pg_catalog.pg_class'::regclass, d.adrelid, d.adnum
    FROM dependency AS p
    JOIN pg_catalog.pg_attrdef AS d ON p.classid = 'pg_catalog.pg_attrdef'::regclass AND d.oid = p.objid
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum AND a.attgenerated <> ''
    WHERE p.attnum <> 0 AND (d.adrelid <> p.relation OR d.adnum <> p.attnum)
    UNION ALL
    SELECT p.relation, p.attnum, p.deptype IN ('a', 'i'),
           CASE k.contype WHEN 'f' THEN 'foreign_key' ELSE 'other' END, p.classid, p.objid, 0
    FROM dependency AS p
    JOIN pg_catalog.pg_constraint AS k ON p.classid = 'pg_catalog.pg_constraint'::regclass AND k.oid = p.objid
    WHERE k.conrelid <> p.relation AND k.conparentid = 0
    UNION ALL
    SELECT p.relation, p.attnum, p.deptype IN ('a', 'i'),
           CASE p.classid WHEN 'pg_catalog.pg_proc'::regclass THEN 'function'
                          WHEN 'pg_catalog.pg_publication_rel'::regclass THEN 'publication'
                          ELSE 'statistics' END,
           p.classid, p.objid, 0
    FROM dependency AS p
    WHERE p.classid IN ('pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_publication_rel'::regclass,
                        'pg_catalog.pg_statistic_ext'::regclass)
    UNION ALL
    -- A column of this row type, a typed table, an operator, a cast.
    SELECT p.relation, p.attnum, p.deptype IN ('a', 'i'), 'other', p.classid, p.objid, p.objsubid
    FROM dependency AS p
    WHERE p.by_type
      AND p.classid NOT IN ('pg_catalog.pg_rewrite'::regclass, 'pg_catalog.pg_policy'::regclass,
                            'pg_catalog.pg_trigger'::regclass, 'pg_catalog.pg_proc'::regclass,
                            'pg_catalog.pg_constraint'::regclass)
),
-- Column lists and row filters came with 15: the row as JSON has them where they exist.
published AS (
    SELECT r.oid, format('ALTER PUBLICATION %I ADD TABLE %s%I.%I%s%s', p.pubname, CASE WHEN c.relkind = 'p' THEN '' ELSE 'ONLY ' END,
        n.nspname, c.relname,
        CASE WHEN to_jsonb(r) ->> 'prattrs' IS NOT NULL THEN (
            SELECT ' (' || string_agg(quote_ident(a.name), ', ' ORDER BY a.place) || ')'
            FROM jsonb_array_elements_text(to_jsonb(t) -> 'attnames') WITH ORDINALITY AS a (name, place)
        ) END,
        ' WHERE (' || (to_jsonb(t) ->> 'rowfilter') || ')'
    ) AS sql
    FROM pg_catalog.pg_publication_rel AS r
    JOIN pg_catalog.pg_publication AS p ON p.oid = r.prpubid
    JOIN pg_catalog.pg_class AS c ON c.oid = r.prrelid
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_publication_tables AS t
           ON t.pubname = p.pubname AND t.schemaname = n.nspname AND t.tablename = c.relname
),
-- Once an object, not once a column.
described AS MATERIALIZED (
    SELECT o.classid, o.objid, o.objsubid, pg_describe_object(o.classid, o.objid, o.objsubid) AS description
    FROM (SELECT DISTINCT classid, objid, objsubid FROM dependent) AS o
)
SELECT json_build_object(
    'relation', d.relation::bigint,
    'column', d.attnum,
    'kind', d.kind,
    'description', t.description,
    'automatic', bool_and(d.automatic),
    'anew', CASE d.kind
        WHEN 'statistics' THEN min(pg_get_statisticsobjdef(d.objid))
        WHEN 'publication' THEN min(p.sql)
    END
)
FROM dependent AS d
JOIN described AS t USING (classid, objid, objsubid)
LEFT JOIN published AS p ON d.classid = 'pg_catalog.pg_publication_rel'::regclass AND p.oid = d.objid
-- NULL: it went while we looked.
WHERE t.description IS NOT NULL
GROUP BY d.relation, d.attnum, d.kind, t.description
ORDER BY d.relation, d.attnum, d.kind, t.description
