//! ADD FOREIGN KEY: NOT VALID, then VALIDATE, in separate transactions.

use crate::catalog::{Constraint, ConstraintKind, Index, Relation, RelationKind};
use crate::diagnostic::Refusal;
use crate::effect::Effect;
use crate::kind::shared::tree;
use crate::kind::shared::will_fail::{self, WillFail};
use crate::kind::{Ctx, Kind, Online};
use crate::pg::lock::LockMode;
use crate::plan::{Facts, LockClaim, WorkKind};
use crate::sql::ident::{Ident, Name, list};

/// See the module.
#[derive(Clone, Debug)]
pub struct AddForeignKey {
    /// Referencing table.
    pub table: Name,
    /// Name: given, or as PostgreSQL would choose it.
    pub name: Ident,
    /// Referencing columns.
    pub columns: Vec<Ident>,
    /// Referenced table.
    pub references: Name,
    /// Referenced columns; where none are written, the primary key's.
    pub referenced_columns: Vec<Ident>,
    /// What follows the referenced columns, as written: `MATCH FULL ON DELETE CASCADE DEFERRABLE`, without NOT VALID.
    pub options: String,
    /// DEFERRABLE
    pub deferrable: bool,
    /// Written NOT VALID: then it stays so.
    pub not_valid: bool,
}

impl Kind for AddForeignKey {
    fn name(&self) -> &'static str {
        "add_foreign_key"
    }

    fn facts(&self, ctx: &Ctx) -> Facts {
        let mut work = Vec::new();
        if !self.not_valid {
            work = tree::work(ctx.logical, &self.table, WorkKind::Scan);
            if !work.is_empty() {
                work.extend(tree::work(ctx.logical, &self.references, WorkKind::Scan));
                work.dedup();
            }
        }
        Facts {
            locks: self.locks(ctx, LockMode::ShareRowExclusive),
            work,
            transaction: true,
            breaks: vec![format!(
                "code that writes rows into {} without their row in {}, or deletes the latter, gets errors (23503)",
                self.table, self.references
            )],
            fails: self.check(ctx).err().map(Into::into),
        }
    }

    fn online(&self, _ctx: &Ctx) -> Result<Online, Refusal> {
        todo!()
    }

    fn effects(&self, _ctx: &Ctx) -> Vec<Effect> {
        vec![Effect::Constraint { table: self.table.clone(), constraint: self.constraint(!self.not_valid) }]
    }
}

impl AddForeignKey {
    /// Both tables with their partitions, the referenced one first.
    fn locks(&self, ctx: &Ctx, mode: LockMode) -> Vec<LockClaim> {
        let mut locks = tree::locks(ctx.logical, &self.references, mode);
        for lock in tree::locks(ctx.logical, &self.table, mode) {
            if !locks.contains(&lock) {
                locks.push(lock);
            }
        }
        locks
    }

