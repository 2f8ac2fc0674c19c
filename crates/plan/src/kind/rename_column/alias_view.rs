//! A column's new name without a second column: a view with both names stands for the table until contract.
//!
//! For a table that is too large to write every row again. The table gets a name that nobody knows, and a view takes its place in the
//! same short transaction: what both codes read and write goes through to the table, whose triggers, constraints, defaults
//! and row security work as ever. No row is written and no room is needed, and partition keys and generated columns can be
//! renamed, too. The price is that until contract the table is a view to everybody: what does not work through one fails, for old code
//! as well, so this form is only taken where the statement asks for it.
//!
//! At contract, in one short transaction, the view goes, and the table gets its name back and the column its new one.

use crate::catalog::{Column, DependentKind, Relation};
use crate::ddl::alias::{self, SecondName};
use crate::ddl::{self, moved};
use crate::diagnostic::{Code, Refusal};
use crate::effect::Effect;
use crate::kind::shared::{alter, stand_in, tree};
use crate::kind::{Ctx, Online};
use crate::pg::lock::LockMode;
use crate::plan::{LockClaim, Need, Phase, Probe, Step};
use crate::sql::ident::{Ident, Name};

use super::RenameColumn;

/// See the module.
pub(super) struct AliasView<'a> {
    rename: &'a RenameColumn,
    table: &'a Relation,
    column: &'a Column,
    /// What the table is called until contract.
    hidden: Name,
    invoker: bool,
}

impl<'a> AliasView<'a> {
    pub(super) fn new(
        rename: &'a RenameColumn,
        ctx: &Ctx,
        table: &'a Relation,
        column: &'a Column,
    ) -> Result<Self, Refusal> {
        let content = format!("{} alias view {}", ctx.migration, table.name);
        let invoker = ctx.physical.server.version.security_invoker();
        let hidden = Ident::generated(table.name.name.as_str(), &content);
        let it = Self { rename, table, column, hidden: table.name.sibling(hidden), invoker };
        it.refuse()?;
        Ok(it)
    }

    pub(super) fn online(&self, ctx: &Ctx) -> Online {
        Online { steps: vec![self.appears(), self.contract(ctx)], notices: self.notices(ctx) }
    }

    fn refuse(&self) -> Result<(), Refusal> {
        let name = &self.table.name;
        alter::planned(self.table)?;
        if self.table.row_security && !self.invoker {
            return Err(Refusal::new(
                Code::NoOnlineForm,
                format!(
                    "{name} has row level security, and on PostgreSQL 14 a view over it, which would stand for it until contract, \
                     shows the rows that its owner may see"
                ),
                "leave alias-view out, or upgrade to 15 or later, where a view can be read with the reader's own rights",
            ));
        }
        let published = |d: &&crate::catalog::Dependent| d.kind == DependentKind::Publication;
        if let Some(publication) = self.table.dependents.iter().find(published) {
            return Err(Refusal::new(
                Code::HasDependents,
                format!(
                    "{name} is published ({}): until contract subscribers would be sent its rows under another table name",
                    publication.description
                ),
                "leave alias-view out: a second column can be published",
            ));
        }
        Ok(())
    }

    /// Who waits for the table while its name changes looks the name up again afterwards, and finds the view.
    /// Source: `RangeVarGetRelidExtended` in src/backend/catalog/namespace.c.
    fn appears(&self) -> Step {
        let (name, hidden) = (&self.table.name, &self.hidden);
        let gone = Step::transaction(
            Phase::Expand,
            format!("Drop view {name} and give {name} its name back"),
            "only new code uses the other name",
            vec![
                alias::hand_over(name, hidden),
                format!("DROP VIEW {name}"),
                moved::rename("TABLE", hidden, &name.name),
            ],
        )
        .lock(name, LockMode::AccessExclusive)
        .lock(hidden, LockMode::AccessExclusive)
        .requires(Need::NoDependents(name.clone()))
        .provides(Effect::RelationGone(name.clone()))
        .provides(Effect::RelationRenamed { from: hidden.clone(), to: name.clone() });
        let mut step = Step::transaction(
            Phase::Expand,
            format!("Put a view in the place of {name}, with {} under both names", self.rename.column),
            "both codes read and write one column; no row is written",
            self.hide(),
        )
        .lock(name, LockMode::AccessExclusive)
        .probe(Probe::Relation { name: hidden.clone(), exists: true })
        .requires(Need::Column(name.clone(), self.rename.column.clone()))
        .requires(Need::NoRelation(hidden.clone()))
        .undone_by(vec![gone]);
        step.provides = self.hidden_effects();
        step
    }

