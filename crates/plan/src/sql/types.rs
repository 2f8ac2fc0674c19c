//! Type names: as `format_type` prints PostgreSQL's own, as written for users' types.

use pg_query::NodeEnum;
use pg_query::protobuf::{TypeName, a_const};

use crate::catalog::Catalog;
use crate::sql::ast;
use crate::sql::ident::{Ident, Name};

/// `serial` and its kin, with the type the column gets. Source: transformColumnDefinition in parse_utilcmd.c.
pub(crate) fn serial(name: &TypeName) -> Option<&'static str> {
    match ast::strings(&name.names)[..] {
        ["serial" | "serial4"] => Some("integer"),
        ["bigserial" | "serial8"] => Some("bigint"),
        ["smallserial" | "serial2"] => Some("smallint"),
        _ => None,
    }
}

/// The type's text: what `format_type` would print for a type that is known, otherwise `written`.
/// Source: format_type_extended in src/backend/utils/adt/format_type.c; SystemTypeName in gram.y.
pub(crate) fn text(name: &TypeName, written: &str, catalog: &Catalog) -> String {
    let array = if name.array_bounds.is_empty() { "" } else { "[]" };
    if let Some(user) = user_type(name, catalog)
        && name.typmods.is_empty()
        && !name.setof
        && !name.pct_type
    {
        let visible = resolve(catalog, &user.name).as_ref() == Some(&user);
        return if visible { format!("{}{array}", user.name) } else { format!("{user}{array}") };
    }
    match builtin(name).and_then(|base| spelled(base, &modifiers(name)?)) {
        Some(text) if !name.setof && !name.pct_type => format!("{text}{array}"),
        _ => written.to_owned(),
    }
}

/// The name in pg_type of a type of PostgreSQL's own.
pub(crate) fn builtin(name: &TypeName) -> Option<&str> {
    match ast::strings(&name.names)[..] {
        ["pg_catalog", base] => Some(base),
        [base] if BUILTIN.binary_search(&base).is_ok() => Some(base),
        _ => None,
    }
}

/// The user's type that the name means, where the catalog has it.
pub(crate) fn user_type(name: &TypeName, catalog: &Catalog) -> Option<Name> {
    if builtin(name).is_some() {
        return None;
    }
    let (schema, base) = ast::qualified(&name.names);
    match schema {
        Some(schema) => Some(Name { schema, name: base }).filter(|name| catalog.types.contains_key(name)),
        None => resolve(catalog, &base),
    }
}

/// The first type of this name on the search path.
pub(crate) fn resolve(catalog: &Catalog, base: &Ident) -> Option<Name> {
    catalog
        .server
        .search_path
        .iter()
        .map(|schema| Name { schema: schema.clone(), name: base.clone() })
        .find(|name| catalog.types.contains_key(name))
}

fn modifiers(name: &TypeName) -> Option<Vec<i32>> {
    ast::each(&name.typmods)
        .map(|node| match node {
            NodeEnum::AConst(constant) => match &constant.val {
                Some(a_const::Val::Ival(value)) => Some(value.ival),
                _ => None,
            },
            _ => None,
        })
        .collect()
}

fn spelled(base: &str, modifiers: &[i32]) -> Option<String> {
    // INTERVAL_FULL_RANGE: "no field restriction", which only precedes a precision.
    const FULL_RANGE: i32 = 0x7FFF;
    let text = match (base, modifiers) {
        ("bool", []) => "boolean".to_owned(),
        ("int2", []) => "smallint".to_owned(),
        ("int4", []) => "integer".to_owned(),
        ("int8", []) => "bigint".to_owned(),
        ("float4", []) => "real".to_owned(),
        ("float8", []) => "double precision".to_owned(),
        ("numeric", []) => "numeric".to_owned(),
        ("numeric", [precision]) => format!("numeric({precision},0)"),
        ("numeric", [precision, scale]) => format!("numeric({precision},{scale})"),
        ("bpchar", []) => "bpchar".to_owned(),
        ("bpchar", [length]) => format!("character({length})"),
        ("varchar", []) => "character varying".to_owned(),
        ("varchar", [length]) => format!("character varying({length})"),
        ("bit", []) => "\"bit\"".to_owned(),
        ("bit", [length]) => format!("bit({length})"),
        ("varbit", []) => "bit varying".to_owned(),
        ("varbit", [length]) => format!("bit varying({length})"),
        ("time", []) => "time without time zone".to_owned(),
        ("time", [precision]) => format!("time({precision}) without time zone"),
        ("timetz", []) => "time with time zone".to_owned(),
        ("timetz", [precision]) => format!("time({precision}) with time zone"),
        ("timestamp", []) => "timestamp without time zone".to_owned(),
        ("timestamp", [precision]) => format!("timestamp({precision}) without time zone"),
        ("timestamptz", []) => "timestamp with time zone".to_owned(),
        ("timestamptz", [precision]) => format!("timestamp({precision}) with time zone"),
        ("interval", []) => "interval".to_owned(),
        ("interval", [FULL_RANGE, precision]) => format!("interval({precision})"),
        ("char", []) => "\"char\"".to_owned(),
        (_, []) if BUILTIN.binary_search(&base).is_ok() => base.to_owned(),
        _ => return None,
    };
    Some(text)
}

