//! DROP COLUMN: relax, soak, archive, drop.

use crate::catalog::{Column, Constraint, ConstraintKind, Dependent, Relation};
use crate::diagnostic::Refusal;
use crate::effect::Effect;
use crate::kind::shared::tree;
use crate::kind::shared::will_fail::{self, WillFail};
use crate::kind::{Ctx, Kind, Online};
use crate::pg::lock::LockMode;
use crate::plan::{Facts, LockClaim};
use crate::sql::ident::{Ident, Name};

/// See the module.
#[derive(Clone, Debug)]
pub struct DropColumn {
    /// Table.
    pub table: Name,
    /// Column.
    pub column: Ident,
    /// IF EXISTS
    pub if_exists: bool,
    /// CASCADE
    pub cascade: bool,
}

impl Kind for DropColumn {
    fn name(&self) -> &'static str {
        "drop_column"
    }

    fn facts(&self, ctx: &Ctx) -> Facts {
        let fails = self.check(ctx).err().map(Into::into);
        let Some(table) = ctx.logical.relation(&self.table).filter(|t| t.column(&self.column).is_some())
        else {
            return Facts { transaction: true, fails, ..Facts::default() };
        };
        Facts {
            locks: self.locks(ctx, table),
            transaction: true,
            breaks: vec![
                format!("running code that names {} of {} fails (42703)", self.column, self.table),
                format!("a prepared SELECT * on {} fails once per connection (0A000)", self.table),
            ],
            fails,
            ..Facts::default()
        }
    }

    fn online(&self, _ctx: &Ctx) -> Result<Online, Refusal> {
        todo!()
    }

    fn effects(&self, ctx: &Ctx) -> Vec<Effect> {
        let exists =
            ctx.logical.relation(&self.table).is_some_and(|table| table.column(&self.column).is_some());
        if !exists {
            return Vec::new();
        }
        vec![Effect::ColumnGone { table: self.table.clone(), column: self.column.clone() }]
    }
}

impl DropColumn {
    /// Every lock of the bare DROP COLUMN: the table and its partitions, tables at the other end of foreign keys that go
    /// with the column, and the indexes and sequences that go.
    fn locks(&self, ctx: &Ctx, table: &Relation) -> Vec<LockClaim> {
        let mode = LockMode::AccessExclusive;
        let mut locks = Vec::new();
        for key in self.foreign_keys(table) {
            if let ConstraintKind::ForeignKey { table: referenced, .. } = &key.kind {
                locks.extend(tree::locks(ctx.logical, referenced, mode));
            }
        }
        locks.extend(tree::locks(ctx.logical, &self.table, mode));
        if self.cascade {
            for (child, _) in self.incoming(ctx) {
                locks.extend(tree::locks(ctx.logical, &child.name, mode));
            }
        }
        if !table.new_here {
            for relation in ctx.logical.tree(&self.table) {
                for index in relation.indexes.iter().filter(|index| index.uses.contains(&self.column)) {
                    locks.push(LockClaim { relation: relation.name.sibling(index.name.clone()), mode });
                }
            }
            let owner = (self.table.clone(), self.column.clone());
            for sequence in ctx.logical.sequences.values().filter(|s| s.owned_by.as_ref() == Some(&owner)) {
                locks.push(LockClaim { relation: sequence.name.clone(), mode });
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        locks.retain(|lock| seen.insert(lock.relation.clone()));
        locks
    }

    /// Foreign keys of the table that use the column.
    fn foreign_keys<'t>(&self, table: &'t Relation) -> impl Iterator<Item = &'t Constraint> {
        let column = self.column.clone();
        table.constraints.iter().filter(move |c| {
            matches!(c.kind, ConstraintKind::ForeignKey { .. }) && c.columns.contains(&column)
        })
    }

    /// Foreign keys of any table that reference the column.
    fn incoming<'a>(&self, ctx: &Ctx<'a>) -> Vec<(&'a Relation, &'a Constraint)> {
        let mut found = ctx.logical.incoming_foreign_keys(&self.table);
        found.retain(|(_, key)| {
            matches!(&key.kind, ConstraintKind::ForeignKey { columns, .. } if columns.contains(&self.column))
        });
        found
    }

    /// The table and column, if they exist; or what is certain to make the statement fail. Source: `ATExecDropColumn` in
    /// src/backend/commands/tablecmds.c.
    fn check<'a>(&self, ctx: &Ctx<'a>) -> Result<Option<(&'a Relation, &'a Column)>, WillFail> {
        let table = will_fail::table(ctx, &self.table)?;
        let Some(column) = table.column(&self.column) else {
            if self.if_exists {
                return Ok(None);
            }
            will_fail::columns(table, [&self.column])?;
            return Ok(None);
        };
        if table.partition_of.is_some() {
            return Err(WillFail::new(
                "42P16",
                format!("{} of {} belongs to the partitioned table", self.column, self.table),
                "drop it from the partitioned table",
            ));
        }
        for relation in ctx.logical.tree(&self.table) {
            if relation.partition_key.contains(&self.column) {
                return Err(WillFail::new(
                    "42P16",
                    format!("{} belongs to the partition key of {}", self.column, relation.name),
                    "a partition key cannot be dropped: copy the data into a new table",
                ));
            }
        }
        if !self.cascade
            && let Some(dependent) = self.dependents(table).next()
        {
            return Err(WillFail::new(
                "2BP01",
                format!("{} depends on {} of {}", dependent.description, self.column, self.table),
                "drop what depends on it first",
            ));
        }
        Ok(Some((table, column)))
    }

    /// What does not vanish with the column by itself.
    fn dependents<'t>(&self, table: &'t Relation) -> impl Iterator<Item = &'t Dependent> {
        let column = self.column.clone();
        table.dependents.iter().filter(move |d| !d.automatic && d.column.as_ref() == Some(&column))
    }
}
