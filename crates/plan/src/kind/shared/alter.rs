//! What every ALTER TABLE … COLUMN checks before anything else.

use crate::catalog::{Column, Relation, RelationKind};
use crate::diagnostic::{Code, Refusal};
use crate::kind::Ctx;
use crate::kind::shared::will_fail::WillFail;
use crate::sql::ident::{Ident, Name};

/// The table: plain, partitioned or foreign. Source: `ATSimplePermissions` in src/backend/commands/tablecmds.c.
pub(crate) fn table<'a>(ctx: &Ctx<'a>, name: &Name) -> Result<&'a Relation, WillFail> {
    let relation = relation(ctx, name)?;
    match relation.kind {
        RelationKind::Table | RelationKind::PartitionedTable | RelationKind::ForeignTable => Ok(relation),
        RelationKind::View | RelationKind::MaterializedView | RelationKind::CompositeType => {
            Err(WillFail::new("42809", format!("{name} is not a table"), "name a table"))
        }
    }
}

/// What may have column defaults: a table or a view.
pub(crate) fn table_or_view<'a>(ctx: &Ctx<'a>, name: &Name) -> Result<&'a Relation, WillFail> {
    let relation = relation(ctx, name)?;
    if relation.kind == RelationKind::View { Ok(relation) } else { table(ctx, name) }
}

/// The column of the table.
pub(crate) fn column<'a>(table: &'a Relation, name: &Ident) -> Result<&'a Column, WillFail> {
    table.column(name).ok_or_else(|| {
        WillFail::new(
            "42703",
            format!("column {name} of {} does not exist", table.name),
            "correct the column's name",
        )
    })
}

/// Refuses what is not planned yet: foreign tables, and trees of plain inheritance, whose children are locked and changed too
/// but are not in the catalog as partitions are.
pub(crate) fn planned(table: &Relation) -> Result<(), Refusal> {
    let what = if table.inherits {
        "takes part in table inheritance"
    } else if table.kind == RelationKind::ForeignTable {
        "is a foreign table"
    } else {
        return Ok(());
    };
    Err(Refusal::new(
        Code::NotYet,
        format!("{} {what}, which is not planned yet", table.name),
        "run the statement as written with `-- concertina:allow not-yet reason: …`",
    ))
}

/// Whatever has this name.
pub(crate) fn relation<'a>(ctx: &Ctx<'a>, name: &Name) -> Result<&'a Relation, WillFail> {
    ctx.logical.relation(name).ok_or_else(|| {
        WillFail::new(
            "42P01",
            format!("relation {name} does not exist"),
            "correct the name, or check the search_path",
        )
    })
}
