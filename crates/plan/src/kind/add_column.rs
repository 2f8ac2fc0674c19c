//! ADD COLUMN: a short lock, and a backfill where the column has values to get. Inline constraints are planned as statements of
//! their own.
//!
//! | as written | planned |
//! |---|---|
//! | nullable, or with a constant or stable default | itself: one short lock |
//! | volatile default | without it, SET DEFAULT, backfill |
//! | serial, identity | column, sequence, default, backfill, NOT NULL |
//! | with the UPDATE that fills it, or with `fill` | a trigger keeps new rows filled, a backfill the old ones |
//! | NOT NULL | proven after the backfill |
//! | GENERATED … STORED | refused: no online form |
//!
//! Undo archives what new code wrote into the column before it drops it, by the table's key: every value that is not what the
//! migration put there. When the migration is run again it comes back, into rows that still exist, unless what it was derived
//! from has changed since. `irreversible` spares the archive, and a table without a key has none; the plan says so.

use serde::{Deserialize, Serialize};

use crate::catalog::{Column, Extras, Generated, Identity, Relation, TypeKind, Volatility};
use crate::ddl;
use crate::diagnostic::{Code, Refusal};
use crate::effect::Effect;
use crate::kind::shared::sync::{self, Derivation, Manner};
use crate::kind::shared::tighten::Timing;
use crate::kind::shared::will_fail::WillFail;
use crate::kind::shared::{alter, batch, not_null, tree};
use crate::kind::{Ctx, Kind, Online};
use crate::pg::lock::LockMode;
use crate::plan::{Facts, LockClaim, Need, Phase, Probe, Step, Undo, Work, WorkKind};
use crate::sql::expr::{Expr, NullWhen};
use crate::sql::ident::{Ident, Name};

mod derived;
mod kept;
mod sequence;

use kept::Holds;

/// See the module.
#[derive(Clone, Debug)]
pub struct AddColumn {
    /// Table.
    pub table: Name,
    /// Column.
    pub column: Ident,
    /// Type as written, with its modifier: `varchar(20)`, `app.mood`.
    pub data_type: String,
    /// The type's own name, resolved in the catalog when it is a user's: to find domains.
    pub user_type: Option<Name>,
    /// COLLATE, STORAGE and COMPRESSION clauses as written; empty if none.
    pub options: String,
    /// IF NOT EXISTS
    pub if_not_exists: bool,
    /// DEFAULT
    pub default: Option<Expr>,
    /// NOT NULL, inline or by a SET NOT NULL that was combined into it.
    pub not_null: bool,
    /// GENERATED … AS IDENTITY, with its sequence options as written (without parentheses).
    pub identity: Option<(Identity, String)>,
    /// serial, bigserial, smallserial: `data_type` then holds integer, bigint, smallint.
    pub serial: bool,
    /// GENERATED ALWAYS AS (expr)
    pub generated: Option<(Generated, Expr)>,
    /// `UPDATE t SET column = expr [WHERE filter]` that was combined into it.
    pub derived: Option<Derived>,
}

/// The UPDATE that fills a new column from others of its row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Derived {
    /// Alias under which the expressions see the table.
    pub alias: Ident,
    /// Expression.
    pub expr: Expr,
    /// WHERE of the UPDATE.
    pub filter: Option<Expr>,
}

