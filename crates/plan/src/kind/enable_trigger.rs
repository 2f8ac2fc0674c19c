//! ENABLE and DISABLE TRIGGER: what takes a trigger away from running code waits for contract, what gives it one comes at once.
//!
//! DISABLE takes behaviour away that running code counts on, as DROP TRIGGER does, and ENABLE adds some, as CREATE TRIGGER does. The
//! same is asked of ENABLE REPLICA, after which ordinary sessions no longer fire it, and of ENABLE ALWAYS. Undo sets every trigger, and
//! its copy on every partition, as it was.
//!
//! ```sql
//! ALTER TABLE t DISABLE TRIGGER USER;
//! UPDATE t SET …;
//! ALTER TABLE t ENABLE TRIGGER USER;
//! ```
//!
//! says that the UPDATE is not to fire them. Running code's writes are: so nothing is disabled, and the batches of the UPDATE (or
//! DELETE) run with `session_replication_role = replica`, where only these triggers are silent by it. Where the role may not set that,
//! or something else would be silent too, the file is refused.
//!
//! ALL includes the triggers that keep foreign keys and deferrable constraints. Rows that break them would go unseen from then on, so
//! it is refused where there are any.

use crate::catalog::{Catalog, Relation, Trigger};
use crate::ddl;
use crate::diagnostic::{Code, Refusal};
use crate::effect::Effect;
use crate::kind::shared::will_fail::WillFail;
use crate::kind::shared::{alter, firing, tree};
use crate::kind::{Ctx, Kind, Online};
use crate::pg::firing::Firing;
use crate::pg::lock::LockMode;
use crate::plan::{Facts, LockClaim, Need, Phase, Step};
use crate::sql::ident::{Ident, Name};

/// See the module.
#[derive(Clone, Debug)]
pub struct EnableTrigger {
    /// Table.
    pub table: Name,
    /// Which of its triggers.
    pub which: Which,
    /// When they fire from then on.
    pub fires: Firing,
    /// Every one of them fires in ordinary sessions before the statement, in all partitions, on a table that running code uses: a
    /// later ENABLE leaves all as it was.
    pub undone_by_enable: bool,
}

/// Which triggers of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// This one.
    Named(Ident),
    /// USER: all that somebody made.
    User,
    /// ALL: those that keep constraints, too.
    All,
}

/// A trigger of one relation whose firing changes.
#[derive(Clone, Copy, Debug)]
struct Turn<'c> {
    relation: &'c Relation,
    trigger: &'c Trigger,
}

impl Kind for EnableTrigger {
    fn name(&self) -> &'static str {
        if self.fires == Firing::Never { "disable_trigger" } else { "enable_trigger" }
    }

    fn facts(&self, ctx: &Ctx) -> Facts {
        let turns = self.turns(ctx.logical);
        let names = self.names(&turns);
        Facts {
            locks: self.locks(ctx.logical),
            transaction: true,
            breaks: names.iter().flat_map(|name| self.felt(name, &turns)).collect(),
            fails: self.check(ctx).err().map(Into::into),
            ..Facts::default()
        }
    }

    fn online(&self, ctx: &Ctx) -> Result<Online, Refusal> {
        let table = self.check(ctx)?;
        alter::planned(table)?;
        if self.of_the_system(ctx.logical) {
            return Err(Refusal::new(
                Code::NotYet,
                format!(
                    "it is about the triggers that keep constraints of {} too: rows that break them could be written by anybody, and would \
                     never be looked at again",
                    self.table
                ),
                "write USER instead of ALL, which leaves those triggers alone; ALL needs a superuser",
            ));
        }
        let turns = self.turns(ctx.logical);
        let (early, late): (Vec<&Ident>, Vec<&Ident>) =
            self.names(&turns).into_iter().partition(|name| table.new_here || self.is_early(name, &turns));
        let mut online = Online::default();
        for (phase, names) in [(Phase::Expand, early), (Phase::Contract, late)] {
            if names.is_empty() {
                continue;
            }
            online.steps.push(self.step(ctx, phase, &names, &turns));
            if !table.new_here {
                let when = format!("{} on", phase.as_str());
                let felt = names.iter().flat_map(|name| self.felt(name, &turns));
                let code = if phase == Phase::Expand { Code::Breaks } else { Code::Announce };
                online.notices.extend(felt.map(|felt| (code, format!("from {when}: {felt}"))));
            }
        }
        Ok(online)
    }

    fn effects(&self, ctx: &Ctx) -> Vec<Effect> {
        let turns = self.turns(ctx.logical);
        turns.iter().map(|turn| self.effect(turn)).collect()
    }
}