    /// What is certain to make the statement fail; else both tables. Source: `ATAddForeignKeyConstraint` in
    /// src/backend/commands/tablecmds.c.
    fn check<'a>(&self, ctx: &Ctx<'a>) -> Result<(&'a Relation, &'a Relation), WillFail> {
        let table = will_fail::table(ctx, &self.table)?;
        let referenced = will_fail::table(ctx, &self.references)?;
        will_fail::columns(table, &self.columns)?;
        will_fail::columns(referenced, &self.referenced_columns)?;
        will_fail::constraint_name_free(table, &self.name)?;
        if self.columns.len() != self.referenced_columns.len() {
            return Err(WillFail::new(
                "42830",
                format!(
                    "foreign key {} has {} columns for {}",
                    self.name,
                    self.columns.len(),
                    self.referenced_columns.len()
                ),
                "name as many referenced columns as referencing ones",
            ));
        }
        if !referenced.indexes.iter().any(|index| serves(index, &self.referenced_columns)) {
            return Err(WillFail::new(
                "42830",
                format!("{} has no unique key on ({})", self.references, list(&self.referenced_columns)),
                "add a unique constraint on these columns first",
            ));
        }
        if referenced.unlogged && !table.unlogged {
            return Err(WillFail::new(
                "42P16",
                format!("{} is logged and {} is unlogged", self.table, self.references),
                "make both logged or both unlogged",
            ));
        }
        for (column, target) in self.columns.iter().zip(&self.referenced_columns) {
            let (Some(from), Some(to)) = (table.column(column), referenced.column(target)) else { continue };
            if incomparable(&from.data_type, &to.data_type) {
                return Err(WillFail::new(
                    "42804",
                    format!(
                        "{column} of {} is {}, but {target} of {} is {}",
                        self.table, from.data_type, self.references, to.data_type
                    ),
                    "give both columns the same type",
                ));
            }
        }
        if self.not_valid
            && table.kind == RelationKind::PartitionedTable
            && !ctx.logical.server.version.partitioned_foreign_key_not_valid()
        {
            return Err(WillFail::new(
                "42809",
                format!(
                    "{} is partitioned: its foreign keys cannot be NOT VALID before PostgreSQL 18",
                    self.table
                ),
                "leave NOT VALID out: the plan proves it partition by partition",
            ));
        }
        Ok((table, referenced))
    }

    /// The constraint as the catalog will show it.
    fn constraint(&self, validated: bool) -> Constraint {
        Constraint {
            name: self.name.clone(),
            kind: ConstraintKind::ForeignKey {
                table: self.references.clone(),
                columns: self.referenced_columns.clone(),
            },
            columns: self.columns.clone(),
            definition: self.definition(),
            validated,
            deferrable: self.deferrable,
            inherited: false,
        }
    }

    /// What follows `ADD CONSTRAINT name`.
    fn definition(&self) -> String {
        let options = if self.options.is_empty() { String::new() } else { format!(" {}", self.options) };
        format!(
            "FOREIGN KEY ({}) REFERENCES {} ({}){options}",
            list(&self.columns),
            self.references,
            list(&self.referenced_columns)
        )
    }
}

/// The index can stand behind a foreign key to these columns. Source: `transformFkeyCheckAttrs` in
/// src/backend/commands/tablecmds.c.
fn serves(index: &Index, columns: &[Ident]) -> bool {
    index.unique
        && index.valid
        && index.immediate
        && !index.partial
        && index.columns.len() == columns.len()
        && index.columns.iter().all(|key| key.as_ref().is_some_and(|key| columns.contains(key)))
}

/// No equality operator serves a foreign key from one type to the other. Only pairs of built-in types are judged.
/// Source: measured on 15 and 18 for every pair; `ATAddForeignKeyConstraint` says why.
fn incomparable(from: &str, to: &str) -> bool {
    match (family(from), family(to)) {
        (Some(Family::Integer), Some(Family::Number)) => false,
        (Some(from), Some(to)) => from != to,
        _ => false,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Integer,
    Number,
    Text,
    Uuid,
    Time,
    Boolean,
    Bytes,
}

fn family(data_type: &str) -> Option<Family> {
    let lower = data_type.to_ascii_lowercase();
    if lower.contains('[') {
        return None;
    }
    let head = lower.split('(').next().unwrap_or_default().trim();
    let head = head.strip_prefix("pg_catalog.").unwrap_or(head);
    Some(match head {
        "smallint" | "int2" | "integer" | "int" | "int4" | "bigint" | "int8" => Family::Integer,
        "numeric" | "decimal" | "real" | "float4" | "float8" | "double precision" | "float" => Family::Number,
        "text" | "character varying" | "varchar" | "character" | "char" | "bpchar" => Family::Text,
        "uuid" => Family::Uuid,
        "date" | "timestamp" | "timestamptz" | "timestamp without time zone" | "timestamp with time zone" => {
            Family::Time
        }
        "boolean" | "bool" => Family::Boolean,
        "bytea" => Family::Bytes,
        _ => return None,
    })
}