impl Kind for AddColumn {
    fn name(&self) -> &'static str {
        "add_column"
    }

    fn facts(&self, ctx: &Ctx) -> Facts {
        let fails = match self.check(ctx) {
            Ok(table) => (!self.exists(ctx) && table.rows > 0).then(|| self.nothing_to_hold()).flatten(),
            Err(failure) => Some(failure),
        };
        let work = self.work(ctx);
        Facts {
            locks: self.locks_as_written(ctx, &work),
            work,
            transaction: true,
            breaks: vec![self.felt()],
            fails: fails.map(Into::into),
        }
    }

    fn online(&self, ctx: &Ctx) -> Result<Online, Refusal> {
        let table = self.check(ctx)?;
        if self.exists(ctx) {
            let said = format!("column {} of {} exists already: nothing is done", self.column, self.table);
            return Ok(Online { steps: Vec::new(), notices: vec![(Code::Announce, said)] });
        }
        if table.new_here {
            return Ok(Online { steps: vec![self.on_empty_table(ctx)], notices: Vec::new() });
        }
        alter::planned(table)?;
        self.needs_no_rewrite(ctx, table)?;
        let mut online = if self.serial || self.identity.is_some() {
            self.with_sequence(ctx, table)?
        } else if self.derived.is_some() || ctx.directives.fill_for(&self.column).is_some() {
            self.kept_in_step(ctx, table)?
        } else if let Some(failure) = self.nothing_to_hold() {
            if table.rows > 0 || table.bytes > 0 {
                return Err(failure.into());
            }
            self.not_null_later(ctx, table)
        } else if let Some(default) = self.default.as_ref().filter(|default| self.row_by_row(ctx, default)) {
            self.volatile_default(ctx, table, default)
        } else {
            self.as_written(ctx)
        };
        online.notices.insert(0, (Code::Announce, self.felt()));
        Ok(online)
    }

    fn effects(&self, ctx: &Ctx) -> Vec<Effect> {
        if self.exists(ctx) {
            return Vec::new();
        }
        let mut column = self.bare();
        column.default = self.default.as_ref().map(|expr| expr.text.clone());
        column.identity = self.identity.as_ref().map(|(identity, _)| *identity);
        column.generated = self.generated.as_ref().map(|(generated, _)| *generated);
        column.not_null = (self.not_null || self.serial || self.identity.is_some())
            .then(|| not_null::marking(ctx.logical, &self.table, &self.column));
        let sequence = self.sequence(ctx.logical);
        if let Some(sequence) = sequence.as_ref().filter(|_| self.serial) {
            column.default = Some(ddl::sequence::next_value(&sequence.name));
        }
        let mut effects = vec![Effect::Column { table: self.table.clone(), column }];
        effects.extend(sequence.map(Effect::Sequence));
        effects
    }
}

/// What undo removes beside the column, in its transaction.
#[derive(Debug, Default)]
struct Leaves {
    before: Vec<String>,
    after: Vec<String>,
}

