//! RENAME of constraints, indexes, triggers, policies, rules and owned sequences: at once where no running code names them, else at contract.
//!
//! Nothing can have two names here, but little code uses them. An index, a trigger, a policy or a rule is named by DDL only, so
//! it gets its name in expand. A constraint is named by ON CONFLICT ON CONSTRAINT, by SET CONSTRAINTS and by code that tells
//! errors apart, the sequence of a serial or identity column by code that draws from it by hand: those get their name at contract,
//! and the plan says who feels it. Triggers fire in the order of their names; where a new name changes it, that is said.
//!
//! A sequence that no column owns, a function, a type, a domain and a schema exist only to be named, and PostgreSQL has no
//! second name for them. Their renaming is refused, and `allow` runs it as written.

use crate::catalog::{Constraint, ConstraintKind, Relation, RelationKind, Sequence, Trigger};
use crate::ddl;
use crate::diagnostic::{Code, Refusal};
use crate::effect::{Effect, Part};
use crate::kind::shared::will_fail::WillFail;
use crate::kind::shared::{alter, tree};
use crate::kind::{Ctx, Kind, Online};
use crate::pg::lock::LockMode;
use crate::plan::{Facts, LockClaim, Phase, Step};
use crate::sql::ident::{Ident, Name};

/// See the module.
#[derive(Clone, Debug)]
pub struct RenamePart {
    /// Kind name: `rename_constraint`.
    pub kind: &'static str,
    /// Table that it belongs to; it exists.
    pub table: Name,
    /// What it is.
    pub what: What,
    /// Its name. A policy or a rule may not exist: the catalog does not know them.
    pub from: Ident,
    /// Its new name.
    pub to: Ident,
}

/// What belongs to a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Constraint, its index included.
    Constraint,
    /// Index, its constraint included.
    Index,
    /// Trigger
    Trigger,
    /// Row level security policy
    Policy,
    /// Rewrite rule
    Rule,
    /// Sequence in this schema, owned by one of the table's columns
    Sequence(Ident),
}

impl Kind for RenamePart {
    fn name(&self) -> &'static str {
        self.kind
    }

    fn facts(&self, ctx: &Ctx) -> Facts {
        Facts {
            locks: self.locks(ctx, &self.from),
            transaction: true,
            breaks: self.felt(ctx).into_iter().map(|(_, felt)| felt).collect(),
            fails: self.fails(ctx).map(Into::into),
            ..Facts::default()
        }
    }

    fn online(&self, ctx: &Ctx) -> Result<Online, Refusal> {
        let table = ctx.table(&self.table)?;
        if let Some(failure) = self.fails(ctx) {
            return Err(failure.into());
        }
        if self.what == What::Constraint {
            alter::planned(table)?;
        }
        let late = matches!(self.what, What::Constraint | What::Sequence(_)) && !table.new_here;
        let (phase, why) = match late {
            true => (Phase::Contract, "running code may name it until then"),
            false => (Phase::Expand, "no running code names it"),
        };
        let back = self.step(ctx, phase, (&self.to, &self.from), "takes the renaming back");
        let step = self.step(ctx, phase, (&self.from, &self.to), why).undone_by(vec![back]);
        let mut notices = Vec::new();
        if !table.new_here {
            notices = self.felt(ctx);
            for (_, said) in &mut notices {
                let when = if late { "at contract" } else { "from expand on" };
                *said = format!("{when}: {said}");
            }
            if late {
                let said = format!("new code cannot name {} {} before contract", self.noun(), self.to);
                notices.push((Code::Announce, said));
            }
        }
        Ok(Online { steps: vec![step], notices })
    }

    fn effects(&self, ctx: &Ctx) -> Vec<Effect> {
        self.renamed(ctx, &self.from, &self.to)
    }
}

impl RenamePart {
    fn step(&self, ctx: &Ctx, phase: Phase, (from, to): (&Ident, &Ident), why: &str) -> Step {
        let mut step = Step::transaction(
            phase,
            format!("Give {} {from} of {} the name {to}", self.noun(), self.table),
            why,
            vec![self.sql(from, to)],
        )
        .locks(self.locks(ctx, from));
        step.provides = self.renamed(ctx, from, to);
        step
    }