    fn contract(&self, ctx: &Ctx) -> Step {
        let (name, hidden, rename) = (&self.table.name, &self.hidden, self.rename);
        let mut locks = vec![LockClaim { relation: name.clone(), mode: LockMode::AccessExclusive }];
        locks.extend(tree::locks(ctx.logical, name, LockMode::AccessExclusive).into_iter().map(
            |mut lock| {
                if lock.relation == *name {
                    lock.relation = hidden.clone();
                }
                lock
            },
        ));
        let renamed = |column: &Ident, to: &Ident, table: &Name| Effect::ColumnRenamed {
            table: table.clone(),
            column: column.clone(),
            to: to.clone(),
        };
        let mut sql = vec![ddl::column::rename(name, &rename.to, &rename.column)];
        sql.extend(self.hide());
        let mut back = Step::transaction(
            Phase::Contract,
            format!("Put the view in the place of {name} again"),
            "both names work again",
            sql,
        )
        .locks(tree::locks(ctx.logical, name, LockMode::AccessExclusive))
        .provides(renamed(&rename.to, &rename.column, name));
        back.provides.extend(self.hidden_effects());
        // Who uses a view locks it before what it reads, so the view goes first; its privileges have been given on by then.
        Step::transaction(
            Phase::Contract,
            format!(
                "Drop view {name}, give {name} its name back and rename column {} to {}",
                rename.column, rename.to
            ),
            "old code is gone; everything that hangs on the column stays, under the new name",
            vec![
                format!("LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE"),
                ddl::column::rename(hidden, &rename.column, &rename.to),
                alias::hand_over(name, hidden),
                format!("DROP VIEW {name}"),
                moved::rename("TABLE", hidden, &name.name),
            ],
        )
        .locks(locks)
        .probe(Probe::Relation { name: hidden.clone(), exists: false })
        .requires(Need::Relation(hidden.clone()))
        .requires(Need::NoDependents(name.clone()))
        .provides(Effect::RelationGone(name.clone()))
        .provides(Effect::RelationRenamed { from: hidden.clone(), to: name.clone() })
        .provides(renamed(&rename.column, &rename.to, name))
        .undone_by(vec![back])
    }

    fn hide(&self) -> Vec<String> {
        let (name, hidden) = (&self.table.name, &self.hidden);
        let mut sql = vec![moved::rename("TABLE", name, &hidden.name)];
        sql.extend(alias::create(name, hidden, &self.table.columns, Some(self.second()), self.invoker));
        sql.push(alias::equip(name, hidden));
        sql.extend(ddl::column::grants(name, &self.rename.to, &self.column.extras.grants));
        sql
    }

    fn hidden_effects(&self) -> Vec<Effect> {
        let (name, hidden) = (&self.table.name, &self.hidden);
        let renamed = Effect::RelationRenamed { from: name.clone(), to: hidden.clone() };
        let view = stand_in::effects(name, hidden, self.table, Some(self.second()));
        std::iter::once(renamed).chain(view).collect()
    }

    fn second(&self) -> SecondName<'_> {
        SecondName { column: &self.rename.column, name: &self.rename.to }
    }

    fn notices(&self, ctx: &Ctx) -> Vec<(Code, String)> {
        let (name, old, new) = (&self.table.name, &self.rename.column, &self.rename.to);
        let mut notices = vec![
            (
                Code::Breaks,
                format!(
                    "until contract {name} is a view, for old code and new: there is no {}",
                    stand_in::limits(ctx, self.table).join("; no ")
                ),
            ),
            (
                Code::Breaks,
                format!(
                    "until contract a statement that sets both {old} and {new} of {name} fails (42601), and so does a function that \
                     takes a row of {name} (42883)"
                ),
            ),
            (
                Code::Breaks,
                format!(
                    "at expand and at contract, once per connection: a prepared statement that returns whole rows of {name}, or all \
                     its columns by a *, fails (0A000); all others go on"
                ),
            ),
            (
                Code::Announce,
                format!(
                    "who looks {name} up in the catalogs before contract finds a view: no primary key, no NOT NULL, no identity, and \
                     nothing from pg_get_serial_sequence; the table itself is {}",
                    self.hidden
                ),
            ),
        ];
        if self.column.default.is_some() && self.column.generated.is_none() {
            notices.push((
                Code::Breaks,
                format!(
                    "until contract UPDATE … SET {old} = DEFAULT of {name} writes NULL; an INSERT that leaves {old} out or says DEFAULT \
                     gets its default"
                ),
            ));
        }
        if !self.table.partitions.is_empty() {
            notices.push((
                Code::Breaks,
                format!("until contract the partitions of {name}, where they are named themselves, know only {old}"),
            ));
        }
        notices.push((
            Code::Breaks,
            format!("at contract: running code that names {old} of {name} fails (42703)"),
        ));
        notices
    }
}