impl EnableTrigger {
    /// Whether a later ENABLE of the same triggers leaves all as it was; told while the file is read.
    pub fn is_undone_by_enable(&self, catalog: &Catalog) -> bool {
        let Some(table) = catalog.relation(&self.table) else { return false };
        let all = self.chosen(catalog);
        self.fires == Firing::Never
            && !table.new_here
            && !self.of_the_system(catalog)
            && all.iter().all(|turn| turn.trigger.fires == Firing::Origin)
    }

    fn check<'a>(&self, ctx: &Ctx<'a>) -> Result<&'a Relation, WillFail> {
        let table = alter::table(ctx, &self.table)?;
        match &self.which {
            Which::Named(name) if table.trigger(name).is_none() && !is_system(name) => Err(WillFail::new(
                "42704",
                format!("trigger {name} of {} does not exist", self.table),
                "correct the trigger's name",
            )),
            _ => Ok(table),
        }
    }

    fn of_the_system(&self, catalog: &Catalog) -> bool {
        match &self.which {
            Which::Named(name) => {
                is_system(name)
                    && catalog.relation(&self.table).is_none_or(|table| table.trigger(name).is_none())
            }
            Which::User => false,
            Which::All => firing::of_constraints(catalog, &self.table),
        }
    }

    /// What it is about: triggers of the table, and the copies of row triggers in its partitions, parents first. Triggers of ours are
    /// not in a logical catalog.
    fn chosen<'c>(&self, catalog: &'c Catalog) -> Vec<Turn<'c>> {
        let Some(table) = catalog.relation(&self.table) else { return Vec::new() };
        let named = |trigger: &&Trigger| match &self.which {
            Which::Named(name) => trigger.name == *name,
            Which::User | Which::All => true,
        };
        let own: Vec<&Trigger> = table.triggers.iter().filter(named).collect();
        let copies = |relation: &'c Relation| {
            let own = own.iter().filter(move |own| own.row);
            own.filter_map(|own| relation.trigger(&own.name)).map(move |trigger| Turn { relation, trigger })
        };
        let mut all: Vec<Turn> = own.iter().map(|trigger| Turn { relation: table, trigger }).collect();
        all.extend(catalog.tree(&self.table).into_iter().skip(1).flat_map(copies));
        all
    }

    /// Those of them that change.
    fn turns<'c>(&self, catalog: &'c Catalog) -> Vec<Turn<'c>> {
        let mut turns = self.chosen(catalog);
        turns.retain(|turn| turn.trigger.fires != self.fires);
        turns
    }

    /// Names of the triggers that change, each once.
    fn names<'c>(&self, turns: &[Turn<'c>]) -> Vec<&'c Ident> {
        let mut names: Vec<&Ident> = Vec::new();
        for turn in turns {
            if !names.contains(&&turn.trigger.name) {
                names.push(&turn.trigger.name);
            }
        }
        names
    }

    /// Ordinary sessions fire it that did not, or nobody loses it.
    fn is_early(&self, name: &Ident, turns: &[Turn]) -> bool {
        let mut was = turns.iter().filter(|turn| turn.trigger.name == *name).map(|turn| turn.trigger.fires);
        let gained = |was: Firing| self.fires.ordinary() && !was.ordinary();
        let lost = |was: Firing| {
            (was.ordinary() && !self.fires.ordinary()) || (was.replicating() && !self.fires.replicating())
        };
        was.clone().any(gained) || !was.any(lost)
    }

    fn step(&self, ctx: &Ctx, phase: Phase, names: &[&Ident], turns: &[Turn]) -> Step {
        let list = names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let what = if names.len() == 1 { "trigger" } else { "triggers" };
        let word = self.fires.sql().to_lowercase();
        let why = match phase {
            Phase::Contract => "running code may count on what it does until then",
            _ if ctx.logical.relation(&self.table).is_some_and(|table| table.new_here) => {
                "the table is new: nobody uses it yet"
            }
            _ => "new code may count on it",
        };
        let title = format!("{}{} {what} {list} of {}", word[..1].to_uppercase(), &word[1..], self.table);
        let mut step =
            Step::transaction(phase, title, why, vec![ddl::trigger::fires(&self.table, names, self.fires)])
                .locks(self.locks(ctx.logical))
                .requires(Need::Relation(self.table.clone()));
        let mut back = Step::transaction(
            phase,
            format!("Set {what} {list} of {} back", self.table),
            "as it was",
            Vec::new(),
        );
        let mut sql = Vec::new();
        for name in names {
            let (statements, effects) = firing::as_it_was(ctx.logical, &self.table, name, self.fires);
            sql.extend(statements);
            back.provides.extend(effects);
        }
        back.action = crate::plan::Action::Transaction { sql };
        for turn in turns.iter().filter(|turn| names.contains(&&turn.trigger.name)) {
            step.provides.push(self.effect(turn));
            step.requires.push(Need::TriggerFires(
                turn.relation.name.clone(),
                turn.trigger.name.clone(),
                turn.trigger.fires,
            ));
        }
        step.undone_by(vec![back.locks(self.locks(ctx.logical))])
    }

    fn effect(&self, turn: &Turn) -> Effect {
        Effect::TriggerFires {
            table: turn.relation.name.clone(),
            trigger: turn.trigger.name.clone(),
            fires: self.fires,
        }
    }

    /// Source: `AlterTableGetLockLevel` in src/backend/commands/tablecmds.c.
    fn locks(&self, catalog: &Catalog) -> Vec<LockClaim> {
        let copied = self.chosen(catalog).iter().any(|turn| turn.trigger.row);
        let locks = if copied { tree::locks } else { tree::lock };
        locks(catalog, &self.table, LockMode::ShareRowExclusive)
    }

    /// Who feels it.
    fn felt(&self, name: &Ident, turns: &[Turn]) -> Vec<String> {
        let was = || turns.iter().filter(|turn| turn.trigger.name == *name).map(|turn| turn.trigger.fires);
        let table = &self.table;
        let mut felt = Vec::new();
        if self.fires.ordinary() && was().any(|was| !was.ordinary()) {
            felt.push(format!(
                "writes of {table} by running code fire trigger {name}, and fail where it fails"
            ));
        }
        if !self.fires.ordinary() && was().any(Firing::ordinary) {
            felt.push(format!("writes of {table} no longer run trigger {name}"));
        }
        if self.fires.replicating() && was().any(|was| !was.replicating()) {
            felt.push(format!(
                "what a subscription writes to {table} fires trigger {name}, and replication stops where it fails"
            ));
        }
        if !self.fires.replicating() && was().any(Firing::replicating) {
            felt.push(format!("what a subscription writes to {table} no longer runs trigger {name}"));
        }
        felt
    }
}

/// Names that the system gives. Source: `CreateTriggerFiringOn` in src/backend/commands/trigger.c and its callers.
fn is_system(name: &Ident) -> bool {
    [
        "RI_ConstraintTrigger_",
        "PK_ConstraintTrigger_",
        "Unique_ConstraintTrigger_",
        "Exclude_ConstraintTrigger_",
    ]
    .iter()
    .any(|prefix| name.as_str().starts_with(prefix))
}

#[cfg(test)]
mod tests;