    fn sql(&self, from: &Ident, to: &Ident) -> String {
        let table = &self.table;
        match &self.what {
            What::Constraint => ddl::constraint::rename(table, from, to),
            What::Index => ddl::moved::rename("INDEX", &table.sibling(from.clone()), to),
            What::Trigger => format!("ALTER TRIGGER {from} ON {table} RENAME TO {to}"),
            What::Policy => format!("ALTER POLICY {from} ON {table} RENAME TO {to}"),
            What::Rule => format!("ALTER RULE {from} ON {table} RENAME TO {to}"),
            What::Sequence(schema) => {
                format!(
                    "ALTER SEQUENCE {} RENAME TO {to}",
                    Name { schema: schema.clone(), name: from.clone() }
                )
            }
        }
    }

    fn renamed(&self, ctx: &Ctx, from: &Ident, to: &Ident) -> Vec<Effect> {
        let part = match &self.what {
            What::Constraint => Part::Constraint,
            What::Index => Part::Index,
            What::Trigger => Part::Trigger,
            What::Policy | What::Rule => return Vec::new(),
            What::Sequence(schema) => {
                let named = |name: &Ident| Name { schema: schema.clone(), name: name.clone() };
                let owned_by = ctx
                    .logical
                    .sequences
                    .get(&named(&self.from))
                    .and_then(|sequence| sequence.owned_by.clone());
                return vec![
                    Effect::SequenceGone(named(from)),
                    Effect::Sequence(Sequence { name: named(to), owned_by }),
                ];
            }
        };
        vec![Effect::PartRenamed { table: self.table.clone(), part, from: from.clone(), to: to.clone() }]
    }

    /// Measured on 14 to 18. Source: `rename_constraint_internal` in src/backend/commands/tablecmds.c, which follows a CHECK
    /// into the partitions; `renametrig` in trigger.c, which does so with a trigger from 15 on.
    fn locks(&self, ctx: &Ctx, name: &Ident) -> Vec<LockClaim> {
        let mode = LockMode::AccessExclusive;
        let whole = match &self.what {
            What::Constraint => {
                self.constraint(ctx).is_some_and(|constraint| constraint.kind == ConstraintKind::Check)
            }
            What::Trigger => ctx.logical.server.version.trigger_renames_follow_partitions(),
            What::Policy | What::Rule => false,
            What::Index => {
                let relation = self.table.sibling(name.clone());
                return vec![LockClaim { relation, mode: LockMode::ShareUpdateExclusive }];
            }
            What::Sequence(schema) => {
                return vec![LockClaim {
                    relation: Name { schema: schema.clone(), name: name.clone() },
                    mode,
                }];
            }
        };
        let mut locks = match whole {
            true => tree::locks(ctx.logical, &self.table, mode),
            false => tree::lock(ctx.logical, &self.table, mode),
        };
        let stands_on_an_index = |table: &Relation| {
            table.indexes.iter().any(|index| index.constraint.as_ref() == Some(&self.from))
        };
        if self.what == What::Constraint && ctx.logical.relation(&self.table).is_some_and(stands_on_an_index)
        {
            let relation = self.table.sibling(name.clone());
            locks.push(LockClaim { relation, mode: LockMode::ShareUpdateExclusive });
        }
        locks
    }

