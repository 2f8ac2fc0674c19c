//! CREATE, ALTER and DROP POLICY: each in the phase in which running code can bear it.
//!
//! Under row security a policy decides which rows a statement sees and may write, without an error that would tell. What
//! loosens comes at once, what tightens when old code is gone:
//!
//! | statement | phase |
//! |---|---|
//! | CREATE of a permissive policy, DROP of a restrictive one | expand: more rows |
//! | CREATE of a restrictive policy, DROP of a permissive one | contract: fewer rows |
//! | ALTER | contract: it may do either |
//! | any, where row security is not enabled on the table | expand: it changes nothing yet |
//!
//! `enforce-now` brings forward what waits for contract. Undo makes a policy again as it was. A policy that is dropped and
//! made again under its name is replaced at contract, in two transactions.
//!
//! Source: doc/src/sgml/ref/create_policy.sgml; locks measured on 14, 15 and 18.

use crate::catalog::{Dependent, Policy, Relation};
use crate::ddl;
use crate::diagnostic::{Code, Refusal};
use crate::effect::Effect;
use crate::kind::shared::alter;
use crate::kind::shared::will_fail::WillFail;
use crate::kind::{Ctx, Kind, Online};
use crate::pg::lock::LockMode;
use crate::plan::{Facts, Need, Phase, Step};
use crate::sql::ident::{Ident, Name};

/// See the module.
#[derive(Clone, Debug)]
pub struct ChangePolicy {
    /// Table.
    pub table: Name,
    /// Policy.
    pub name: Ident,
    /// What becomes of it.
    pub action: Action,
}

/// What becomes of a policy.
#[derive(Clone, Debug)]
pub enum Action {
    /// It is made.
    Create {
        /// The statement.
        sql: String,
        /// AS PERMISSIVE, which is the default.
        permissive: bool,
    },
    /// Its roles or expressions change.
    Alter {
        /// The statement.
        sql: String,
    },
    /// It goes.
    Drop,
}

impl Kind for ChangePolicy {
    fn name(&self) -> &'static str {
        match self.action {
            Action::Create { .. } => "create_policy",
            Action::Alter { .. } => "alter_policy",
            Action::Drop => "drop_policy",
        }
    }

    fn facts(&self, ctx: &Ctx) -> Facts {
        let felt = ctx.logical.relation(&self.table).is_some_and(|table| table.row_security);
        Facts {
            locks: crate::kind::shared::tree::lock(ctx.logical, &self.table, LockMode::AccessExclusive),
            transaction: true,
            breaks: if felt { vec![self.felt()] } else { Vec::new() },
            fails: self.check(ctx).err().map(Into::into),
            ..Facts::default()
        }
    }

    fn online(&self, ctx: &Ctx) -> Result<Online, Refusal> {
        let (table, old) = self.check(ctx)?;
        let phase = self.phase(ctx, table, old);
        let sql = match &self.action {
            Action::Create { sql, .. } | Action::Alter { sql } => sql.clone(),
            Action::Drop => ddl::policy::drop_policy(&self.table, &self.name),
        };
        let why = match phase {
            Phase::Contract => "running code may count on the rows that it sees and writes until then",
            _ if !table.row_security => "row security is not enabled on the table, so it changes nothing yet",
            _ if table.new_here => "the table is new: nobody uses it yet",
            _ if ctx.directives.enforce_now.is_some() => "enforce-now brings it forward",
            _ => "it only shows more rows than before",
        };
        let verb = match self.action {
            Action::Create { .. } => "Create",
            Action::Alter { .. } => "Alter",
            Action::Drop => "Drop",
        };
        let mut step = Step::transaction(
            phase,
            format!("{verb} policy {} on {}", self.name, self.table),
            why,
            vec![sql],
        )
        .lock(&self.table, LockMode::AccessExclusive)
        .undone_by(vec![self.back(ctx, old, phase)])
        .requires(Need::Relation(self.table.clone()));
        step.provides = self.effects(ctx);
        let notices = match table.row_security && !table.new_here {
            true => vec![(Code::Announce, format!("from {} on: {}", phase.as_str(), self.felt()))],
            false => Vec::new(),
        };
        Ok(Online { steps: vec![step], notices })
    }

    fn effects(&self, ctx: &Ctx) -> Vec<Effect> {
        let table = self.table.clone();
        let old = ctx.logical.relation(&self.table).and_then(|table| table.policy(&self.name));
        let policy = match (&self.action, old) {
            (Action::Create { sql, permissive }, _) => {
                Policy { name: self.name.clone(), permissive: *permissive, anew: vec![sql.clone()] }
            }
            (Action::Alter { sql }, Some(old)) => {
                let anew = old.anew.iter().chain([sql]).cloned().collect();
                Policy { anew, ..old.clone() }
            }
            (Action::Alter { .. } | Action::Drop, _) => {
                return vec![Effect::PolicyGone { table, policy: self.name.clone() }];
            }
        };
        vec![Effect::Policy { table, policy }]
    }
}

