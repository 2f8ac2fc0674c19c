//! SET NOT NULL: proven by a validated CHECK (18+: NOT NULL … NOT VALID), so that no scan happens under the strong lock.

use crate::catalog::{Column, Relation};
use crate::diagnostic::{Code, Refusal};
use crate::effect::Effect;
use crate::kind::shared::sync::{self, Derivation, Mode, Sync};
use crate::kind::shared::tighten::{self, OldWriters, Timing};
use crate::kind::shared::will_fail::WillFail;
use crate::kind::shared::{alter, batch, not_null, tree};
use crate::kind::{Ctx, Kind, Online};
use crate::pg::lock::LockMode;
use crate::plan::{Facts, Phase, Undo, Walk, Work, WorkKind, Write};
use crate::sql::expr::Expr;
use crate::sql::ident::{Ident, Name};

/// See the module.
#[derive(Clone, Debug)]
pub struct SetNotNull {
    /// Table.
    pub table: Name,
    /// Column.
    pub column: Ident,
}

impl Kind for SetNotNull {
    fn name(&self) -> &'static str {
        "set_not_null"
    }

    fn facts(&self, ctx: &Ctx) -> Facts {
        Facts {
            locks: tree::locks(ctx.logical, &self.table, LockMode::AccessExclusive),
            work: self.scans(ctx),
            transaction: true,
            breaks: vec![format!(
                "code that writes NULL into column {} of {}, or leaves it out, gets errors (23502) from then on",
                self.column, self.table
            )],
            fails: self.check(ctx).err().map(Into::into),
        }
    }

    fn online(&self, ctx: &Ctx) -> Result<Online, Refusal> {
        let (table, column) = self.check(ctx)?;
        alter::planned(table)?;
        if column.not_null.as_ref().is_some_and(|marking| marking.valid) {
            let said =
                format!("column {} of {} is NOT NULL already: nothing is done", self.column, self.table);
            return Ok(Online { steps: Vec::new(), notices: vec![(Code::Announce, said)] });
        }
        let physical = ctx.physical.relation(&self.table).and_then(|table| table.column(&self.column));
        if physical.is_some_and(|column| column.not_null.as_ref().is_some_and(|marking| marking.valid)) {
            return Err(Refusal::new(
                Code::SplitFile,
                format!("an earlier statement drops NOT NULL from column {} at contract", self.column),
                "leave both statements out, or split the file in two",
            ));
        }
        if let Some(expr) = ctx.directives.fill_for(&self.column) {
            return self.filled(ctx, table, column, expr);
        }
        let implied = |relation: &Relation| not_null::implied(relation, &self.column);
        if table.new_here || (implied(table) && ctx.physical.relation(&self.table).is_some_and(implied)) {
            let step = not_null::at_once(ctx.physical, &self.table, &self.column, Phase::Expand);
            return Ok(Online { steps: vec![step], notices: Vec::new() });
        }
        let old = match &column.default {
            Some(default) if column.new_here && not_null::is_plain_value(default) => OldWriters::Satisfy,
            _ => OldWriters::MayBreak,
        };
        let timing = tighten::timing(ctx, table, std::slice::from_ref(&self.column), old);
        let mut steps = Vec::new();
        if timing.needs_proof() {
            steps.push(not_null::proof(table, &self.column));
        }
        steps.extend(not_null::steps(ctx.physical, &self.table, &self.column, timing.phase()));
        Ok(Online { steps, notices: timing.notice(&self.what()).into_iter().collect() })
    }

    fn effects(&self, ctx: &Ctx) -> Vec<Effect> {
        let known = ctx.logical.relation(&self.table).and_then(|table| table.column(&self.column));
        match known {
            Some(column) if column.not_null.as_ref().is_none_or(|marking| !marking.valid) => {
                vec![not_null::effect(ctx.logical, &self.table, &self.column)]
            }
            _ => Vec::new(),
        }
    }
}

impl SetNotNull {
    /// Source: `ATExecSetNotNull` in src/backend/commands/tablecmds.c.
    fn check<'a>(&self, ctx: &Ctx<'a>) -> Result<(&'a Relation, &'a Column), WillFail> {
        let table = alter::table(ctx, &self.table)?;
        Ok((table, alter::column(table, &self.column)?))
    }

    /// Every leaf is scanned, unless it is marked already or a CHECK shows it. A column that the file makes may be marked only
    /// because this statement was combined into its ADD COLUMN.
    fn scans(&self, ctx: &Ctx) -> Vec<Work> {
        let scanned = |relation: &Relation| {
            relation.column(&self.column).is_some_and(|column| {
                let marked = column.not_null.as_ref().is_some_and(|marking| marking.valid);
                (column.new_here || !marked) && !not_null::implied(relation, &self.column)
            })
        };
        let leaves: Vec<&Name> = ctx
            .logical
            .leaves(&self.table)
            .into_iter()
            .filter(|leaf| scanned(leaf))
            .map(|leaf| &leaf.name)
            .collect();
        let mut work = tree::work(ctx.logical, &self.table, WorkKind::Scan);
        work.retain(|work| leaves.contains(&&work.relation));
        work
    }

    /// With `fill`: a trigger fills new rows until contract, a backfill the others, so old writers satisfy it.
    fn filled(&self, ctx: &Ctx, table: &Relation, column: &Column, expr: &Expr) -> Result<Online, Refusal> {
        let from = Derivation { alias: table.name.name.clone(), expr, filter: None, otherwise: None };
        sync::check(table, &from)?;
        if column.generated.is_some() || table.partition_key.contains(&self.column) {
            return Err(Refusal::new(
                Code::NotBatchable,
                format!("column {} is generated or in the partition key, and cannot be filled", self.column),
                "leave `fill` out",
            ));
        }
        let timing = if sync::never_null(table, &from) { Timing::Satisfied } else { Timing::Contract };
        let sync = Sync::new(ctx, &self.table, &self.column, &from, Mode::Fill);
        let mut steps = vec![sync.install(ctx, &self.column)];
        let rows = batch::Rows {
            title: format!("Fill column {} of {}", self.column, self.table),
            why: "rows that have no value yet get the one of `fill`".to_owned(),
            write: Write::Update {
                alias: from.alias.clone(),
                set: vec![(self.column.clone(), from.value())],
                pending: from.pending(&self.column, ctx.logical),
            },
            walk: Walk::Pages { stride: ctx.policy.stride },
            // The column may be under a foreign key, which is enforced by triggers.
            fire_triggers: true,
            undo: Undo::Steps {
                steps: Vec::new(),
                loses: Some(format!("rows that had NULL in column {} keep the value of `fill`", self.column)),
            },
        };
        steps.extend(batch::steps(ctx.physical, &self.table, &rows));
        if timing.needs_proof() {
            steps.push(not_null::proof(table, &self.column));
        }
        steps.extend(not_null::steps(ctx.physical, &self.table, &self.column, timing.phase()));
        steps.push(sync.removal(ctx, Phase::Contract, "old code is gone", Vec::new()));
        let mut notices = sync::notices(&self.table, &self.column, Mode::Fill, &from);
        notices.extend(timing.notice(&self.what()));
        Ok(Online { steps, notices })
    }

    fn what(&self) -> String {
        format!("NOT NULL on column {} of {}", self.column, self.table)
    }
}
