//! DROP TRIGGER: at contract, because running code counts on what it does; undo makes it again.

use crate::catalog::{Constraint, ConstraintKind, Relation, Trigger};
use crate::ddl;
use crate::diagnostic::{Code, Refusal};
use crate::effect::Effect;
use crate::kind::shared::will_fail::WillFail;
use crate::kind::shared::{alter, firing, tree};
use crate::kind::{Ctx, Kind, Online};
use crate::pg::firing::Firing;
use crate::pg::lock::LockMode;
use crate::plan::{Facts, LockClaim, Need, Phase, Probe, Step};
use crate::sql::ident::{Ident, Name};

/// See the module.
#[derive(Clone, Debug)]
pub struct DropTrigger {
    /// Table or view.
    pub table: Name,
    /// Trigger.
    pub name: Ident,
}

impl Kind for DropTrigger {
    fn name(&self) -> &'static str {
        "drop_trigger"
    }

    fn facts(&self, ctx: &Ctx) -> Facts {
        Facts {
            locks: self.locks(ctx),
            transaction: true,
            breaks: vec![self.felt()],
            fails: self.check(ctx).err().map(Into::into),
            ..Facts::default()
        }
    }

    fn online(&self, ctx: &Ctx) -> Result<Online, Refusal> {
        let (table, trigger) = self.check(ctx)?;
        let (phase, why) = if table.new_here {
            (Phase::Expand, "the table is new: nobody uses it yet")
        } else {
            (Phase::Contract, "running code may count on it until then")
        };
        let mut step = Step::transaction(
            phase,
            format!("Drop trigger {} of {}", self.name, self.table),
            why,
            vec![ddl::trigger::drop_trigger(&self.name, &self.table)],
        )
        .locks(self.locks(ctx))
        .probe(self.probe(false))
        .requires(Need::Relation(self.table.clone()));
        step.provides = self.effects(ctx);
        if table.new_here {
            return Ok(Online { steps: vec![step], notices: Vec::new() });
        }
        let step = step.undone_by(vec![self.again(ctx, trigger)]);
        Ok(Online {
            steps: vec![step],
            notices: vec![(Code::Announce, format!("at contract: {}", self.felt()))],
        })
    }

    fn effects(&self, ctx: &Ctx) -> Vec<Effect> {
        let own = Effect::TriggerGone { table: self.table.clone(), trigger: self.name.clone() };
        let constraint = self.constraint(ctx).map(|constraint| Effect::ConstraintGone {
            table: self.table.clone(),
            constraint: constraint.name.clone(),
        });
        std::iter::once(own).chain(constraint).collect()
    }
}

impl DropTrigger {
    /// Clones of a partitioned table's trigger depend on it. Source: `CreateTriggerFiringOn` in src/backend/commands/trigger.c.
    fn check<'a>(&self, ctx: &Ctx<'a>) -> Result<(&'a Relation, &'a Trigger), WillFail> {
        let table = alter::relation(ctx, &self.table)?;
        let Some(trigger) = table.trigger(&self.name) else {
            return Err(WillFail::new(
                "42704",
                format!("trigger {} of {} does not exist", self.name, self.table),
                "correct the trigger's name",
            ));
        };
        let parent = table.partition_of.as_ref().and_then(|parent| ctx.logical.relation(parent));
        if trigger.row && parent.is_some_and(|parent| parent.trigger(&self.name).is_some()) {
            return Err(WillFail::new(
                "2BP01",
                format!("trigger {} of {} belongs to the partitioned table's", self.name, self.table),
                "drop it from the partitioned table, which drops it from every partition",
            ));
        }
        Ok((table, trigger))
    }

    /// What CREATE CONSTRAINT TRIGGER made beside the trigger.
    fn constraint<'a>(&self, ctx: &Ctx<'a>) -> Option<&'a Constraint> {
        let constraint = ctx.logical.relation(&self.table)?.constraint(&self.name)?;
        (constraint.kind == ConstraintKind::Trigger).then_some(constraint)
    }

    fn again(&self, ctx: &Ctx, trigger: &Trigger) -> Step {
        let made = Trigger { fires: Firing::Origin, ..trigger.clone() };
        let (fires, effects) = firing::as_it_was(ctx.logical, &self.table, &self.name, made.fires);
        let sql = std::iter::once(trigger.definition.clone()).chain(fires).collect();
        let mut step = Step::transaction(
            Phase::Contract,
            format!("Make trigger {} of {} again", self.name, self.table),
            "as it was defined, and as it fired",
            sql,
        )
        .locks(self.locks(ctx))
        .probe(self.probe(true))
        .provides(Effect::Trigger { table: self.table.clone(), trigger: made });
        step.provides.extend(effects);
        step.provides.extend(
            self.constraint(ctx)
                .cloned()
                .map(|constraint| Effect::Constraint { table: self.table.clone(), constraint }),
        );
        step
    }

    /// Source: `RemoveTriggerById` in src/backend/commands/trigger.c; a row trigger's clones on partitions go with it.
    fn locks(&self, ctx: &Ctx) -> Vec<LockClaim> {
        let trigger = ctx.logical.relation(&self.table).and_then(|table| table.trigger(&self.name));
        let locks = if trigger.is_some_and(|trigger| trigger.row) { tree::locks } else { tree::lock };
        locks(ctx.logical, &self.table, LockMode::AccessExclusive)
    }

    fn probe(&self, exists: bool) -> Probe {
        Probe::Trigger { table: self.table.clone(), name: self.name.clone(), exists }
    }

    fn felt(&self) -> String {
        format!("writes of {} no longer run trigger {}", self.table, self.name)
    }
}

#[cfg(test)]
mod tests {
    use crate::diagnostic::Code;
    use crate::kind::shared::proving::{catalog, plan};
    use crate::kind::shared::testing::{refused, show};
    use crate::plan::Undo;

    const SCHEMA: &str = "CREATE TABLE t (id int PRIMARY KEY);
        CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()";

    #[test]
    fn at_contract_and_again() {
        let plan = plan(&catalog(SCHEMA), "DROP TRIGGER g ON t");
        assert_eq!(show(&plan), "contract: DROP TRIGGER IF EXISTS g ON public.t\n");
        let Undo::Steps { steps, loses: None } = &plan.steps[0].undo else { panic!("{plan:?}") };
        assert_eq!(steps.len(), 1);
        assert_eq!(refused(&catalog(SCHEMA), "DROP TRIGGER h ON t").0, Code::WillFail);
    }
}
