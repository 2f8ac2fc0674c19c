//! What is online as it stands, and what was allowed: one typed entry a statement.

use crate::diagnostic::Refusal;
use crate::effect::Effect;
use crate::kind::{Ctx, Kind, Online};
use crate::pg::lock::LockMode;
use crate::plan::{Action, Facts, LockClaim, Phase, Step, Undo, Work};

/// See the module.
#[derive(Clone, Debug)]
pub struct AsWritten {
    /// Kind name: `create_function`, `comment`, or the refused kind that was allowed.
    pub kind: &'static str,
    /// The statement.
    pub sql: String,
    /// Locks it takes on existing relations.
    pub locks: Vec<LockClaim>,
    /// Table-sized work.
    pub work: Vec<Work>,
    /// May run in a transaction block.
    pub transaction: bool,
    /// It may see or write whole rows, so that columns which the file drops matter although it does not name them.
    pub whole: bool,
    /// What it does to the catalog.
    pub effects: Vec<Effect>,
    /// Statement that takes it back, where one is certain to (`DROP FUNCTION …` for a new function), empty
    /// where there is nothing to take back; else why it cannot be.
    pub undo: Result<String, String>,
}

impl Kind for AsWritten {
    fn name(&self) -> &'static str {
        self.kind
    }

    fn facts(&self, _ctx: &Ctx) -> Facts {
        Facts {
            locks: self.locks.clone(),
            work: self.work.clone(),
            transaction: self.transaction,
            ..Facts::default()
        }
    }

    fn online(&self, _ctx: &Ctx) -> Result<Online, Refusal> {
        let blocks = self.locks.iter().any(|lock| lock.mode.blocks_writes());
        let action = if !self.transaction {
            Action::Alone { sql: self.sql.clone(), heal: None }
        } else if blocks || self.work.is_empty() {
            Action::Transaction { sql: vec![self.sql.clone()] }
        } else {
            Action::Long { sql: self.sql.clone() }
        };
        let why = if blocks { "it has no other form" } else { "it is online as it stands" };
        let mut step = Step::new(Phase::Expand, self.title(), why, action)
            .locks(self.locks.clone())
            .undo(self.take_back());
        step.work.clone_from(&self.work);
        step.provides.clone_from(&self.effects);
        Ok(Online { steps: vec![step], notices: Vec::new() })
    }

    fn effects(&self, _ctx: &Ctx) -> Vec<Effect> {
        self.effects.clone()
    }
}

impl AsWritten {
    fn title(&self) -> String {
        format!("Run {} as written", self.kind.replace('_', " "))
    }

    fn take_back(&self) -> Undo {
        let sql = match &self.undo {
            Ok(sql) if sql.is_empty() => return Undo::Nothing,
            Ok(sql) => sql.clone(),
            Err(why) => return Undo::Impossible { why: why.clone() },
        };
        let mut step = Step::transaction(
            Phase::Expand,
            format!("Take back {}", self.kind.replace('_', " ")),
            "the object is new",
            vec![sql],
        )
        .locks(self.removal_locks());
        step.provides = self.effects.iter().filter_map(gone).collect();
        Undo::Steps { steps: vec![step], loses: None }
    }

    /// A trigger goes under a stronger lock than it came with. Source: `RemoveTriggerById` in src/backend/commands/trigger.c.
    fn removal_locks(&self) -> Vec<LockClaim> {
        let trigger = self.effects.iter().any(|effect| matches!(effect, Effect::Trigger { .. }));
        let raised = |lock: &LockClaim| match trigger && lock.mode == LockMode::ShareRowExclusive {
            true => LockClaim { mode: LockMode::AccessExclusive, ..lock.clone() },
            false => lock.clone(),
        };
        self.locks.iter().map(raised).collect()
    }
}

/// What is left after an object that a statement made is dropped again.
fn gone(effect: &Effect) -> Option<Effect> {
    Some(match effect {
        Effect::Relation(relation) => Effect::RelationGone(relation.name.clone()),
        Effect::Function(function) => Effect::FunctionGone(function.name.clone()),
        Effect::Sequence(sequence) => Effect::SequenceGone(sequence.name.clone()),
        Effect::Type(kind) => Effect::TypeGone(kind.name.clone()),
        Effect::Trigger { table, trigger } => {
            Effect::TriggerGone { table: table.clone(), trigger: trigger.name.clone() }
        }
        Effect::Index { table, index } => {
            Effect::IndexGone { table: table.clone(), index: index.name.clone() }
        }
        Effect::Constraint { table, constraint } => {
            Effect::ConstraintGone { table: table.clone(), constraint: constraint.name.clone() }
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use crate::kind::shared::proving::{catalog, plan};
    use crate::kind::shared::testing::show;
    use crate::plan::{Phase, Undo};

    #[test]
    fn runs_in_expand_and_what_it_made_goes_again() {
        let plan =
            plan(&catalog("CREATE TABLE t (id int)"), "CREATE VIEW v AS SELECT id FROM t; CREATE SCHEMA s");
        assert_eq!(show(&plan), "expand: CREATE VIEW v AS SELECT id FROM t\nexpand: CREATE SCHEMA s\n");
        assert!(plan.steps.iter().all(|step| step.phase == Phase::Expand));
        assert!(matches!(&plan.steps[0].undo, Undo::Steps { steps, loses: None } if steps.len() == 1));
    }
}