/// What is the same for every form.
impl AddColumn {
    /// Source: `ATExecAddColumn` and `check_for_column_name_collision` in src/backend/commands/tablecmds.c.
    fn check<'a>(&self, ctx: &Ctx<'a>) -> Result<&'a Relation, WillFail> {
        let table = alter::table(ctx, &self.table)?;
        let column = &self.column;
        if table.partition_of.is_some() {
            return Err(WillFail::new(
                "42809",
                format!("{} is a partition, and gets its columns from the partitioned table", self.table),
                "add the column to the partitioned table",
            ));
        }
        const SYSTEM: &[&str] = &["cmax", "cmin", "ctid", "tableoid", "xmax", "xmin"];
        if SYSTEM.contains(&column.as_str()) || (self.exists(ctx) && !self.if_not_exists) {
            return Err(WillFail::new(
                "42701",
                format!("column {column} of {} exists already", self.table),
                "choose another name, or leave the statement out",
            ));
        }
        let version = ctx.logical.server.version;
        if self.identity.is_some() && !table.partitions.is_empty() && version.major() < 17 {
            return Err(WillFail::new(
                "42P16",
                format!("an identity column cannot be added to partitioned table {} before 17", self.table),
                "use serial, or a sequence of your own",
            ));
        }
        if matches!(self.generated, Some((Generated::Virtual, _))) && !version.virtual_columns() {
            return Err(WillFail::new(
                "42601",
                format!("column {column}: VIRTUAL generated columns exist from 18 on"),
                "write the expression into a view or into the queries",
            ));
        }
        if let Some((_, expr)) = &self.generated {
            for reference in &expr.columns {
                alter::column(table, &reference.column)?;
            }
        }
        Ok(table)
    }

    fn exists(&self, ctx: &Ctx) -> bool {
        ctx.logical.relation(&self.table).is_some_and(|table| table.column(&self.column).is_some())
    }

    /// NOT NULL with nothing to put into rows that exist.
    fn nothing_to_hold(&self) -> Option<WillFail> {
        let filled = self.serial
            || self.identity.is_some()
            || self.generated.is_some()
            || self.derived.is_some()
            || self.default.as_ref().is_some_and(|default| default.null_when != NullWhen::Always);
        (self.not_null && !filled).then(|| {
            WillFail::new(
                "23502",
                format!(
                    "column {} of {} is NOT NULL, and there is no value for the rows that exist or that running code inserts",
                    self.column, self.table
                ),
                format!(
                    "give it a DEFAULT; or write `-- concertina:fill {} = …` above the statement; or add it nullable, UPDATE it \
                     and SET NOT NULL, in three statements",
                    self.column
                ),
            )
        })
    }

    /// Source: "the table will be rewritten", doc/src/sgml/ref/alter_table.sgml, Notes; domains measured on 13 to 18.
    fn work(&self, ctx: &Ctx) -> Vec<Work> {
        let stored = matches!(self.generated, Some((Generated::Stored, _)));
        let what = if self.exists(ctx) {
            return Vec::new();
        } else if self.serial
            || self.identity.is_some()
            || stored
            || self.default.as_ref().is_some_and(|default| volatile(default, ctx))
            || self.domain(ctx).is_some_and(|(constrained, default)| constrained || default)
        {
            WorkKind::Rewrite
        } else if self.generated.is_some() && self.not_null {
            WorkKind::Scan
        } else {
            return Vec::new();
        };
        tree::work(ctx.logical, &self.table, what)
    }

    /// IF NOT EXISTS looks at the table alone; a rewrite builds every index anew. Source: measured on 14, 15, 18.
    fn locks_as_written(&self, ctx: &Ctx, work: &[Work]) -> Vec<LockClaim> {
        let mode = LockMode::AccessExclusive;
        if self.exists(ctx) {
            return tree::lock(ctx.logical, &self.table, mode);
        }
        let mut locks = tree::locks(ctx.logical, &self.table, mode);
        for work in work.iter().filter(|work| work.what == WorkKind::Rewrite) {
            let indexes = ctx.logical.relation(&work.relation).into_iter().flat_map(|leaf| &leaf.indexes);
            locks.extend(
                indexes.map(|index| LockClaim { relation: work.relation.sibling(index.name.clone()), mode }),
            );
        }
        locks
    }

    /// The type is a domain: whether it has constraints, and a default.
    fn domain(&self, ctx: &Ctx) -> Option<(bool, bool)> {
        match ctx.logical.types.get(self.user_type.as_ref()?)?.kind {
            TypeKind::Domain { constrained, default } => Some((constrained, default)),
            TypeKind::Enum(_) | TypeKind::Other => None,
        }
    }

    /// Refuses the forms that PostgreSQL can only do by writing or reading the whole table, unless it is small.
    fn needs_no_rewrite(&self, ctx: &Ctx, table: &Relation) -> Result<(), Refusal> {
        let (column, name) = (&self.column, &self.table);
        if table.bytes <= ctx.policy.small_table_bytes {
            return Ok(());
        }
        match (self.domain(ctx), &self.generated) {
            (Some((true, _)), _) => Err(Refusal::new(
                Code::NoOnlineForm,
                format!(
                    "column {column} is of domain {}, which has constraints: {name} is rewritten under ACCESS EXCLUSIVE",
                    self.data_type
                ),
                "use the domain's base type, and ADD CHECK with the domain's condition",
            )),
            (Some((_, true)), _)
                if self.default.is_none() || self.default.as_ref().is_some_and(|d| volatile(d, ctx)) =>
            {
                Err(Refusal::new(
                    Code::NotYet,
                    format!(
                        "column {column} is of domain {}, whose own default fills the rows of {name}",
                        self.data_type
                    ),
                    "use the domain's base type, or give the column a constant DEFAULT",
                ))
            }
            (_, Some((Generated::Stored, _))) => Err(Refusal::new(
                Code::NoOnlineForm,
                format!(
                    "STORED generated column {column} is computed by rewriting {name} under ACCESS EXCLUSIVE"
                ),
                if ctx.logical.server.version.virtual_columns() {
                    "make it VIRTUAL, which writes nothing; or add a plain column, UPDATE it from the others, and keep it so by a \
                     trigger of your own"
                } else {
                    "add a plain column, UPDATE it from the others, and keep it so by a trigger of your own (from 18 on, VIRTUAL \
                     writes nothing)"
                },
            )),
            (_, Some((Generated::Virtual, _))) if self.not_null => Err(Refusal::new(
                Code::NoOnlineForm,
                format!("NOT NULL on VIRTUAL column {column} reads all of {name} under ACCESS EXCLUSIVE"),
                "leave NOT NULL out, or ADD CHECK with its condition",
            )),
            _ => Ok(()),
        }
    }

    /// The column as it is at first: nullable, nothing in it.
    fn bare(&self) -> Column {
        Column {
            name: self.column.clone(),
            data_type: self.data_type.clone(),
            not_null: None,
            default: None,
            identity: None,
            generated: None,
            new_here: true,
            extras: Extras::default(),
        }
    }

    /// Type and options, then what else belongs into the statement.
    fn definition(&self, more: &str) -> String {
        let parts = [self.data_type.as_str(), &self.options, more];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    }

    fn full_definition(&self) -> String {
        let mut parts = Vec::new();
        if let Some((identity, options)) = &self.identity {
            let options = if options.is_empty() { String::new() } else { format!(" ({options})") };
            parts.push(format!("{}{options}", ddl::column::generated_as_identity(*identity)));
        }
        if let Some(default) = &self.default {
            parts.push(format!("DEFAULT {}", default.text));
        }
        if let Some((generated, expr)) = &self.generated {
            let how = if *generated == Generated::Stored { "STORED" } else { "VIRTUAL" };
            parts.push(format!("GENERATED ALWAYS AS {} {how}", batch::wrap(&expr.text)));
        }
        if self.not_null && self.derived.is_none() {
            parts.push("NOT NULL".to_owned());
        }
        let definition = self.definition(&parts.join(" "));
        match self.data_type.as_str() {
            _ if !self.serial => definition,
            "smallint" => definition.replacen("smallint", "smallserial", 1),
            "bigint" => definition.replacen("bigint", "bigserial", 1),
            data_type => definition.replacen(data_type, "serial", 1),
        }
    }

    /// The step that makes the column.
    fn add(
        &self,
        ctx: &Ctx,
        why: &str,
        sql: Vec<String>,
        leaves: Leaves,
        effects: Vec<Effect>,
        holds: Holds,
    ) -> Step {
        let locks = tree::locks(ctx.physical, &self.table, LockMode::AccessExclusive);
        let keeping = self.keeping(ctx, holds);
        let mut undo_sql = keeping.sql;
        undo_sql.extend(leaves.before);
        undo_sql.push(ddl::column::drop(&self.table, &self.column));
        undo_sql.extend(leaves.after);
        let mut undo = Step::transaction(
            Phase::Expand,
            match &keeping.archived {
                Some(_) => format!(
                    "Drop column {} of {}, and keep in the archive what was written into it",
                    self.column, self.table
                ),
                None => format!("Drop column {} of {}", self.column, self.table),
            },
            "takes back ADD COLUMN",
            undo_sql,
        )
        .locks(locks.clone())
        .probe(self.probe(false))
        .provides(Effect::ColumnGone { table: self.table.clone(), column: self.column.clone() });
        for effect in &effects {
            if let Effect::Trigger { table, trigger } = effect {
                undo.provides
                    .push(Effect::TriggerGone { table: table.clone(), trigger: trigger.name.clone() });
            }
        }
        undo.destroys = true;
        undo.provides.extend(keeping.gone);
        undo.archived.extend(keeping.archived);
        let mut steps = keeping.before;
        steps.push(undo);
        let mut step = Step::transaction(
            Phase::Expand,
            format!("Add column {} to {}", self.column, self.table),
            why,
            sql,
        )
        .locks(locks)
        .probe(self.probe(true))
        .undo(Undo::Steps { steps, loses: keeping.loses })
        .requires(Need::Relation(self.table.clone()))
        .requires(Need::NoColumn(self.table.clone(), self.column.clone()));
        step.provides = effects;
        step
    }

    fn probe(&self, exists: bool) -> Probe {
        Probe::Column { table: self.table.clone(), column: self.column.clone(), exists }
    }

    fn felt(&self) -> String {
        format!(
            "COPY {table} without a column list, INSERT … SELECT * and prepared SELECT * notice the new column {column} of {table}",
            table = self.table,
            column = self.column
        )
    }

    /// NOT NULL after the backfill: before contract where every row that old code writes has a value.
    fn not_null_after(&self, ctx: &Ctx, table: &Relation, satisfied: bool) -> Online {
        let timing = if satisfied {
            Timing::Satisfied
        } else if ctx.directives.enforce_now.is_some() {
            Timing::Enforced
        } else {
            Timing::Contract
        };
        let mut steps = Vec::new();
        if timing.needs_proof() {
            steps.push(not_null::proof(table, &self.column));
        }
        steps.extend(not_null::steps(ctx.physical, &self.table, &self.column, timing.phase()));
        let what = format!("NOT NULL on column {} of {}", self.column, self.table);
        Online { steps, notices: timing.notice(&what).into_iter().collect() }
    }

    /// Writes the value into rows that have none. Undo drops the column.
    fn backfill(&self, ctx: &Ctx, from: &Derivation, stride: u32, why: &str) -> Vec<Step> {
        let manner = Manner { stride, fire_triggers: false, undo: Undo::Nothing, why };
        sync::backfill(ctx, &self.table, &self.column, from, manner)
    }
}

