//! Who feels the new name of a relation, and how. What does not work through a view is measured by crates/proof/tests/alias.rs.

use super::RenameTable;
use crate::catalog::{ConstraintKind, Relation, RelationKind};
use crate::diagnostic::Code;
use crate::kind::Ctx;
use crate::sql::ident::Name;

/// How many functions are named one by one.
const NAMED: usize = 8;

/// What old code feels.
pub(super) fn gone(from: &Name) -> String {
    format!("running code that names {from} fails (42P01)")
}

/// Everything that is worth knowing beforehand.
pub(super) fn notices(change: &RenameTable, ctx: &Ctx, relation: &Relation) -> Vec<(Code, String)> {
    let to = &change.to;
    let mut notices = vec![(Code::Breaks, format!("at contract: {}", gone(&change.from)))];
    let limits = limits(ctx, relation);
    if !limits.is_empty() {
        let said =
            format!("until contract {to} is a view, and by that name there is no {}", limits.join("; no "));
        notices.push((Code::Breaks, said));
    }
    if is_table(relation) {
        notices.push((
            Code::Announce,
            format!(
                "who looks {to} up in the catalogs before contract finds a view: no primary key, no NOT NULL, no identity, and \
                 nothing from pg_get_serial_sequence"
            ),
        ));
    }
    notices.push((
        Code::Breaks,
        format!(
            "at contract, once per connection: a prepared statement that returns whole rows of {to} as one value fails (0A000); \
             all others go on"
        ),
    ));
    notices.extend(functions(change, ctx));
    notices
}

fn is_table(relation: &Relation) -> bool {
    matches!(relation.kind, RelationKind::Table | RelationKind::PartitionedTable | RelationKind::ForeignTable)
}

/// What a view cannot do and its relation can.
fn limits(ctx: &Ctx, relation: &Relation) -> Vec<String> {
    let mut limits = Vec::new();
    let mut add = |applies: bool, what: &str| {
        if applies {
            limits.push(what.to_owned());
        }
    };
    match relation.kind {
        RelationKind::View | RelationKind::CompositeType => return limits,
        RelationKind::MaterializedView => {
            add(true, "REFRESH MATERIALIZED VIEW (42809)");
            add(true, "COPY … TO (42809; COPY (SELECT …) TO works)");
            add(true, "ctid or other system column (42703)");
            add(true, "index to create (42809)");
            return limits;
        }
        RelationKind::Table | RelationKind::PartitionedTable | RelationKind::ForeignTable => {}
    }
    let has = |sort: fn(&ConstraintKind) -> bool| relation.constraints.iter().any(|key| sort(&key.kind));
    let key = |kind: &ConstraintKind| {
        matches!(kind, ConstraintKind::PrimaryKey | ConstraintKind::Unique | ConstraintKind::Exclude)
    };
    add(true, "COPY … FROM or TO (42809; COPY (SELECT …) TO works)");
    add(true, "TRUNCATE (42809)");
    add(
        ctx.physical.server.version.merges_only_into_tables(),
        "MERGE INTO (0A000; it works from PostgreSQL 17 on)",
    );
    add(has(key), "ON CONFLICT ON CONSTRAINT (42704; ON CONFLICT with columns works)");
    add(
        has(|kind| *kind == ConstraintKind::PrimaryKey),
        "GROUP BY the primary key alone beside other columns (42803)",
    );
    add(
        relation.columns.iter().any(|column| column.generated.is_some() || column.identity.is_some()),
        "UPDATE that sets a generated or identity column to DEFAULT (428C9)",
    );
    add(true, "WHERE CURRENT OF or TABLESAMPLE (0A000)");
    add(true, "ctid, tableoid or other system column (42703)");
    add(true, "foreign key to it, index or trigger on it, or ALTER TABLE (42809)");
    limits
}

/// Functions whose text has the old name as a word.
fn functions(change: &RenameTable, ctx: &Ctx) -> Option<(Code, String)> {
    let old = &change.from.name;
    let naming: Vec<String> = ctx
        .logical
        .functions
        .iter()
        .filter(|function| function.mentions.contains(old))
        .map(|function| format!("{}({})", function.name, function.arguments))
        .collect();
    if naming.is_empty() {
        return None;
    }
    let more = naming.len().saturating_sub(NAMED);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    Some((
        Code::Breaks,
        format!(
            "at contract, where they mean {}: functions whose text has the word {old}: {}{more}. Replace them when old code is \
             gone; names that a function puts together at run time are not found",
            change.from,
            naming.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", "),
        ),
    ))
}
