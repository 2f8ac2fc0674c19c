//! What is said of an index or a constraint, for the one that takes its place: replica identity, the mark of CLUSTER, comments.
//!
//! ALTER TYPE builds indexes and constraints anew and keeps all of it.
//! Source: `RememberIndexForRebuilding`, `RebuildConstraintComment` in src/backend/commands/tablecmds.c.

use crate::ddl::dynamic::{each, regclass};
use crate::sql::ident::{Ident, Name, literal};

/// One that takes another's place.
#[derive(Clone, Debug)]
pub(crate) struct Heir<'a> {
    /// Table of both.
    pub(crate) table: &'a Name,
    /// The one that goes.
    pub(crate) from: &'a Ident,
    /// The one that comes, as it is called while the other is there.
    pub(crate) to: &'a Ident,
}

/// Gives indexes and constraints what is said of those that they replace, while both are there; `None` where there are none.
pub(crate) fn take_over(indexes: &[Heir], constraints: &[Heir]) -> Option<String> {
    let mut parts = Vec::new();
    if !indexes.is_empty() {
        let heirs: Vec<String> = indexes
            .iter()
            .map(|heir| {
                let [from, to] =
                    [heir.from, heir.to].map(|index| regclass(&heir.table.sibling(index.clone())));
                format!("({}, {from}, {to})", regclass(heir.table))
            })
            .collect();
        parts.push(format!(
            "SELECT said FROM (VALUES {}) AS heir (relation, old, new)
        JOIN pg_catalog.pg_index AS i ON i.indexrelid = heir.old
        JOIN pg_catalog.pg_class AS c ON c.oid = heir.new
        CROSS JOIN LATERAL (
            SELECT format('ALTER TABLE %s REPLICA IDENTITY USING INDEX %I', heir.relation, c.relname) AS said WHERE i.indisreplident
            UNION ALL
            SELECT format('ALTER TABLE %s CLUSTER ON %I', heir.relation, c.relname) WHERE i.indisclustered
            UNION ALL
            SELECT format('COMMENT ON INDEX %s IS %L', heir.new, obj_description(heir.old, 'pg_class'))
            WHERE obj_description(heir.old, 'pg_class') IS NOT NULL
        ) AS statement",
            heirs.join(", ")
        ));
    }
    if !constraints.is_empty() {
        let heirs: Vec<String> = constraints
            .iter()
            .map(|Heir { table, from, to }| {
                let [from, to] = [from, to].map(|name| literal(name.as_str()));
                format!("({}, {from}::name, {to}::name)", regclass(table))
            })
            .collect();
        parts.push(format!(
            "SELECT format('COMMENT ON CONSTRAINT %I ON %s IS %L', heir.new, heir.relation, obj_description(k.oid, 'pg_constraint'))
        FROM (VALUES {}) AS heir (relation, old, new)
        JOIN pg_catalog.pg_constraint AS k ON k.conrelid = heir.relation AND k.conname = heir.old
        WHERE obj_description(k.oid, 'pg_constraint') IS NOT NULL",
            heirs.join(", ")
        ));
    }
    (!parts.is_empty()).then(|| each(&parts.join("\n        UNION ALL\n        ")))
}

/// Keeps the comment of a constraint that goes before its heir of the same name comes, for the rest of the transaction.
pub(crate) fn keep_comment(table: &Name, constraint: &Ident) -> String {
    format!(
        "SELECT pg_catalog.set_config({}, coalesce((SELECT pg_catalog.obj_description(oid, 'pg_constraint') FROM pg_catalog.pg_constraint \
         WHERE conrelid = {} AND conname = {}), ''), true)",
        setting(table, constraint),
        regclass(table),
        literal(constraint.as_str()),
    )
}

/// Gives it to the heir.
pub(crate) fn give_comment(table: &Name, constraint: &Ident) -> String {
    let kept = format!("current_setting({}, true)", setting(table, constraint));
    each(&format!(
        "SELECT format('COMMENT ON CONSTRAINT %I ON %s IS %L', {}::name, {}, {kept})
        WHERE {kept} <> ''",
        literal(constraint.as_str()),
        regclass(table),
    ))
}

fn setting(table: &Name, constraint: &Ident) -> String {
    let name = Ident::generated("comment", &format!("{table} {constraint}"));
    literal(&format!("concertina.{}", name.as_str()))
}
