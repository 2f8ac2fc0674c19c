//! Views, triggers and functions that a file drops and makes again: replaced in one transaction, in expand.
//!
//! Running code never meets a moment without them; from then on it sees the new definition. The statements need not follow each other:
//! a column that is added between is there by then, one that is dropped between stays until contract, and where rows of the same
//! table are written before, the replacement waits for them. A change of a column's type for which the views over it are dropped is part of
//! the transaction, if it leaves the rows as they are stored. Replacements whose statements overlap are one transaction.
//!
//! Refused where no order would do: an UPDATE between DROP TRIGGER and CREATE TRIGGER, which must not fire what running code's writes
//! must; a view that goes for good and reads a replaced one; and a materialized view, whose query would keep its readers
//! waiting, unless `allow no-online-form` says that it is quick.

use crate::change::Change;
use crate::diagnostic::{Code, Refusal};
use crate::effect::{Effect, fold};
use crate::kind::{Ctx, Kind, Online};
use crate::plan::{Action, Facts, LockClaim, Phase, Step, Undo, Work};
use crate::sql::ident::Name;

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
        for part in self.own() {
            let ctx = Ctx { logical: &logical, ..*ctx };
            let facts = part.kind().facts(&ctx);
            all.locks.extend(facts.locks);
            all.work.extend(facts.work);
            all.breaks.extend(facts.breaks);
            all.fails = all.fails.or(facts.fails);
            let effects = part.kind().effects(&ctx);
            logical = fold(&logical, &effects);
        }
        all
    }

    fn online(&self, ctx: &Ctx) -> Result<Online, Refusal> {
        let mut whole = Whole::default();
        let mut behind = Vec::new();
        // The old objects are gone where the file says so; on the server all of them are there until this step.
        let mut there = ctx.physical.clone();
        there.uses.retain(|used| ctx.logical.is_there(&used.by));
        for part in &self.parts {
            let ctx_there = Ctx { logical: &there, physical: &there, ..*ctx };
            outlived(ctx, &ctx_there, part)?;
            let online = part.kind().online(&ctx_there)?;
            if online.steps.iter().any(|step| step.phase == Phase::Switch) {
                return Err(Refusal::new(
                    Code::NotYet,
                    format!(
                        "a column changes its type between DROP and CREATE of {}, which rewrites its table; what is replaced does not \
                         change places with the column at the switch yet",
                        self.what.join(", ")
                    ),
                    "drop it in a file before this one, and make it again in one after it",
                ));
            }
            for step in online.steps {
                there = fold(&there, &step.provides);
                // Statistics are gathered once the replacement is there.
                if matches!(part, Change::ChangeType(_)) && step.phase == Phase::Validate {
                    behind.push(step);
                } else {
                    whole.take(ctx, step, matters(part))?;
                }
            }
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
        step.work = whole.work;
        let said = format!("from expand on running code meets the new {what}");
        let mut steps = vec![step];
        steps.extend(behind);
        Ok(Online { steps, notices: vec![(Code::Breaks, said)] })
    }

    fn effects(&self, ctx: &Ctx) -> Vec<Effect> {
        let mut logical = ctx.logical.clone();
        let mut all = Vec::new();
        for part in self.own() {
            let effects = part.kind().effects(&Ctx { logical: &logical, ..*ctx });
            logical = fold(&logical, &effects);
            all.extend(effects);
        }
        all
    }
}

impl Replace {
    /// The statement's own: the others took effect at their places.
    fn own(&self) -> &[Change] {
        &self.parts[self.parts.len() - self.own.min(self.parts.len())..]
    }
}

/// A view that reads the old one and goes for good would have to go with it, while running code still reads it.
fn outlived(ctx: &Ctx, there: &Ctx, part: &Change) -> Result<(), Refusal> {
    let Change::DropView(drop) = part else { return Ok(()) };
    let Some(view) = there.logical.relation(&drop.view) else { return Ok(()) };
    let goes = |name: &&Name| {
        ctx.logical.relation(name).is_none()
            && !drop.together.contains(name)
            && view.dependents.iter().any(|dependent| dependent.is_view(name))
    };
    match there.logical.relations.keys().find(goes) {
        None => Ok(()),
        Some(reader) => Err(Refusal::new(
            Code::SplitFile,
            format!(
                "view {} cannot be replaced in expand: {reader} reads it, which this file drops for good, and running code may \
                 read {reader} until contract",
                drop.view
            ),
            format!("drop {reader} in a file of its own, and contract that first"),
        )),
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
    work: Vec<Work>,
    back_sql: Vec<Vec<String>>,
    back_effects: Vec<Vec<Effect>>,
    loses: Vec<String>,
    lasting: Option<String>,
}

impl Whole {
    fn take(&mut self, ctx: &Ctx, step: Step, matters: bool) -> Result<(), Refusal> {
        let undo = step.undo.clone();
        self.sql.extend(statements(ctx, &step)?);
        self.work.extend(step.work);
        LockClaim::join(&mut self.locks, step.locks);
        self.effects.extend(step.provides);
        self.archived.extend(step.archived);
        match undo {
            Undo::Steps { steps, loses } => {
                let mut sql = Vec::new();
                let mut effects = Vec::new();
                for step in steps {
                    sql.extend(statements(ctx, &step)?);
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

/// What takes long keeps everybody waiting who uses any of the replaced: only under `allow`.
fn statements(ctx: &Ctx, step: &Step) -> Result<Vec<String>, Refusal> {
    match &step.action {
        Action::Transaction { sql } => Ok(sql.clone()),
        Action::Long { sql } if ctx.directives.allows(Code::NoOnlineForm) => Ok(vec![sql.clone()]),
        _ => Err(Refusal::new(
            Code::NoOnlineForm,
            format!(
                "\"{}\" would be part of a replacement in one transaction, and takes as long as its query: whoever reads what \
                 is replaced waits for it",
                step.title
            ),
            "make the new one under another name, and drop the old one in a later file; or allow it where the query is quick",
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