/// The forms that need neither sequence nor trigger.
impl AddColumn {
    fn as_written(&self, ctx: &Ctx) -> Online {
        let sql = vec![ddl::column::add(&self.table, &self.column, &self.full_definition())];
        let why = if self.default.is_some() {
            "a default that is not volatile is kept in the catalog, so no row is written"
        } else {
            "only the catalog changes"
        };
        let holds = match (&self.generated, &self.default) {
            (Some(_), _) => Holds::Nothing,
            (None, default) => Holds::default(default.as_ref().map(|default| default.text.as_str())),
        };
        let mut step = self.add(ctx, why, sql, Leaves::default(), self.effects(ctx), holds);
        // A small table may be rewritten.
        step.work = self.work(ctx);
        step.locks = self.locks_as_written(ctx, &step.work);
        let (back, notices) = self.brought_back(ctx, holds);
        Online { steps: [vec![step], back].concat(), notices }
    }

    /// On a table that the same file makes: nobody waits, nothing is large.
    fn on_empty_table(&self, ctx: &Ctx) -> Step {
        let mut sql = vec![ddl::column::add(&self.table, &self.column, &self.full_definition())];
        if let Some(Derived { alias, expr, filter }) = &self.derived {
            let filter = filter.as_ref().map(|filter| format!(" WHERE {}", filter.text)).unwrap_or_default();
            let (table, column, expr) = (&self.table, &self.column, &expr.text);
            sql.push(format!("UPDATE {table} AS {alias} SET {column} = {expr}{filter}"));
            if self.not_null {
                sql.push(ddl::column::set_not_null(table, column));
            }
        }
        self.add(
            ctx,
            "the table was made by this file, and nobody uses it yet",
            sql,
            Leaves::default(),
            self.effects(ctx),
            Holds::Nothing,
        )
    }

