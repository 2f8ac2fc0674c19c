//! What undo keeps of an added column, and how it comes back when the migration is run again.
//!
//! Undo drops the column; what the migration itself did not put there goes into an archive first. A plan that is made while
//! such an archive is there brings the values back, into rows that still exist and whose value nobody has written since.

use crate::catalog::Relation;
use crate::ddl;
use crate::diagnostic::Code;
use crate::kind::Ctx;
use crate::kind::shared::archive::{self, Archive, Kept, Only};
use crate::kind::shared::batch::{self, Rows};
use crate::kind::shared::sync::Derivation;
use crate::plan::{Archived, Phase, Step, Undo, Walk, Write};
use crate::sql::constant::{self, Constant};
use crate::sql::ident::{Ident, Name};

use super::AddColumn;

/// What the migration itself puts into the column.
#[derive(Clone, Copy, Debug)]
pub(super) enum Holds<'a> {
    /// Nobody else can write it, or the table goes with it.
    Nothing,
    /// NULL, into every row.
    Null,
    /// The same into every row.
    Constant(&'a str),
    /// What can be told from other columns of the row.
    Derived(&'a Derivation<'a>),
    /// Something else into each row, so that nobody can tell whose it is: numbers, random values, times.
    Each,
}

impl<'a> Holds<'a> {
    pub(super) fn default(default: Option<&'a str>) -> Self {
        match default.map(|default| (default, constant::read(default))) {
            None | Some((_, Constant::Null)) => Self::Null,
            Some((default, Constant::Value)) => Self::Constant(default),
            Some((_, Constant::No)) => Self::Each,
        }
    }
}

/// An archive that an earlier undo left, and that fits the column as it will be.
#[derive(Clone, Debug)]
struct Earlier {
    name: Name,
    key: Vec<Ident>,
    sources: Vec<Ident>,
}

/// Most archives of one column that are looked for. Each is of an undo that was itself taken back before it was through.
const GENERATIONS: usize = 32;

/// What undo does before and after it drops the column.
pub(super) struct Keeping {
    /// Before the column goes.
    pub(super) before: Vec<Step>,
    /// In the transaction in which it goes, first.
    pub(super) sql: Vec<String>,
    pub(super) archived: Option<Archived>,
    pub(super) gone: Option<crate::effect::Effect>,
    /// What is lost, in words.
    pub(super) loses: Option<String>,
}

impl AddColumn {
    /// What undo keeps.
    pub(super) fn keeping(&self, ctx: &Ctx, holds: Holds) -> Keeping {
        let lost = |why: String| Keeping {
            before: Vec::new(),
            sql: Vec::new(),
            archived: None,
            gone: None,
            loses: Some(format!("what was written into column {} since{why}", self.column)),
        };
        let Some(table) = ctx.physical.relation(&self.table).filter(|table| !table.new_here) else {
            return lost(String::new());
        };
        if let Some(reason) = &ctx.directives.irreversible {
            return lost(format!(" (irreversible: {reason})"));
        }
        let row = crate::batch::ROW;
        let column = &self.column;
        let typed = |expr: &str| format!("{}::{}", batch::wrap(expr), self.data_type);
        let (only, sources) = match holds {
            Holds::Nothing => return Keeping { loses: None, ..lost(String::new()) },
            Holds::Null | Holds::Each => (Only::If(format!("{row}.{column} IS NOT NULL")), Vec::new()),
            Holds::Constant(value) => {
                let differs =
                    format!("pg_catalog.record_image_ne(ROW({row}.{column}), ROW({}))", typed(value));
                (Only::If(differs), Vec::new())
            }
            Holds::Derived(from) => {
                let value = match (from.filter, from.otherwise) {
                    (Some(filter), None) => format!(
                        "CASE WHEN {} THEN {} END",
                        batch::wrap(&batch::qualified(&from.alias, filter)),
                        batch::wrap(&from.value())
                    ),
                    _ => from.value(),
                };
                let sources = from.sources().into_iter().filter(|source| source != column).collect();
                (Only::Differing { alias: from.alias.clone(), expected: typed(&value) }, sources)
            }
        };
        let Some(key) = table.row_keys().into_iter().find(|key| self.lasts(table, key)) else {
            return lost(format!(": {} has no unique NOT NULL key to keep it by", self.table));
        };
        let bare = self.bare();
        let there = self.generations(ctx);
        let kept = Kept {
            migration: ctx.migration.to_owned(),
            sources,
            only,
            number: there.last().map_or(0, |(number, _)| number + 1),
            numbers: self.serial || self.identity.is_some(),
        };
        let archive = Archive::keeping(table, &bare, key, kept);
        let mut before = archive.steps(ctx);
        for step in &mut before {
            step.phase = Phase::Expand;
            step.undo = Undo::Nothing;
        }
        // Where nobody has written anything else, nothing is left of it.
        let mut sql = archive.removal();
        sql.push(ddl::archive::drop_if_only_marks(archive.name()));
        Keeping {
            before,
            sql,
            archived: Some(archive.archived()),
            gone: Some(archive.trigger_gone()),
            loses: None,
        }
    }