impl ChangePolicy {
    fn phase(&self, ctx: &Ctx, table: &Relation, old: Option<&Policy>) -> Phase {
        let loosens = match (&self.action, old) {
            (Action::Create { permissive, .. }, _) => *permissive,
            (Action::Drop, Some(old)) => !old.permissive,
            _ => false,
        };
        // Dropped by an earlier statement of the file, but only at contract.
        let taken = matches!(self.action, Action::Create { .. })
            && ctx.physical.relation(&self.table).is_some_and(|table| table.policy(&self.name).is_some());
        let early = !table.row_security || table.new_here || loosens || ctx.directives.enforce_now.is_some();
        if early && !taken { Phase::Expand } else { Phase::Contract }
    }

    /// The policy as it was, or none.
    fn back(&self, ctx: &Ctx, old: Option<&Policy>, phase: Phase) -> Step {
        let mut sql = Vec::new();
        let mut effects = Vec::new();
        if !matches!(self.action, Action::Drop) {
            sql.push(ddl::policy::drop_policy(&self.table, &self.name));
            effects.push(Effect::PolicyGone { table: self.table.clone(), policy: self.name.clone() });
        }
        if let Some(old) = old {
            sql.extend(old.anew.iter().cloned());
            effects.push(Effect::Policy { table: self.table.clone(), policy: old.clone() });
            effects.extend(self.dependents(ctx));
        }
        let title = match old {
            Some(_) => format!("Make policy {} on {} as it was", self.name, self.table),
            None => format!("Drop policy {} on {}", self.name, self.table),
        };
        let mut step = Step::transaction(phase, title, "takes the change back", sql)
            .lock(&self.table, LockMode::AccessExclusive);
        step.provides = effects;
        step
    }

    /// What its expressions depend on does so again.
    fn dependents(&self, ctx: &Ctx) -> Vec<Effect> {
        let of = |dependent: &&Dependent| dependent.is_policy(&self.table, &self.name);
        let relations = ctx.logical.relations.values();
        relations
            .flat_map(|relation| {
                relation.dependents.iter().filter(of).map(|dependent| Effect::Dependent {
                    relation: relation.name.clone(),
                    dependent: dependent.clone(),
                })
            })
            .collect()
    }

    fn check<'a>(&self, ctx: &Ctx<'a>) -> Result<(&'a Relation, Option<&'a Policy>), WillFail> {
        let table = alter::table(ctx, &self.table)?;
        let old = table.policy(&self.name);
        match (&self.action, old) {
            (Action::Create { .. }, Some(_)) => Err(WillFail::new(
                "42710",
                format!("policy {} on {} exists already", self.name, self.table),
                "choose another name, or write ALTER POLICY",
            )),
            (Action::Alter { .. } | Action::Drop, None) => Err(WillFail::new(
                "42704",
                format!("policy {} on {} does not exist", self.name, self.table),
                "correct the policy's name",
            )),
            _ => Ok((table, old)),
        }
    }

    fn felt(&self) -> String {
        format!("running code sees and writes other rows of {}, as policy {} says", self.table, self.name)
    }
}

#[cfg(test)]
mod tests {
    use crate::diagnostic::Code;
    use crate::kind::shared::proving::{catalog, plan};
    use crate::kind::shared::testing::{refused, show};

    const OPEN: &str =
        "CREATE TABLE t (id int, owner text); CREATE POLICY own ON t USING (owner = current_user)";
    const GUARDED: &str =
        "CREATE TABLE t (id int, owner text); CREATE POLICY own ON t USING (owner = current_user);
        CREATE POLICY few ON t AS RESTRICTIVE USING (id < 10); ALTER TABLE t ENABLE ROW LEVEL SECURITY";

    #[test]
    fn what_loosens_comes_first_and_what_tightens_last() {
        for (schema, sql, phase) in [
            (GUARDED, "CREATE POLICY p ON t USING (true)", "expand"),
            (GUARDED, "CREATE POLICY p ON t AS RESTRICTIVE USING (true)", "contract"),
            (
                GUARDED,
                "-- concertina:enforce-now reason: a leak\nCREATE POLICY p ON t AS RESTRICTIVE USING (true)",
                "expand",
            ),
            (GUARDED, "ALTER POLICY own ON t USING (true)", "contract"),
            (GUARDED, "DROP POLICY few ON t", "expand"),
            (GUARDED, "DROP POLICY own ON t", "contract"),
            (OPEN, "DROP POLICY own ON t", "expand"),
            (OPEN, "ALTER POLICY own ON t TO PUBLIC", "expand"),
        ] {
            let shown = show(&plan(&catalog(schema), sql));
            assert!(shown.starts_with(phase), "{sql}: {shown}");
        }
    }

    #[test]
    fn one_that_is_made_again_under_its_name_follows_the_drop() {
        let sql = "DROP POLICY own ON t; CREATE POLICY own ON t USING (true)";
        let shown = show(&plan(&catalog(GUARDED), sql));
        assert_eq!(
            shown,
            "contract: DROP POLICY IF EXISTS own ON public.t\ncontract: CREATE POLICY own ON t USING (true)\n"
        );
    }

    #[test]
    fn certain_failures() {
        for (sql, word) in [
            ("CREATE POLICY own ON t", "42710"),
            ("DROP POLICY nothing ON t", "42704"),
            ("ALTER POLICY nothing ON t TO PUBLIC", "42704"),
        ] {
            let (code, said) = refused(&catalog(OPEN), sql);
            assert!(code == Code::WillFail && said.contains(word), "{sql}: {said}");
        }
        assert_eq!(show(&plan(&catalog(OPEN), "DROP POLICY IF EXISTS nothing ON t")), "");
    }
}
