-- Everything that makes a table again, as statements before and after its rows. $1 is its oid. Runs with an empty search_path, so
-- that all names are qualified.
WITH owned AS (
    SELECT s.seqrelid, s.seqrelid::regclass::text AS name, d.deptype, d.refobjsubid AS number,
           format('INCREMENT BY %s MINVALUE %s MAXVALUE %s START WITH %s CACHE %s %s', s.seqincrement, s.seqmin, s.seqmax,
                  s.seqstart, s.seqcache, CASE WHEN s.seqcycle THEN 'CYCLE' ELSE 'NO CYCLE' END) AS options,
           format_type(s.seqtypid, NULL) AS type
    FROM pg_depend AS d JOIN pg_sequence AS s ON s.seqrelid = d.objid
    WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = $1::oid
      AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
), columns AS (
    SELECT a.attnum, a.attname, a.attgenerated, format_type(a.atttypid, a.atttypmod) AS type,
           concat_ws(' ', quote_ident(a.attname), format_type(a.atttypid, a.atttypmod),
               CASE WHEN a.attcollation <> t.typcollation THEN 'COLLATE ' || a.attcollation::regcollation END,
               CASE
                   WHEN a.attgenerated = 's' THEN format('GENERATED ALWAYS AS (%s) STORED', pg_get_expr(e.adbin, e.adrelid))
                   WHEN a.attgenerated = 'v' THEN format('GENERATED ALWAYS AS (%s) VIRTUAL', pg_get_expr(e.adbin, e.adrelid))
                   -- A partition's comes with ATTACH.
                   WHEN a.attidentity <> '' AND o.name IS NOT NULL THEN format('GENERATED %s AS IDENTITY (SEQUENCE NAME %s %s)',
                       CASE a.attidentity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END, o.name, o.options)
                   WHEN e.adbin IS NOT NULL THEN 'DEFAULT ' || pg_get_expr(e.adbin, e.adrelid)
               END,
               -- From 18 on a NOT NULL has a name.
               CASE WHEN a.attnotnull AND n.conname IS NULL THEN 'NOT NULL'
                    WHEN n.conname IS NOT NULL THEN format('CONSTRAINT %I NOT NULL', n.conname) END) AS definition,
           CASE WHEN a.attstorage <> t.typstorage THEN format('ALTER TABLE %s ALTER COLUMN %I SET STORAGE %s', $1::oid::regclass, a.attname,
               CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END) END AS storage,
           CASE WHEN a.attstattarget >= 0 THEN format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS %s', $1::oid::regclass, a.attname,
               a.attstattarget) END AS statistics,
           CASE WHEN col_description(a.attrelid, a.attnum) IS NOT NULL THEN format('COMMENT ON COLUMN %s.%I IS %L', $1::oid::regclass,
               a.attname, col_description(a.attrelid, a.attnum)) END AS comment,
           a.attacl
    FROM pg_attribute AS a
    JOIN pg_type AS t ON t.oid = a.atttypid
    LEFT JOIN pg_attrdef AS e ON e.adrelid = a.attrelid AND e.adnum = a.attnum
    LEFT JOIN owned AS o ON o.number = a.attnum AND o.deptype = 'i'
    LEFT JOIN pg_constraint AS n ON n.conrelid = a.attrelid AND n.contype = 'n' AND n.conkey = ARRAY[a.attnum]
    WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped
), grants AS (
    SELECT format('GRANT %s ON %s TO %s%s', g.privilege_type, c.oid::regclass, who.name,
               CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) AS sql
    FROM pg_class AS c, aclexplode(c.relacl) AS g,
         LATERAL (SELECT CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END) AS who (name)
    WHERE c.oid = $1::oid AND g.grantee <> c.relowner
    UNION ALL
    SELECT format('GRANT %s (%I) ON %s TO %s%s', g.privilege_type, a.attname, $1::oid::regclass, who.name,
               CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
    FROM columns AS a, aclexplode(a.attacl) AS g,
         LATERAL (SELECT CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END) AS who (name)
), policies AS (
    SELECT format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s', p.polname, $1::oid::regclass,
               CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
               CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
               (SELECT string_agg(CASE r WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r)) END, ', ') FROM unnest(p.polroles) AS r),
               ' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')',
               ' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')') AS sql
    FROM pg_policy AS p WHERE p.polrelid = $1::oid
)
SELECT json_build_object(
    'columns', (SELECT json_agg(json_build_array(attname, type) ORDER BY attnum) FROM columns WHERE attgenerated = ''),
    'before', (
        SELECT coalesce(json_agg(format('CREATE SEQUENCE %s AS %s %s', name, type, options) ORDER BY name), '[]') FROM owned WHERE deptype = 'a'
    )::jsonb || jsonb_build_array(
        format('CREATE %sTABLE %s (%s)%s%s', CASE c.relpersistence WHEN 'u' THEN 'UNLOGGED ' ELSE '' END, c.oid::regclass,
            (SELECT string_agg(definition, ', ' ORDER BY attnum) FROM columns),
            ' PARTITION BY ' || pg_get_partkeydef(c.oid),
            ' WITH (' || array_to_string(c.reloptions, ', ') || ')')
    ),
    'after', (
        SELECT coalesce(jsonb_agg(sql ORDER BY place, sql), '[]') FROM (
            SELECT 1, format('ALTER SEQUENCE %s OWNED BY %s.%I', o.name, c.oid::regclass, a.attname) FROM owned AS o
                JOIN columns AS a ON a.attnum = o.number WHERE o.deptype = 'a'
            UNION ALL SELECT 2, storage FROM columns
            UNION ALL SELECT 2, statistics FROM columns
            UNION ALL SELECT CASE k.contype WHEN 'p' THEN 3 WHEN 'f' THEN 6 ELSE 4 END,
                format('ALTER TABLE %s ADD CONSTRAINT %I %s', c.oid::regclass, k.conname, pg_get_constraintdef(k.oid))
                FROM pg_constraint AS k WHERE k.conrelid = c.oid AND k.contype IN ('p', 'u', 'x', 'c', 'f')
                AND NOT (k.contype = 'f' AND k.conparentid <> 0)
            UNION ALL SELECT 5, pg_get_indexdef(x.indexrelid) FROM pg_index AS x
                WHERE x.indrelid = c.oid AND NOT EXISTS (
                    SELECT FROM pg_constraint AS k WHERE k.conindid = x.indexrelid AND k.conrelid = c.oid AND k.contype IN ('p', 'u', 'x'))
            -- Its indexes and keys become parts of the partitioned table's; foreign keys and row triggers come from there.
            UNION ALL SELECT 6, format('ALTER TABLE %s ATTACH PARTITION %s %s', h.inhparent::regclass, c.oid::regclass,
                pg_get_expr(c.relpartbound, c.oid)) FROM pg_inherits AS h WHERE h.inhrelid = c.oid AND c.relispartition
            UNION ALL SELECT 7, pg_get_triggerdef(t.oid) FROM pg_trigger AS t
                WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgparentid = 0
            UNION ALL SELECT 8, format('ALTER TABLE %s %s TRIGGER %I', c.oid::regclass,
                CASE t.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END, t.tgname)
                FROM pg_trigger AS t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled <> 'O'
            UNION ALL SELECT 9, sql FROM policies
            UNION ALL SELECT 9, format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', c.oid::regclass) WHERE c.relrowsecurity
            UNION ALL SELECT 9, format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', c.oid::regclass) WHERE c.relforcerowsecurity
            UNION ALL SELECT 10, format('ALTER TABLE %s REPLICA IDENTITY %s', c.oid::regclass,
                CASE c.relreplident WHEN 'f' THEN 'FULL' WHEN 'n' THEN 'NOTHING' ELSE 'USING INDEX ' || quote_ident((
                    SELECT i.relname FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid
                    WHERE x.indrelid = c.oid AND x.indisreplident)) END)
                WHERE c.relreplident <> 'd'
            UNION ALL SELECT 11, format('COMMENT ON TABLE %s IS %L', c.oid::regclass, obj_description(c.oid, 'pg_class'))
                WHERE obj_description(c.oid, 'pg_class') IS NOT NULL
            UNION ALL SELECT 11, comment FROM columns
            UNION ALL SELECT 12, format('ALTER TABLE %s OWNER TO %I', c.oid::regclass, pg_get_userbyid(c.relowner))
                WHERE pg_get_userbyid(c.relowner) <> current_user
            UNION ALL SELECT 13, sql FROM grants
        ) AS all_of_it (place, sql) WHERE sql IS NOT NULL
    ),
    'sequences', (SELECT coalesce(json_agg(name ORDER BY name), '[]') FROM owned),
    -- Its rows are in its partitions.
    'partitioned', c.relkind = 'p',
    'cannot', CASE
        WHEN NOT c.relispartition AND c.relkind <> 'p' AND EXISTS (SELECT FROM pg_inherits AS h WHERE c.oid IN (h.inhrelid, h.inhparent))
            THEN 'it is part of an inheritance tree'
        WHEN c.reloftype <> 0 THEN 'it is a table of a type'
        WHEN c.relhasrules THEN 'it has rules'
        WHEN EXISTS (SELECT FROM pg_am AS m WHERE m.oid = c.relam AND m.amname <> 'heap') THEN 'it is not kept as a heap'
        WHEN EXISTS (SELECT FROM pg_statistic_ext AS s WHERE s.stxrelid = c.oid) THEN 'it has extended statistics'
    END
)
FROM pg_class AS c WHERE c.oid = $1::oid