    /// The key is one that the migration does not bring itself: it is still there when the column's undo runs.
    fn lasts(&self, table: &Relation, key: &[Ident]) -> bool {
        key.iter().all(|name| table.column(name).is_some_and(|column| !column.new_here))
    }

    /// Archives of this column that are there, oldest first.
    fn generations(&self, ctx: &Ctx) -> Vec<(usize, Name)> {
        (0..GENERATIONS)
            .map(|number| (number, archive::kept_name(ctx.migration, &self.table, &self.column, number)))
            .filter(|(_, name)| ctx.physical.archived.contains_key(name))
            .collect()
    }

    /// Whether values come back.
    pub(super) fn comes_back(&self, ctx: &Ctx) -> bool {
        !self.earlier(ctx).is_empty()
    }

    /// Archives that fit the column and the table as they are now, newest first.
    fn earlier(&self, ctx: &Ctx) -> Vec<Earlier> {
        let Some(table) = ctx.physical.relation(&self.table) else { return Vec::new() };
        let fits = |name: Name| {
            let columns = ctx.physical.archived.get(&name)?;
            let at = columns.iter().position(|(column, _)| *column == self.column)?;
            let (key, rest) = columns.split_at(at);
            let sources = rest.get(1..rest.len().checked_sub(1)?)?;
            let same = |(name, data_type): &(Ident, String)| {
                table.column(name).is_some_and(|column| column.data_type == *data_type)
            };
            let names = |columns: &[(Ident, String)]| -> Vec<Ident> {
                columns.iter().map(|(name, _)| name.clone()).collect()
            };
            let key_names = names(key);
            let fits = rest.first().is_some_and(|(_, data_type)| *data_type == self.data_type)
                && key.iter().chain(sources).all(same)
                && table.row_keys().contains(&key_names);
            fits.then(|| Earlier { name, key: key_names, sources: names(sources) })
        };
        let mut found: Vec<Earlier> =
            self.generations(ctx).into_iter().filter_map(|(_, name)| fits(name)).collect();
        found.reverse();
        found
    }

    /// Statements after which `sequence` gives no number that comes back.
    pub(super) fn free_numbers(&self, ctx: &Ctx, sequence: &Name) -> Vec<String> {
        let archives = self.earlier(ctx).into_iter();
        archives.map(|from| ddl::sequence::go_past(sequence, &from.name, &self.column)).collect()
    }

    /// Steps that bring back what an earlier undo kept, and what to tell of it.
    pub(super) fn brought_back(&self, ctx: &Ctx, holds: Holds) -> (Vec<Step>, Vec<(Code, String)>) {
        let (table, column) = (&self.table, &self.column);
        let mut steps = Vec::new();
        let mut notices = Vec::new();
        let earlier = self.earlier(ctx);
        for (_, name) in self.generations(ctx) {
            if !earlier.iter().any(|from| from.name == name) {
                notices.push((
                    Code::Announce,
                    format!(
                        "what an earlier undo kept of column {column} of {table} stays in {name}: it was of another type, or by a \
                         key that {table} does not have any more"
                    ),
                ));
            }
        }
        let row = crate::batch::ROW;
        let pending = match holds {
            Holds::Constant(value) => format!(
                "NOT pg_catalog.record_image_ne(ROW({row}.{column}), ROW({}::{}))",
                batch::wrap(value),
                self.data_type
            ),
            _ => format!("{row}.{column} IS NULL"),
        };
        for Earlier { name, key, sources } in earlier {
            let rows = Rows {
                title: format!("Bring back what was written into column {column} of {table}"),
                why: format!("an earlier undo of this migration kept it in {name}"),
                write: Write::Restore {
                    from: name.clone(),
                    key: key.clone(),
                    column: column.clone(),
                    pending: Some(pending.clone()),
                    same: sources,
                },
                walk: Walk::Key { columns: key },
                fire_triggers: false,
                undo: Undo::Nothing,
            };
            steps.extend(batch::steps(ctx.physical, table, &rows));
            steps.push(Step::transaction(
                Phase::Backfill,
                format!("Remove {name}"),
                format!("what it held of column {column} is back, where its row still exists"),
                vec![ddl::archive::drop(&name)],
            ));
            notices.push((
                Code::Announce,
                format!(
                    "what an earlier undo kept of column {column} of {table} comes back from {name}, where the row still exists \
                     and nothing newer was written"
                ),
            ));
        }
        (steps, notices)
    }
}