    fn felt(&self, ctx: &Ctx) -> Vec<(Code, String)> {
        match &self.what {
            What::Index | What::Policy | What::Rule => Vec::new(),
            What::Trigger => self.order(ctx).into_iter().map(|said| (Code::Announce, said)).collect(),
            What::Sequence(_) => vec![(
                Code::Breaks,
                format!(
                    "running code that draws from {} by its name fails (42P01); defaults and identity columns follow",
                    self.from
                ),
            )],
            What::Constraint => {
                let mut felt =
                    vec![(Code::Announce, format!("errors of constraint {} name {}", self.from, self.to))];
                let Some(constraint) = self.constraint(ctx) else { return felt };
                let key = matches!(
                    constraint.kind,
                    ConstraintKind::PrimaryKey | ConstraintKind::Unique | ConstraintKind::Exclude
                );
                if key {
                    let said = format!("ON CONFLICT ON CONSTRAINT {} fails (42704)", self.from);
                    felt.push((Code::Breaks, said));
                }
                if constraint.deferrable {
                    felt.push((Code::Breaks, format!("SET CONSTRAINTS {} fails (42704)", self.from)));
                }
                felt
            }
        }
    }

    /// Triggers of one sort fire in the order of their names, byte by byte. Source: doc/src/sgml/trigger.sgml.
    fn order(&self, ctx: &Ctx) -> Vec<String> {
        let Some(table) = ctx.logical.relation(&self.table) else { return Vec::new() };
        let Some(own) = table.trigger(&self.from) else { return Vec::new() };
        let meets = |other: &&Trigger| {
            (other.row, other.before) == (own.row, own.before)
                && other.name != own.name
                && other.on.iter().any(|event| own.on.contains(event))
        };
        let first = |other: &Trigger, name: &Ident| other.name.as_str().as_bytes() < name.as_str().as_bytes();
        table
            .triggers
            .iter()
            .filter(meets)
            .filter(|other| first(other, &self.from) != first(other, &self.to))
            .map(|other| {
                let side = if first(other, &self.to) { "after" } else { "before" };
                format!(
                    "trigger {} of {} fires {side} trigger {}, and did not so far",
                    self.to, self.table, other.name
                )
            })
            .collect()
    }

    fn fails(&self, ctx: &Ctx) -> Option<WillFail> {
        let table = ctx.logical.relation(&self.table)?;
        let taken = |state, what: &str| {
            Some(WillFail::new(state, format!("{what} {} exists already", self.to), "choose another name"))
        };
        let relation = |name: Name| ctx.logical.relation_name_taken(&name);
        match &self.what {
            What::Constraint => {
                let constraint = self.constraint(ctx)?;
                if constraint.inherited {
                    return Some(WillFail::new(
                        "42P16",
                        format!("constraint {} of {} comes from its parent", self.from, self.table),
                        "rename it there",
                    ));
                }
                if table.constraint(&self.to).is_some() {
                    return taken("42710", "constraint");
                }
                let index = table.indexes.iter().any(|index| index.constraint.as_ref() == Some(&self.from));
                (index && relation(self.table.sibling(self.to.clone())))
                    .then(|| taken("42P07", "relation"))?
            }
            What::Index => {
                relation(self.table.sibling(self.to.clone())).then(|| taken("42P07", "relation"))?
            }
            What::Trigger => table.trigger(&self.to).is_some().then(|| taken("42710", "trigger"))?,
            What::Sequence(schema) => {
                let name = Name { schema: schema.clone(), name: self.to.clone() };
                relation(name).then(|| taken("42P07", "relation"))?
            }
            What::Policy | What::Rule => None,
        }
    }

    fn constraint<'a>(&self, ctx: &Ctx<'a>) -> Option<&'a Constraint> {
        // An undo step is about the same constraint under its new name.
        let table = ctx.logical.relation(&self.table)?;
        table.constraint(&self.from)
    }

    fn noun(&self) -> &'static str {
        match self.what {
            What::Constraint => "constraint",
            What::Index => "index",
            What::Trigger => "trigger",
            What::Policy => "policy",
            What::Rule => "rule",
            What::Sequence(_) => "sequence",
        }
    }
}