    /// Two statements, so that PostgreSQL does not write the default into every row under the lock.
    fn volatile_default(&self, ctx: &Ctx, table: &Relation, default: &Expr) -> Online {
        let sql = vec![
            ddl::column::add(&self.table, &self.column, &self.definition("")),
            ddl::column::set_default(&self.table, &self.column, &default.text),
        ];
        let column = Column { default: Some(default.text.clone()), ..self.bare() };
        let effects = vec![Effect::Column { table: self.table.clone(), column }];
        let why = "a volatile default given later is for new rows only, so no row is written under the lock";
        let mut steps = vec![self.add(ctx, why, sql, Leaves::default(), effects, Holds::Each)];
        let (back, mut notices) = self.brought_back(ctx, Holds::Each);
        steps.extend(back);
        let from =
            Derivation { alias: self.table.name.clone(), expr: default, filter: None, otherwise: None };
        steps.extend(self.backfill(
            ctx,
            &from,
            ctx.policy.stride,
            "each row that exists gets its own default",
        ));
        notices.extend(batch::trigger_notices(ctx, table, &self.column));
        if self.not_null {
            let after = self.not_null_after(ctx, table, default.never_null(|_| false));
            steps.extend(after.steps);
            notices.extend(after.notices);
        }
        Online { steps, notices }
    }

    /// NOT NULL without a value, on a table that had no rows when the catalog was read.
    fn not_null_later(&self, ctx: &Ctx, table: &Relation) -> Online {
        let sql = vec![ddl::column::add(&self.table, &self.column, &self.definition(""))];
        let effects = vec![Effect::Column { table: self.table.clone(), column: self.bare() }];
        let why = "running code leaves the column out, so it is NOT NULL only from contract on";
        let mut steps = vec![self.add(ctx, why, sql, Leaves::default(), effects, Holds::Null)];
        let (back, mut notices) = self.brought_back(ctx, Holds::Null);
        steps.extend(back);
        let after = self.not_null_after(ctx, table, false);
        steps.extend(after.steps);
        notices.extend(after.notices);
        Online { steps, notices }
    }
}

impl AddColumn {
    /// The default is written row by row: because each row has its own, or because values come back that could not be told
    /// from it.
    fn row_by_row(&self, ctx: &Ctx, default: &Expr) -> bool {
        volatile(default, ctx)
            || (matches!(Holds::default(Some(&default.text)), Holds::Each) && self.comes_back(ctx))
    }
}

fn volatile(default: &Expr, ctx: &Ctx) -> bool {
    default.volatility(ctx.logical) == Volatility::Volatile
}

#[cfg(test)]
mod tests;
