//! A column whose values come from others of its row: by an UPDATE of the same file, or by `fill`. Rows that old code writes
//! after the backfill has passed get theirs from a trigger, until contract.

use crate::catalog::{Column, Relation};
use crate::ddl;
use crate::diagnostic::{Code, Refusal};
use crate::effect::Effect;
use crate::kind::shared::sync::{self, Derivation, Mode, Sync};
use crate::kind::shared::{batch, not_null, tree};
use crate::kind::{Ctx, Online};
use crate::pg::lock::LockMode;
use crate::plan::{Phase, Probe, Step};
use crate::sql::expr::{Expr, NullWhen};

use super::{AddColumn, Derived, Holds, Leaves};

impl AddColumn {
    pub(super) fn kept_in_step(&self, ctx: &Ctx, table: &Relation) -> Result<Online, Refusal> {
        let fill = ctx.directives.fill_for(&self.column);
        let (from, mode) = match (&self.derived, fill) {
            (Some(_), Some(_)) => {
                return Err(Refusal::new(
                    Code::Directive,
                    format!("column {} has both `fill` and an UPDATE that fills it", self.column),
                    "leave one of them out",
                ));
            }
            (Some(Derived { alias, expr, filter }), None) => {
                // Rows that the UPDATE leaves out keep the default.
                let otherwise = filter.as_ref().and(self.default.as_ref());
                let from = Derivation { alias: alias.clone(), expr, filter: filter.as_ref(), otherwise };
                (from, Mode::Derive)
            }
            (None, Some(expr)) if expr.constant && expr.null_when != NullWhen::Always => {
                return Ok(self.filled_by_default(ctx, expr));
            }
            (None, Some(expr)) => {
                let alias = self.table.name.clone();
                (Derivation { alias, expr, filter: None, otherwise: None }, Mode::Fill)
            }
            (None, None) => return Ok(self.as_written(ctx)),
        };
        sync::check(table, &from)?;
        let satisfied = sync::never_null(table, &from);
        // NULL in a row whose expression fails is better than an error, but not where NULL is an error itself before contract.
        let null = !self.not_null || !satisfied && ctx.directives.enforce_now.is_none();
        let sync = if mode == Mode::Derive && null {
            Sync::catching(ctx, table, (&self.column, &self.data_type), &from)
        } else {
            Sync::new(ctx, &self.table, &self.column, &from, mode)
        };
        let mut sql = vec![ddl::column::add(&self.table, &self.column, &self.definition(""))];
        sql.extend(sync.create(ctx.physical));
        let mut effects = vec![Effect::Column { table: self.table.clone(), column: self.bare() }];
        effects.extend(sync.appears());
        let why = "column and trigger arrive together: no row is written without its value from here on";
        let leaves = Leaves { before: sync.remove(), ..Leaves::default() };
        let holds = Holds::Derived(&from);
        let mut add = self.add(ctx, why, sql, leaves, effects, holds);
        add.quarantines = sync.quarantined();
        let mut steps = vec![add];
        let (back, came_back) = self.brought_back(ctx, holds);
        steps.extend(back);
        let why = "rows that were there before the trigger get their value";
        steps.extend(self.backfill(ctx, &from, ctx.policy.stride, why));
        let mut notices = sync::notices(&self.table, &self.column, mode, &from, &sync);
        notices.extend(came_back);
        notices.extend(batch::trigger_notices(ctx, table, &self.column));
        if self.not_null {
            let after = self.not_null_after(ctx, table, satisfied);
            steps.extend(after.steps);
            notices.extend(after.notices);
        }
        steps.push(self.out_of_step(ctx, &sync));
        if self.default.is_some() {
            notices.push((
                Code::Announce,
                format!("column {} of {} has no DEFAULT until contract", self.column, self.table),
            ));
        }
        Ok(Online { steps, notices })
    }

    /// At contract the trigger goes, and the default comes in the same transaction.
    fn out_of_step(&self, ctx: &Ctx, sync: &Sync) -> Step {
        let default = self
            .default
            .as_ref()
            .map(|default| ddl::column::set_default(&self.table, &self.column, &default.text));
        let why = "old code is gone, and new code writes the column itself";
        let step = sync.removal(ctx, Phase::Contract, why, default.into_iter().collect());
        match &self.default {
            Some(default) => step.provides(Effect::Default {
                table: self.table.clone(),
                column: self.column.clone(),
                default: Some(default.text.clone()),
            }),
            None => step,
        }
    }

    /// `fill` with a constant needs neither trigger nor backfill: until contract it is the default.
    fn filled_by_default(&self, ctx: &Ctx, fill: &Expr) -> Online {
        let not_null = if self.not_null { " NOT NULL" } else { "" };
        let definition = self.definition(&format!("DEFAULT {}{not_null}", fill.text));
        let marking = self.not_null.then(|| not_null::marking(ctx.logical, &self.table, &self.column));
        let column = Column { default: Some(fill.text.clone()), not_null: marking, ..self.bare() };
        let effects = vec![Effect::Column { table: self.table.clone(), column }];
        let sql = vec![ddl::column::add(&self.table, &self.column, &definition)];
        let why = "a constant `fill` is the column's default until contract, kept in the catalog, so no row is written";
        let holds = Holds::default(Some(&fill.text));
        let add = self.add(ctx, why, sql, Leaves::default(), effects, holds);
        let (back, mut notices) = self.brought_back(ctx, holds);

        let change = |default: Option<&str>| match default {
            Some(default) => ddl::column::set_default(&self.table, &self.column, default),
            None => ddl::column::drop_default(&self.table, &self.column),
        };
        let own = self.default.as_ref().map(|default| default.text.as_str());
        let locks = tree::locks(ctx.physical, &self.table, LockMode::AccessExclusive);
        let title = |what: &str| format!("{what} the default of column {} of {}", self.column, self.table);
        let undo = Step::transaction(
            Phase::Expand,
            title("Restore"),
            "old code counts on it",
            vec![change(Some(&fill.text))],
        )
        .locks(locks.clone())
        .probe(self.default_probe(true))
        .provides(self.default_effect(Some(fill.text.clone())));
        let contract = Step::transaction(
            Phase::Contract,
            title(if own.is_some() { "Set" } else { "Drop" }),
            "old code is gone, and new code writes the column itself",
            vec![change(own)],
        )
        .locks(locks)
        .probe(self.default_probe(own.is_some()))
        .undone_by(vec![undo])
        .provides(self.default_effect(own.map(ToOwned::to_owned)));
        let said = format!(
            "until contract, column {} of {} has the value of `fill` as its DEFAULT",
            self.column, self.table
        );
        notices.push((Code::Announce, said));
        Online { steps: [vec![add], back, vec![contract]].concat(), notices }
    }

    fn default_effect(&self, default: Option<String>) -> Effect {
        Effect::Default { table: self.table.clone(), column: self.column.clone(), default }
    }

    fn default_probe(&self, exists: bool) -> Probe {
        Probe::Default { table: self.table.clone(), column: self.column.clone(), exists }
    }
}
