//! Who feels the new name of a relation, and how.

use super::RenameTable;
use crate::catalog::{Relation, RelationKind};
use crate::diagnostic::Code;
use crate::kind::Ctx;
use crate::kind::shared::stand_in;
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
    let limits = stand_in::limits(ctx, relation);
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
