//! DROP FUNCTION, PROCEDURE, AGGREGATE, TYPE, DOMAIN and SEQUENCE: moved into the archive at contract.
//!
//! Old code may call or name it until then. It is moved, not dropped, so that undo brings it back with its privileges, its
//! comment and, for a sequence, its position.

use crate::catalog::{Object, Sequence};
use crate::diagnostic::{Code, Refusal};
use crate::effect::Effect;
use crate::kind::shared::dependents;
use crate::kind::shared::moved::Moved;
use crate::kind::{Ctx, Kind, Online};
use crate::pg::lock::LockMode;
use crate::plan::{Facts, LockClaim, Noun, Phase, Step, Undo};
use crate::sql::ident::Name;

/// See the module.
#[derive(Clone, Debug)]
pub struct DropObject {
    /// Kind name: `drop_function`.
    pub kind: &'static str,
    /// What is dropped. It exists, and no other function has its name.
    pub object: Object,
    /// The statement as one about this object alone.
    pub sql: String,
}

impl Kind for DropObject {
    fn name(&self) -> &'static str {
        self.kind
    }

    fn facts(&self, ctx: &Ctx) -> Facts {
        let users = ctx.logical.users(&self.object).map(|used| used.description.as_str());
        Facts {
            locks: self.locks(ctx),
            transaction: true,
            breaks: vec![self.felt()],
            fails: dependents::fails(&self.what(), users).map(Into::into),
            ..Facts::default()
        }
    }

    fn online(&self, ctx: &Ctx) -> Result<Online, Refusal> {
        let users = ctx.logical.users(&self.object).map(|used| used.description.as_str());
        dependents::refuse(&self.what(), users)?;
        self.refuse_owned(ctx)?;
        let mut notices = vec![(Code::Breaks, format!("at contract: {}", self.felt()))];
        if matches!(self.object, Object::Function(_)) {
            let said = format!("whether functions written as text call {} is not known", self.what());
            notices.push((Code::Announce, said));
        }
        let step = match &ctx.directives.irreversible {
            None => self.archive(ctx),
            Some(why) => {
                let mut step = Step::transaction(
                    Phase::Contract,
                    format!("Drop {}", self.what()),
                    "nothing is kept, as `irreversible` says",
                    vec![self.sql.clone()],
                )
                .undo(Undo::Impossible { why: why.clone() });
                step.destroys = true;
                step
            }
        };
        let mut step = step.locks(self.locks(ctx));
        step.provides = self.effects(ctx);
        Ok(Online { steps: vec![step], notices })
    }

    fn effects(&self, _ctx: &Ctx) -> Vec<Effect> {
        match &self.object {
            Object::Function(name) => vec![Effect::FunctionGone(name.clone())],
            Object::Sequence(name) => vec![Effect::SequenceGone(name.clone())],
            // A composite type is a relation too.
            Object::Type(name) => {
                vec![Effect::TypeGone(name.clone()), Effect::RelationGone(name.clone())]
            }
        }
    }
}

impl DropObject {
    fn archive(&self, ctx: &Ctx) -> Step {
        let (noun, name) = match &self.object {
            Object::Function(name) => (Noun::Routine, name),
            Object::Sequence(name) => (Noun::Sequence, name),
            Object::Type(name) => (Noun::Type, name),
        };
        let mut moved = Moved::default();
        moved.add(ctx, noun, name);
        let mut back = Step::transaction(
            Phase::Contract,
            format!("Bring back {}", self.what()),
            "from the archive, as it was",
            moved.back(),
        )
        .locks(self.locks(ctx));
        back.provides = self.again(ctx);
        let mut step = Step::transaction(
            Phase::Contract,
            format!("Move {} into the archive", self.what()),
            "running code may use it until then, and undo brings it back",
            moved.there(),
        )
        .undone_by(vec![back]);
        step.archived = moved.archived();
        step
    }

    /// The identity column's own sequence cannot go without it. Source: `findDependentObjects` in dependency.c.
    fn refuse_owned(&self, ctx: &Ctx) -> Result<(), Refusal> {
        let Object::Sequence(name) = &self.object else { return Ok(()) };
        let owner = ctx.logical.sequences.get(name).and_then(|sequence| sequence.owned_by.as_ref());
        let Some((table, column)) = owner else { return Ok(()) };
        let owns = ctx.logical.relation(table).and_then(|table| table.column(column));
        if owns.is_none_or(|column| column.identity.is_none()) {
            return Ok(());
        }
        Err(Refusal::new(
            Code::WillFail,
            format!("sequence {name} belongs to identity column {column} of {table} (2BP01)"),
            "write ALTER COLUMN … DROP IDENTITY, which drops it too",
        ))
    }

