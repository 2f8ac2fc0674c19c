//! `keep-before-image`: rows as they are before a whole-table UPDATE or DELETE, kept in the transaction of each batch, and put
//! back by undo where nobody has written them since.

use crate::batch::kept_after;
use crate::catalog::Relation;
use crate::ddl;
use crate::diagnostic::Code;
use crate::kind::Ctx;
use crate::kind::shared::batch::{self, Rows};
use crate::plan::{Archived, Noun, Phase, Step, Undo, Walk, Write};
use crate::sql::ident::{Ident, Name};

/// What is kept of one table or partition.
#[derive(Clone, Debug)]
pub(crate) struct BeforeImage<'a> {
    table: &'a Relation,
    key: Vec<Ident>,
    /// All that is kept but the key.
    columns: Vec<Ident>,
    deleted: bool,
    migration: &'a str,
    name: Name,
    /// Undo fires users' triggers, if the batches do.
    pub(crate) fire_triggers: bool,
}

impl<'a> BeforeImage<'a> {
    /// Of an UPDATE that writes these columns, none of them in the key.
    pub(crate) fn of_update(
        ctx: &Ctx<'a>,
        table: &'a Relation,
        key: Vec<Ident>,
        columns: Vec<Ident>,
        statement: &str,
    ) -> Self {
        Self::named(ctx, table, key, columns, false, statement)
    }

    /// Of a DELETE: the whole row, but for what PostgreSQL computes.
    pub(crate) fn of_delete(ctx: &Ctx<'a>, table: &'a Relation, key: Vec<Ident>, statement: &str) -> Self {
        let columns = table.columns.iter().filter(|column| column.generated.is_none());
        let columns = columns.map(|column| column.name.clone()).filter(|name| !key.contains(name)).collect();
        Self::named(ctx, table, key, columns, true, statement)
    }

    fn named(
        ctx: &Ctx<'a>,
        table: &'a Relation,
        key: Vec<Ident>,
        columns: Vec<Ident>,
        deleted: bool,
        statement: &str,
    ) -> Self {
        // What an earlier undo could not put back stays there under its name.
        let mut number = 0;
        let name = loop {
            let again = if number == 0 { String::new() } else { format!(" {number}") };
            let content = format!("before {} {} {statement}{again}", ctx.migration, table.name);
            let head = format!("{}_before", table.name.name.as_str());
            let name = Name { schema: "concertina_archive".into(), name: Ident::generated(&head, &content) };
            if !ctx.physical.archived.contains_key(&name) {
                break name;
            }
            number += 1;
        };
        Self { table, key, columns, deleted, migration: ctx.migration, name, fire_triggers: true }
    }

    fn verb(&self) -> &'static str {
        if self.deleted { "DELETE" } else { "UPDATE" }
    }

    fn holds(&self) -> String {
        if self.deleted {
            format!("rows deleted from {}", self.table.name)
        } else {
            format!("rows of {} as they were before the UPDATE", self.table.name)
        }
    }

    /// The step that makes the table for them. Its undo removes it, unless rows are left that could not be put back.
    pub(crate) fn make(&self) -> Step {
        let table = &self.table.name;
        let after: Vec<Ident> =
            if self.deleted { Vec::new() } else { (1..=self.columns.len()).map(kept_after).collect() };
        let mut sql = ddl::archive::create_keeping(&self.name, table, &self.key, &self.columns, &after);
        sql.push(ddl::archive::label(&self.name, self.migration, &self.holds()));
        let undo = Step::transaction(
            Phase::Backfill,
            format!("Remove {}, unless rows are left in it", self.name),
            "rows that running code has written since stay as they are, and what they were before stays there",
            vec![ddl::archive::drop_if_empty(&self.name)],
        );
        let mut step = Step::transaction(
            Phase::Backfill,
            format!("Make a table for the {}", self.holds()),
            "keep-before-image: undo puts them back from there",
            sql,
        )
        .undone_by(vec![undo]);
        step.archived = vec![Archived { noun: Noun::Table, name: self.name.clone(), of: self.holds() }];
        step
    }

    /// The same write, which keeps the rows.
    pub(crate) fn keeping(&self, what: Write) -> Write {
        Write::Keeping {
            what: Box::new(what),
            into: self.name.clone(),
            key: self.key.clone(),
            columns: self.columns.clone(),
        }
    }

    /// Puts rows back, in batches. Triggers fire, if they did: what they derived from the rows follows them back.
    pub(crate) fn put_back(&self, loses: Option<String>) -> Undo {
        let title = if self.deleted {
            format!("Insert the deleted rows of {} again", self.table.name)
        } else {
            format!("Put back the rows of {} that nobody has written since", self.table.name)
        };
        let rows = Rows {
            title,
            why: format!("from {}, which keeps those that cannot be put back", self.name),
            write: Write::PutBack {
                from: self.name.clone(),
                key: self.key.clone(),
                columns: self.columns.clone(),
                deleted: self.deleted,
            },
            walk: Walk::Key { columns: self.key.clone() },
            fire_triggers: self.fire_triggers,
            undo: Undo::Nothing,
        };
        Undo::Steps { steps: vec![batch::step(self.table, &self.table.name, &rows)], loses }
    }

    /// What it costs, and what undo does not do.
    pub(crate) fn notice(&self) -> (Code, String) {
        let (verb, table, name) = (self.verb(), &self.table.name, &self.name);
        let rest = if self.deleted {
            "a row stays there if another one has taken its place since"
        } else {
            "a row stays there if running code has written the same columns of it since"
        };
        (
            Code::Announce,
            format!(
                "keep-before-image: the {verb} also writes each row, as it was, into {name}: up to twice the time and WAL, and room \
                 for as many rows as it meets in {table}, until they are purged; undo puts them back, and {rest}"
            ),
        )
    }
}
