//! CREATE and DROP RULE: a rule is made at once, since new code may count on it, and goes at contract, since old code may.
//!
//! A rule rewrites every statement on its table from the instant it exists, running code's too, and the plan says so. Undo
//! makes again what was dropped or replaced, from `pg_get_ruledef`.

use crate::catalog::{Relation, Rule};
use crate::ddl;
use crate::diagnostic::{Code, Refusal};
use crate::effect::Effect;
use crate::kind::shared::will_fail::WillFail;
use crate::kind::shared::{alter, tree};
use crate::kind::{Ctx, Kind, Online};
use crate::pg::lock::LockMode;
use crate::plan::{Facts, Need, Phase, Step};
use crate::sql::ident::{Ident, Name};

/// See the module.
#[derive(Clone, Debug)]
pub struct ChangeRule {
    /// Table or view.
    pub table: Name,
    /// Rule.
    pub name: Ident,
    /// The statement that makes it, and whether it says OR REPLACE; `None` drops it.
    pub create: Option<(String, bool)>,
}

impl Kind for ChangeRule {
    fn name(&self) -> &'static str {
        if self.create.is_some() { "create_rule" } else { "drop_rule" }
    }

    fn facts(&self, ctx: &Ctx) -> Facts {
        Facts {
            locks: tree::lock(ctx.logical, &self.table, LockMode::AccessExclusive),
            transaction: true,
            breaks: vec![self.felt()],
            fails: self.check(ctx).err().map(Into::into),
            ..Facts::default()
        }
    }

    fn online(&self, ctx: &Ctx) -> Result<Online, Refusal> {
        let (table, old) = self.check(ctx)?;
        // Dropped by an earlier statement of the file, but only at contract.
        let taken = old.is_none()
            && ctx.physical.relation(&self.table).is_some_and(|table| table.rule(&self.name).is_some());
        let (verb, phase, why) = match &self.create {
            Some(_) if taken => ("Create", Phase::Contract, "the old one is dropped right before"),
            Some(_) => ("Create", Phase::Expand, "new code may count on it"),
            None if table.new_here => ("Drop", Phase::Expand, "the table is new: nobody uses it yet"),
            None => ("Drop", Phase::Contract, "running code may count on it until then"),
        };
        let sql = match &self.create {
            Some((sql, _)) => sql.clone(),
            None => ddl::policy::drop_rule(&self.table, &self.name),
        };
        let mut step =
            Step::transaction(phase, format!("{verb} rule {} on {}", self.name, self.table), why, vec![sql])
                .lock(&self.table, LockMode::AccessExclusive)
                .undone_by(vec![self.back(old, phase)])
                .requires(Need::Relation(self.table.clone()));
        step.provides = self.effects(ctx);
        let code = if self.create.is_some() { Code::Breaks } else { Code::Announce };
        let notices = match table.new_here {
            true => Vec::new(),
            false => vec![(code, format!("from {} on: {}", phase.as_str(), self.felt()))],
        };
        Ok(Online { steps: vec![step], notices })
    }

    fn effects(&self, _ctx: &Ctx) -> Vec<Effect> {
        let table = self.table.clone();
        vec![match &self.create {
            Some((sql, _)) => {
                Effect::Rule { table, rule: Rule { name: self.name.clone(), anew: vec![sql.clone()] } }
            }
            None => Effect::RuleGone { table, rule: self.name.clone() },
        }]
    }
}

impl ChangeRule {
    fn back(&self, old: Option<&Rule>, phase: Phase) -> Step {
        let mut sql = Vec::new();
        let mut effects = Vec::new();
        if self.create.is_some() {
            sql.push(ddl::policy::drop_rule(&self.table, &self.name));
            effects.push(Effect::RuleGone { table: self.table.clone(), rule: self.name.clone() });
        }
        if let Some(old) = old {
            sql.extend(old.anew.iter().cloned());
            effects.push(Effect::Rule { table: self.table.clone(), rule: old.clone() });
        }
        let title = match old {
            Some(_) => format!("Make rule {} on {} as it was", self.name, self.table),
            None => format!("Drop rule {} on {}", self.name, self.table),
        };
        let mut step = Step::transaction(phase, title, "takes the change back", sql)
            .lock(&self.table, LockMode::AccessExclusive);
        step.provides = effects;
        step
    }

    fn check<'a>(&self, ctx: &Ctx<'a>) -> Result<(&'a Relation, Option<&'a Rule>), WillFail> {
        let table = alter::relation(ctx, &self.table)?;
        let old = table.rule(&self.name);
        match (&self.create, old) {
            (Some((_, false)), Some(_)) => Err(WillFail::new(
                "42710",
                format!("rule {} on {} exists already", self.name, self.table),
                "choose another name, or write CREATE OR REPLACE RULE",
            )),
            (None, None) => Err(WillFail::new(
                "42704",
                format!("rule {} on {} does not exist", self.name, self.table),
                "correct the rule's name",
            )),
            _ => Ok((table, old)),
        }
    }

    fn felt(&self) -> String {
        match self.create {
            Some(_) => {
                format!("running code's statements on {} are rewritten by rule {}", self.table, self.name)
            }
            None => format!(
                "running code's statements on {} are no longer rewritten by rule {}",
                self.table, self.name
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::diagnostic::Code;
    use crate::kind::shared::proving::{catalog, plan};
    use crate::kind::shared::testing::{refused, show};

    const SCHEMA: &str = "CREATE TABLE t (id int); CREATE RULE still AS ON DELETE TO t DO INSTEAD NOTHING";

    #[test]
    fn made_at_once_and_dropped_at_contract() {
        let sql = "CREATE RULE r AS ON INSERT TO t DO INSTEAD NOTHING";
        let made = plan(&catalog(SCHEMA), sql);
        assert_eq!(show(&made), format!("expand: {sql}\n"));
        assert_eq!(made.notices[0].code, Code::Breaks);
        let gone = show(&plan(&catalog(SCHEMA), "DROP RULE still ON t"));
        assert_eq!(gone, "contract: DROP RULE IF EXISTS still ON public.t\n");
        let replaced = "CREATE OR REPLACE RULE still AS ON DELETE TO t DO ALSO NOTHING";
        assert_eq!(show(&plan(&catalog(SCHEMA), replaced)), format!("expand: {replaced}\n"));
    }

    #[test]
    fn certain_failures() {
        for sql in ["CREATE RULE still AS ON INSERT TO t DO NOTHING", "DROP RULE nothing ON t"] {
            assert_eq!(refused(&catalog(SCHEMA), sql).0, Code::WillFail, "{sql}");
        }
    }
}
