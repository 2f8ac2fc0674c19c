//! Failures that the catalog alone shows, as a fact and as a refusal.

use crate::catalog::{Generated, Relation, RelationKind};
use crate::diagnostic::{Code, Refusal};
use crate::kind::Ctx;
use crate::plan::Fails;
use crate::sql::ident::{Ident, Name};

/// Why the statement is certain to fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WillFail {
    sqlstate: &'static str,
    when: String,
    way_out: String,
}

impl WillFail {
    /// Makes one. `when` names the object.
    pub(crate) fn new(sqlstate: &'static str, when: impl Into<String>, way_out: impl Into<String>) -> Self {
        Self { sqlstate, when: when.into(), way_out: way_out.into() }
    }
}

impl From<WillFail> for Fails {
    fn from(failure: WillFail) -> Self {
        Self { sqlstate: failure.sqlstate.to_owned(), when: failure.when }
    }
}

impl From<WillFail> for Refusal {
    fn from(failure: WillFail) -> Self {
        Self::new(Code::WillFail, format!("{} ({})", failure.when, failure.sqlstate), failure.way_out)
    }
}

/// The table, if it exists and is a table.
pub(crate) fn table<'a>(ctx: &Ctx<'a>, name: &Name) -> Result<&'a Relation, WillFail> {
    let Some(relation) = ctx.logical.relation(name) else {
        return Err(WillFail::new(
            "42P01",
            format!("relation {name} does not exist"),
            "correct the name, or check the search_path",
        ));
    };
    match relation.kind {
        RelationKind::Table | RelationKind::PartitionedTable => Ok(relation),
        _ => Err(WillFail::new("42809", format!("{name} is not a table"), "name a table")),
    }
}

/// Fails for the first column that the table does not have.
pub(crate) fn columns<'i>(
    table: &Relation,
    columns: impl IntoIterator<Item = &'i Ident>,
) -> Result<(), WillFail> {
    match columns.into_iter().find(|column| table.column(column).is_none()) {
        None => Ok(()),
        Some(column) => Err(WillFail::new(
            "42703",
            format!("column {column} of {} does not exist", table.name),
            "correct the column's name",
        )),
    }
}

/// Fails for the first column that is VIRTUAL: what is not stored is neither indexed nor refers to anything.
/// Source: `DefineIndex` in src/backend/commands/indexcmds.c, `ATAddForeignKeyConstraint` in tablecmds.c.
pub(crate) fn stored<'i>(
    table: &Relation,
    columns: impl IntoIterator<Item = &'i Ident>,
) -> Result<(), WillFail> {
    let is_virtual =
        |name: &&Ident| table.column(name).is_some_and(|column| column.generated == Some(Generated::Virtual));
    match columns.into_iter().find(is_virtual) {
        None => Ok(()),
        Some(column) => Err(WillFail::new(
            "0A000",
            format!("column {column} of {} is VIRTUAL: no index and no key can stand on it", table.name),
            "index its expression instead, or keep a plain column by a trigger of your own",
        )),
    }
}

/// Fails if the table has a constraint of this name.
pub(crate) fn constraint_name_free(table: &Relation, name: &Ident) -> Result<(), WillFail> {
    match table.constraint(name) {
        None => Ok(()),
        Some(_) => Err(WillFail::new(
            "42710",
            format!("constraint {name} of {} exists already", table.name),
            "choose another name, or leave the statement out",
        )),
    }
}

/// A unique index of a partitioned table must hold every column of the partition key, at every level.
/// Source: `DefineIndex` in src/backend/commands/indexcmds.c.
pub(crate) fn unique_covers_partition_key(
    ctx: &Ctx,
    table: &Relation,
    columns: &[Ident],
) -> Result<(), WillFail> {
    for relation in ctx.logical.tree(&table.name) {
        if let Some(missing) = relation.partition_key.iter().find(|column| !columns.contains(column)) {
            return Err(WillFail::new(
                "0A000",
                format!(
                    "a unique key on partitioned table {} must include column {missing} of its partition key",
                    relation.name
                ),
                "add the partition key's columns to the key, or make each partition unique by itself",
            ));
        }
    }
    Ok(())
}