    fn again(&self, ctx: &Ctx) -> Vec<Effect> {
        let catalog = ctx.logical;
        match &self.object {
            Object::Function(name) => {
                let known = catalog.functions.iter().filter(|function| function.name == *name);
                known.cloned().map(Effect::Function).collect()
            }
            Object::Sequence(name) => {
                let sequence: Option<&Sequence> = catalog.sequences.get(name);
                sequence.cloned().map(Effect::Sequence).into_iter().collect()
            }
            Object::Type(name) => {
                let named = catalog.types.get(name).cloned().map(Effect::Type);
                let relation = catalog.relation(name).cloned().map(Box::new).map(Effect::Relation);
                named.into_iter().chain(relation).collect()
            }
        }
    }

    fn locks(&self, ctx: &Ctx) -> Vec<LockClaim> {
        let relation: Option<&Name> = match &self.object {
            Object::Function(_) => None,
            Object::Sequence(name) => Some(name),
            Object::Type(name) => ctx.logical.relation(name).map(|relation| &relation.name),
        };
        let claim = |name: &Name| LockClaim { relation: name.clone(), mode: LockMode::AccessExclusive };
        relation.map(claim).into_iter().collect()
    }

    fn what(&self) -> String {
        let noun = self.kind.strip_prefix("drop_").unwrap_or(self.kind).replace('_', " ");
        let (Object::Function(name) | Object::Sequence(name) | Object::Type(name)) = &self.object;
        format!("{noun} {name}")
    }

    fn felt(&self) -> String {
        let state = match self.object {
            Object::Function(_) => "42883",
            Object::Sequence(_) => "42P01",
            Object::Type(_) => "42704",
        };
        format!("running code that uses {} fails ({state})", self.what())
    }
}

#[cfg(test)]
mod tests {
    use crate::catalog::{Object, Use, User};
    use crate::diagnostic::Code;
    use crate::kind::shared::proving::{catalog, plan};
    use crate::kind::shared::testing::{refused, show};
    use crate::plan::Undo;
    use crate::sql::ident::{Ident, Name};

    const SCHEMA: &str = "CREATE TABLE t (id int PRIMARY KEY, a int);
        CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
        CREATE TYPE mood AS ENUM ('ok'); CREATE SEQUENCE s";

    #[test]
    fn moves_at_contract_and_back() {
        let plan = plan(&catalog(SCHEMA), "DROP FUNCTION f; DROP TYPE mood; DROP SEQUENCE s");
        let shown = show(&plan);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines.len(), 6, "{shown}");
        assert!(lines[0].starts_with("contract: ALTER ROUTINE public.f RENAME TO f_"), "{shown}");
        assert!(lines[1].ends_with(" SET SCHEMA concertina_archive"), "{shown}");
        let Undo::Steps { steps, loses: None } = &plan.steps[1].undo else { panic!("{plan:?}") };
        assert!(show_sql(steps)[0].ends_with(" SET SCHEMA public"));
        assert!(show_sql(steps)[1].ends_with(" RENAME TO mood"));
        assert!(plan.steps.iter().all(|step| !step.destroys && step.archived.len() == 1));
    }

    fn show_sql(steps: &[crate::plan::Step]) -> Vec<String> {
        match &steps[0].action {
            crate::plan::Action::Transaction { sql } => sql.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_needs_it_must_go_first() {
        let mut catalog = catalog(SCHEMA);
        let by = User::Column(Name::new("public", "t"), Ident::new("a"));
        let of = Object::Type(Name::new("public", "mood"));
        catalog.uses.push(Use { of, by, description: "column a of table t".to_owned() });
        let (code, said) = refused(&catalog, "DROP TYPE mood");
        assert!(code == Code::HasDependents && said.contains("column a of table t"), "{said}");
        let shown = show(&plan(&catalog, "ALTER TABLE t DROP COLUMN a; DROP TYPE mood"));
        assert!(shown.ends_with("SET SCHEMA concertina_archive\n"), "{shown}");
    }
}