/// Whether such a relation may have parts of this sort.
pub(crate) fn may_have(relation: &Relation, what: &What) -> bool {
    match what {
        What::Constraint => matches!(
            relation.kind,
            RelationKind::Table | RelationKind::PartitionedTable | RelationKind::ForeignTable
        ),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use crate::diagnostic::Code;
    use crate::kind::shared::proving::{catalog, catalog_on, plan};
    use crate::kind::shared::testing::{refused, show};
    use crate::plan::Phase;

    const SCHEMA: &str = "CREATE TABLE t (id serial PRIMARY KEY, a int CONSTRAINT positive CHECK (a > 0), b int CONSTRAINT one UNIQUE);
        CREATE INDEX t_a ON t (a);
        CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE TRIGGER m BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();
        CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();
        CREATE SEQUENCE loose";

    #[test]
    fn at_once_where_nobody_names_it() {
        for (sql, phase) in [
            ("ALTER INDEX t_a RENAME TO t_aa", Phase::Expand),
            ("ALTER TRIGGER x ON t RENAME TO y", Phase::Expand),
            ("ALTER POLICY p ON t RENAME TO q", Phase::Expand),
            ("ALTER RULE r ON t RENAME TO s", Phase::Expand),
            ("ALTER TABLE t RENAME CONSTRAINT positive TO above_zero", Phase::Contract),
            ("ALTER TABLE t RENAME CONSTRAINT one TO single", Phase::Contract),
            ("ALTER INDEX one RENAME TO single", Phase::Expand),
            ("ALTER SEQUENCE t_id_seq RENAME TO numbers", Phase::Contract),
        ] {
            let plan = plan(&catalog(SCHEMA), sql);
            assert_eq!((plan.steps.len(), plan.steps[0].phase), (1, phase), "{sql}");
        }
    }

    #[test]
    fn who_feels_it_is_told() {
        let said = |sql| {
            let plan = plan(&catalog(SCHEMA), sql);
            plan.notices.iter().map(|notice| notice.message.clone()).collect::<Vec<_>>().join("; ")
        };
        assert!(
            said("ALTER TABLE t RENAME CONSTRAINT one TO single")
                .contains("ON CONFLICT ON CONSTRAINT one fails (42704)")
        );
        assert!(said("ALTER TRIGGER x ON t RENAME TO a").contains("fires before trigger m"));
        assert!(said("ALTER TRIGGER x ON t RENAME TO y").is_empty());
        assert!(said("ALTER SEQUENCE t_id_seq RENAME TO numbers").contains("42P01"));
    }

    #[test]
    fn names_that_are_taken_or_must_stay() {
        for (sql, code, says) in [
            ("ALTER TABLE t RENAME CONSTRAINT positive TO one", Code::WillFail, "42710"),
            ("ALTER TABLE t RENAME CONSTRAINT one TO t_a", Code::WillFail, "42P07"),
            ("ALTER TABLE t RENAME CONSTRAINT zz TO y", Code::WillFail, "42704"),
            ("ALTER TRIGGER x ON t RENAME TO m", Code::WillFail, "42710"),
            ("ALTER TRIGGER zz ON t RENAME TO y", Code::WillFail, "42704"),
            ("ALTER SEQUENCE loose RENAME TO y", Code::NoOnlineForm, "loose"),
        ] {
            let (refused, said) = refused(&catalog(SCHEMA), sql);
            assert!(refused == code && said.contains(says), "{sql}: {said}");
        }
    }

    #[test]
    fn a_tables_partitions_follow_a_check_and_from_fifteen_on_a_trigger() {
        let schema = "CREATE TABLE p (a int CONSTRAINT positive CHECK (a > 0)) PARTITION BY LIST (a);
            CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
            CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
            CREATE TRIGGER x BEFORE UPDATE ON p FOR EACH ROW EXECUTE FUNCTION f()";
        let locks = |major, sql| plan(&catalog_on(major, schema), sql).steps[0].locks.len();
        assert_eq!(locks(14, "ALTER TABLE p RENAME CONSTRAINT positive TO above"), 2);
        assert_eq!(locks(14, "ALTER TRIGGER x ON p RENAME TO y"), 1);
        assert_eq!(locks(15, "ALTER TRIGGER x ON p RENAME TO y"), 2);
        assert!(
            show(&plan(&catalog(schema), "ALTER TRIGGER x ON p RENAME TO y"))
                .starts_with("expand: ALTER TRIGGER x ON public.p")
        );
    }
}
