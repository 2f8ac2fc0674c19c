//! Views, triggers and functions that a file drops and makes again: replaced in one transaction, in expand.
//!
//! Running code never meets a moment without them; from then on it sees the new definition.

use crate::change::Change;
use crate::diagnostic::{Code, Refusal};
use crate::effect::{Effect, fold};
use crate::kind::{Ctx, Kind, Online};
use crate::plan::{Action, Facts, LockClaim, Phase, Step, Undo};

/// See the module.
#[derive(Clone, Debug)]
pub struct Replace {
    /// The statements' changes, in order: drops and creations, with comments and grants between.
    pub parts: Vec<Change>,
    /// How many of the last of them are the statement's own; the others were absorbed from statements before it.
    pub own: usize,
    /// What is replaced, in words.
    pub what: Vec<String>,
}

impl Kind for Replace {
    fn name(&self) -> &'static str {
        "replace"
    }

    fn facts(&self, ctx: &Ctx) -> Facts {
        let mut logical = ctx.logical.clone();
        let mut all = Facts { transaction: true, ..Facts::default() };
        for (at, part) in self.parts.iter().enumerate() {
            let ctx = Ctx { logical: &logical, ..*ctx };
            if at + self.own >= self.parts.len() {
                let facts = part.kind().facts(&ctx);
                all.locks.extend(facts.locks);
                all.breaks.extend(facts.breaks);
                all.fails = all.fails.or(facts.fails);
            }
            let effects = part.kind().effects(&ctx);
            logical = fold(&logical, &effects);
        }
        all
    }

    fn online(&self, ctx: &Ctx) -> Result<Online, Refusal> {
        let mut whole = Whole::default();
        let (mut logical, mut physical) = (ctx.logical.clone(), ctx.physical.clone());
        for part in &self.parts {
            let ctx = Ctx { logical: &logical, physical: &physical, ..*ctx };
            let online = part.kind().online(&ctx)?;
            let effects = part.kind().effects(&ctx);
            for step in online.steps {
                physical = fold(&physical, &step.provides);
                whole.take(step, matters(part))?;
            }
            logical = fold(&logical, &effects);
        }
        let what = self.what.join(", ");
        whole.locks.retain(|lock| {
            let there = |name| ctx.physical.relation_name_taken(name);
            there(&lock.relation)
        });
        let undo = match whole.lasting {
            Some(why) => Undo::Impossible { why },
            None => {
                let mut back = Step::transaction(
                    Phase::Expand,
                    format!("Bring back {what}"),
                    "in one transaction, as it was",
                    whole.back_sql.into_iter().rev().flatten().collect(),
                )
                .locks(whole.locks.clone());
                back.provides = whole.back_effects.into_iter().rev().flatten().collect();
                let loses = (!whole.loses.is_empty()).then(|| whole.loses.join("; "));
                Undo::Steps { steps: vec![back], loses }
            }
        };
        let mut step = Step::transaction(
            Phase::Expand,
            format!("Replace {what}"),
            "in one transaction, so that running code never meets a moment without it",
            whole.sql,
        )
        .locks(whole.locks)
        .undo(undo);
        step.provides = whole.effects;
        step.archived = whole.archived;
        let said = format!("from expand on running code meets the new {what}");
        Ok(Online { steps: vec![step], notices: vec![(Code::Breaks, said)] })
    }

    fn effects(&self, ctx: &Ctx) -> Vec<Effect> {
        let mut logical = ctx.logical.clone();
        let mut all = Vec::new();
        for part in &self.parts {
            let effects = part.kind().effects(&Ctx { logical: &logical, ..*ctx });
            logical = fold(&logical, &effects);
            all.extend(effects);
        }
        all
    }
}

/// A comment or a right on what is made here goes with it.
fn matters(part: &Change) -> bool {
    !matches!(part, Change::AsWritten(written) if matches!(written.kind, "comment" | "grant" | "revoke"))
}

/// The parts' steps as one.
#[derive(Default)]
struct Whole {
    sql: Vec<String>,
    locks: Vec<LockClaim>,
    effects: Vec<Effect>,
    archived: Vec<crate::plan::Archived>,
    back_sql: Vec<Vec<String>>,
    back_effects: Vec<Vec<Effect>>,
    loses: Vec<String>,
    lasting: Option<String>,
}

impl Whole {
    fn take(&mut self, step: Step, matters: bool) -> Result<(), Refusal> {
        let undo = step.undo.clone();
        self.sql.extend(statements(&step)?);
        for lock in step.locks {
            match self.locks.iter_mut().find(|known| known.relation == lock.relation) {
                Some(known) => known.mode = known.mode.max(lock.mode),
                None => self.locks.push(lock),
            }
        }
        self.effects.extend(step.provides);
        self.archived.extend(step.archived);
        match undo {
            Undo::Steps { steps, loses } => {
                let mut sql = Vec::new();
                let mut effects = Vec::new();
                for step in steps {
                    sql.extend(statements(&step)?);
                    effects.extend(step.provides);
                }
                self.back_sql.push(sql);
                self.back_effects.push(effects);
                self.loses.extend(loses);
            }
            Undo::Impossible { why } if matters => {
                self.lasting.get_or_insert(why);
            }
            Undo::Impossible { .. } | Undo::Nothing => {}
        }
        Ok(())
    }
}

fn statements(step: &Step) -> Result<Vec<String>, Refusal> {
    match &step.action {
        Action::Transaction { sql } => Ok(sql.clone()),
        _ => Err(Refusal::new(
            Code::NotYet,
            format!("\"{}\" takes long, and cannot be part of a replacement in one transaction", step.title),
            "drop the old one in this file and make the new one under another name",
        )),
    }
}

#[cfg(test)]
mod tests {
    use crate::kind::shared::proving::{catalog, plan};
    use crate::kind::shared::testing::show;
    use crate::plan::{Phase, Undo};

    const SCHEMA: &str = "CREATE TABLE t (id int PRIMARY KEY, a int);
        CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()";

    #[test]
    fn in_one_transaction() {
        let plan = plan(
            &catalog(SCHEMA),
            "CREATE FUNCTION h() RETURNS int LANGUAGE sql AS 'SELECT 1';
             DROP TRIGGER g ON t; DROP FUNCTION f;
             CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
             COMMENT ON FUNCTION f IS 'new';
             CREATE TRIGGER g AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();
             ALTER TABLE t ADD COLUMN b int",
        );
        assert_eq!(plan.steps.len(), 3, "{}", show(&plan));
        let step = &plan.steps[1];
        assert_eq!(
            (step.phase, step.title.as_str()),
            (Phase::Expand, "Replace trigger g of public.t, function public.f")
        );
        assert!(matches!(&step.undo, Undo::Steps { steps, .. } if steps.len() == 1));
    }

    #[test]
    fn what_does_not_come_again_is_dropped_at_contract() {
        let plan = plan(&catalog(SCHEMA), "DROP TRIGGER g ON t; DROP FUNCTION f");
        assert!(plan.steps.iter().all(|step| step.phase == Phase::Contract));
    }
}