/// Types of PostgreSQL 14 to 18 that a column may have. Source: pg_type.dat.
const BUILTIN: &[&str] = &[
    "aclitem",
    "bit",
    "bool",
    "box",
    "bpchar",
    "bytea",
    "char",
    "cid",
    "cidr",
    "circle",
    "date",
    "datemultirange",
    "daterange",
    "float4",
    "float8",
    "gtsvector",
    "inet",
    "int2",
    "int2vector",
    "int4",
    "int4multirange",
    "int4range",
    "int8",
    "int8multirange",
    "int8range",
    "interval",
    "json",
    "jsonb",
    "jsonpath",
    "line",
    "lseg",
    "macaddr",
    "macaddr8",
    "money",
    "name",
    "numeric",
    "nummultirange",
    "numrange",
    "oid",
    "oidvector",
    "path",
    "pg_lsn",
    "pg_snapshot",
    "point",
    "polygon",
    "refcursor",
    "regclass",
    "regcollation",
    "regconfig",
    "regdictionary",
    "regnamespace",
    "regoper",
    "regoperator",
    "regproc",
    "regprocedure",
    "regrole",
    "regtype",
    "text",
    "tid",
    "time",
    "timestamp",
    "timestamptz",
    "timetz",
    "tsmultirange",
    "tsquery",
    "tsrange",
    "tstzmultirange",
    "tstzrange",
    "tsvector",
    "txid_snapshot",
    "uuid",
    "varbit",
    "varchar",
    "xid",
    "xid8",
    "xml",
];

#[cfg(test)]
mod tests {
    use pg_query::NodeEnum;

    use super::*;
    use crate::catalog::{Type, TypeKind};

    fn check(written: &str, expect: &str) {
        let sql = format!("SELECT NULL::{written}");
        let tree = pg_query::parse(&sql, 0).expect("parses").protobuf;
        let Some(NodeEnum::SelectStmt(select)) = ast::node(tree.stmts[0].stmt.as_deref()) else {
            panic!("not a SELECT")
        };
        let Some(NodeEnum::ResTarget(target)) = ast::node(select.target_list.first()) else {
            panic!("no target")
        };
        let Some(NodeEnum::TypeCast(cast)) = ast::node(target.val.as_deref()) else { panic!("no cast") };
        let mut catalog = Catalog::default();
        catalog.server.search_path = vec![Ident::new("public")];
        for (schema, name) in [("public", "Mood"), ("app", "Mood"), ("app", "level")] {
            let kind = Type { name: Name::new(schema, name), kind: TypeKind::Other };
            catalog.types.insert(kind.name.clone(), kind);
        }
        assert_eq!(text(cast.type_name.as_ref().expect("has a type"), written, &catalog), expect);
    }

    #[test]
    fn spelled_as_format_type_does() {
        for (written, expect) in [
            ("int", "integer"),
            ("INT8[][]", "bigint[]"),
            ("varchar(20)", "character varying(20)"),
            ("char", "character(1)"),
            ("\"char\"", "\"char\""),
            ("bpchar", "bpchar"),
            ("decimal(10)", "numeric(10,0)"),
            ("numeric( 10 , 2 )", "numeric(10,2)"),
            ("float(5)", "real"),
            ("float", "double precision"),
            ("timestamptz", "timestamp with time zone"),
            ("timestamp(3)", "timestamp(3) without time zone"),
            ("time with time zone", "time with time zone"),
            ("interval(3)", "interval(3)"),
            ("interval day to second", "interval day to second"),
            ("bit", "bit(1)"),
            ("bit varying(3)", "bit varying(3)"),
            ("TEXT", "text"),
            ("citext", "citext"),
            ("app.\"Mood\"[]", "app.\"Mood\"[]"),
            ("public.\"Mood\"", "\"Mood\""),
            ("app . level", "app.level"),
            ("geometry(Point, 4326)", "geometry(Point, 4326)"),
        ] {
            check(written, expect);
        }
        assert!(BUILTIN.is_sorted());
    }
}
