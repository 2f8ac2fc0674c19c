//! A view that stands for a relation: under another name, or with another name for one of its columns.

use crate::catalog::Column;
use crate::ddl::dynamic::{each, regclass};
use crate::sql::ident::{Ident, Name, list};

/// A second name for a column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SecondName<'a> {
    /// Column.
    pub(crate) column: &'a Ident,
    /// Its other name.
    pub(crate) name: &'a Ident,
}

/// The view, with the defaults that its relation has: through a view without them `SET column = DEFAULT` writes NULL.
/// A column with two names has none in the view: a row that leaves both out would be given it under both, and that fails (42601).
/// Measured on 14 to 18; source: `rewriteTargetListIU` in src/backend/rewrite/rewriteHandler.c.
pub(crate) fn create(
    view: &Name,
    of: &Name,
    columns: &[Column],
    second: Option<SecondName>,
    invoker: bool,
) -> Vec<String> {
    // The reader's own rights count, and row security with them, as if there was no view.
    let options = if invoker { " WITH (security_invoker = true)" } else { "" };
    let mut names = list(columns.iter().map(|column| &column.name));
    if let Some(SecondName { column, name }) = second {
        names.push_str(&format!(", {column} AS {name}"));
    }
    let mut sql = vec![format!("CREATE VIEW {view}{options} AS SELECT {names} FROM {of}")];
    let once = |column: &&Column| second.is_none_or(|second| *second.column != column.name);
    let defaults = columns.iter().filter(|column| column.generated.is_none()).filter(once);
    let defaults: Vec<String> = defaults
        .filter_map(|column| Some((&column.name, column.default.as_ref()?)))
        .map(|(name, default)| format!("ALTER COLUMN {name} SET DEFAULT {default}"))
        .collect();
    if !defaults.is_empty() {
        sql.push(format!("ALTER VIEW {view} {}", defaults.join(", ")));
    }
    sql
}

/// Gives the view the owner, privileges and comments that its relation has at that moment, and no others: default
/// privileges may have given it some.
pub(crate) fn equip(view: &Name, of: &Name) -> String {
    let (held, view, of) = (held(view, of), regclass(view), regclass(of));
    each(&format!(
        "{held}, statement AS (
            SELECT 1 AS place, format('REVOKE ALL ON %s FROM %s', {view}, role) AS sql FROM held WHERE relation = {view}
            UNION
            SELECT 2, {GRANT}, {view}, role, option) FROM held WHERE relation = {of}
            UNION
            SELECT 3, format('COMMENT ON VIEW %s IS %L', {view}, obj_description({of}, 'pg_class'))
            WHERE obj_description({of}, 'pg_class') IS NOT NULL
            UNION
            SELECT 3, format('COMMENT ON COLUMN %s.%I IS %L', {view}, v.attname, col_description({of}, r.attnum))
            FROM pg_catalog.pg_attribute AS v
            JOIN pg_catalog.pg_attribute AS r ON r.attrelid = {of} AND r.attname = v.attname
            WHERE v.attrelid = {view} AND col_description({of}, r.attnum) IS NOT NULL
            UNION
            SELECT 4, format('ALTER VIEW %s OWNER TO %I', {view}, pg_get_userbyid(r.relowner))
            FROM pg_catalog.pg_class AS v JOIN pg_catalog.pg_class AS r ON r.oid = {of}
            WHERE v.oid = {view} AND v.relowner <> r.relowner
        )
        SELECT sql FROM statement ORDER BY place, sql"
    ))
}

/// Gives the relation the privileges that were given on the view meanwhile, as far as it has the columns: they would go with it.
pub(crate) fn hand_over(view: &Name, of: &Name) -> String {
    let (held, view, of) = (held(view, of), regclass(view), regclass(of));
    each(&format!(
        "{held}
        SELECT {GRANT}, {of}, role, option) FROM (
            SELECT privilege, part, role, option FROM held WHERE relation = {view}
            EXCEPT
            SELECT privilege, part, role, option FROM held WHERE relation = {of}
        ) AS given
        WHERE part = '' OR EXISTS (
            SELECT FROM pg_catalog.pg_attribute
            WHERE attrelid = {of} AND NOT attisdropped AND part = format(' (%I)', attname)
        )
        ORDER BY 1"
    ))
}

const GRANT: &str = "format('GRANT %s%s ON %s TO %s%s', privilege, part";

/// `WITH` the privileges that others than the owner hold on the two, on the whole or on a column.
fn held(view: &Name, of: &Name) -> String {
    let right = |part: &str, tables: &str, acl: &str| {
        format!(
            "SELECT c.oid AS relation, g.privilege_type AS privilege, {part} AS part,
                CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END AS role,
                CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END AS option
            FROM pg_catalog.pg_class AS c{tables} CROSS JOIN LATERAL aclexplode({acl}) AS g
            WHERE c.oid IN ({}, {}) AND g.grantee <> c.relowner",
            regclass(view),
            regclass(of)
        )
    };
    format!(
        "WITH held AS (
            {}
            UNION
            {}
        )",
        right("''", "", "c.relacl"),
        right(
            "format(' (%I)', a.attname)",
            " JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid",
            "a.attacl"
        )
    )
}
