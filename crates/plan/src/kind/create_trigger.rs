//! CREATE TRIGGER on a table that is in use: itself, in expand, by one short try.
//!
//! From then on writes of running code fire it, and fail where it fails: nobody can read off its function what it does to
//! them, so the plan says so.

use crate::catalog::{Relation, Trigger};
use crate::ddl;
use crate::diagnostic::{Code, Refusal};
use crate::effect::Effect;
use crate::kind::shared::will_fail::WillFail;
use crate::kind::shared::{alter, firing, tree};
use crate::kind::{Ctx, Kind, Online};
use crate::pg::firing::Firing;
use crate::pg::lock::LockMode;
use crate::plan::{Facts, LockClaim, Need, Phase, Probe, Step};
use crate::sql::ident::Name;

/// See the module.
#[derive(Clone, Debug)]
pub struct CreateTrigger {
    /// The statement.
    pub sql: String,
    /// Table or view.
    pub table: Name,
    /// The trigger as the catalog will have it.
    pub trigger: Trigger,
    /// OR REPLACE
    pub replace: bool,
    /// What else it does to the catalog: the constraint of CREATE CONSTRAINT TRIGGER.
    pub also: Vec<Effect>,
}

impl Kind for CreateTrigger {
    fn name(&self) -> &'static str {
        "create_trigger"
    }

    fn facts(&self, ctx: &Ctx) -> Facts {
        Facts {
            locks: self.locks(ctx, LockMode::ShareRowExclusive),
            transaction: true,
            breaks: vec![self.felt()],
            fails: self.check(ctx).err().map(Into::into),
            ..Facts::default()
        }
    }

    fn online(&self, ctx: &Ctx) -> Result<Online, Refusal> {
        let (table, old) = self.check(ctx)?;
        let step = Step::transaction(
            Phase::Expand,
            format!("Create trigger {} on {}", self.trigger.name, self.table),
            if table.new_here { "the table is new: nobody uses it yet" } else { "new code may count on it" },
            vec![self.sql.clone()],
        )
        .locks(self.locks(ctx, LockMode::ShareRowExclusive))
        .probe(self.probe(true))
        .undone_by(vec![self.gone(ctx, old)])
        .requires(Need::Relation(self.table.clone()));
        let step = Step { provides: self.effects(ctx), ..step };
        let notices = if table.new_here {
            Vec::new()
        } else {
            vec![(Code::Breaks, format!("from expand on: {}", self.felt()))]
        };
        Ok(Online { steps: vec![step], notices })
    }

    fn effects(&self, _ctx: &Ctx) -> Vec<Effect> {
        let own = Effect::Trigger { table: self.table.clone(), trigger: self.trigger.clone() };
        std::iter::once(own).chain(self.also.iter().cloned()).collect()
    }
}

impl CreateTrigger {
    /// The table, and the trigger that OR REPLACE replaces. Source: `CreateTriggerFiringOn` in src/backend/commands/trigger.c.
    fn check<'a>(&self, ctx: &Ctx<'a>) -> Result<(&'a Relation, Option<&'a Trigger>), WillFail> {
        let table = alter::relation(ctx, &self.table)?;
        match table.trigger(&self.trigger.name) {
            Some(_) if !self.replace => Err(WillFail::new(
                "42710",
                format!("trigger {} of {} exists already", self.trigger.name, self.table),
                "choose another name, or drop the old one first",
            )),
            old => Ok((table, old)),
        }
    }

    /// What was there before OR REPLACE comes back.
    fn gone(&self, ctx: &Ctx, old: Option<&Trigger>) -> Step {
        let mut sql = vec![ddl::trigger::drop_trigger(&self.trigger.name, &self.table)];
        let (fires, effects) = match old {
            Some(old) => firing::as_it_was(ctx.logical, &self.table, &old.name, Firing::Origin),
            None => Default::default(),
        };
        sql.extend(old.map(|old| old.definition.clone()).into_iter().chain(fires));
        let mut step = Step::transaction(
            Phase::Expand,
            format!("Drop trigger {} of {}", self.trigger.name, self.table),
            if old.is_some() {
                "the one that was there before comes back"
            } else {
                "takes the new trigger away"
            },
            sql,
        )
        .locks(self.locks(ctx, LockMode::AccessExclusive))
        .probe(self.probe(old.is_some()));
        let table = || self.table.clone();
        step.provides.push(Effect::TriggerGone { table: table(), trigger: self.trigger.name.clone() });
        let made = |old: &Trigger| Trigger { fires: Firing::Origin, ..old.clone() };
        step.provides.extend(old.map(made).map(|trigger| Effect::Trigger { table: table(), trigger }));
        step.provides.extend(effects);
        for effect in &self.also {
            if let Effect::Constraint { table, constraint } = effect {
                let (table, constraint) = (table.clone(), constraint.name.clone());
                step.provides.push(Effect::ConstraintGone { table, constraint });
            }
        }
        step
    }

    /// A row trigger is cloned into every partition.
    fn locks(&self, ctx: &Ctx, mode: LockMode) -> Vec<LockClaim> {
        let locks = if self.trigger.row { tree::locks } else { tree::lock };
        locks(ctx.logical, &self.table, mode)
    }

    fn probe(&self, exists: bool) -> Probe {
        Probe::Trigger { table: self.table.clone(), name: self.trigger.name.clone(), exists }
    }

    fn felt(&self) -> String {
        format!(
            "writes of {} by running code fire trigger {}, and fail where it fails",
            self.table, self.trigger.name
        )
    }
}
