//! DROP CONSTRAINT: what only forbids goes in expand, what running code works with goes at contract.
//!
//! A CHECK and a foreign key without actions loosen: new code may need that at once, and old code notices nothing. A key is
//! also an index and the target of ON CONFLICT, and CASCADE or SET NULL do work for old code: these stay until contract.

use crate::catalog::{Constraint, ConstraintKind, Relation};
use crate::ddl;
use crate::diagnostic::{Code, Refusal};
use crate::effect::Effect;
use crate::kind::shared::will_fail::WillFail;
use crate::kind::shared::{alter, unconstrain};
use crate::kind::{Ctx, Kind, Online};
use crate::plan::{Facts, Need, Phase, Probe, Step};
use crate::sql::ident::{Ident, Name};

/// See the module.
#[derive(Clone, Debug)]
pub struct DropConstraint {
    /// Table.
    pub table: Name,
    /// Constraint; not one of NOT NULL.
    pub name: Ident,
}

impl Kind for DropConstraint {
    fn name(&self) -> &'static str {
        "drop_constraint"
    }

    fn facts(&self, ctx: &Ctx) -> Facts {
        let fails = self.check(ctx).err().map(Into::into);
        let found = ctx.logical.relation(&self.table);
        let found =
            found.and_then(|table| table.constraint(&self.name).map(|constraint| (table, constraint)));
        let Some((table, constraint)) = found else {
            return Facts { transaction: true, fails, ..Facts::default() };
        };
        Facts {
            locks: unconstrain::locks(ctx, table, constraint),
            transaction: true,
            breaks: felt(table, constraint).into_iter().collect(),
            fails,
            ..Facts::default()
        }
    }

    fn online(&self, ctx: &Ctx) -> Result<Online, Refusal> {
        let (table, constraint) = self.check(ctx)?;
        alter::planned(table)?;
        if table.new_here {
            return Ok(Online { steps: vec![self.at_once(ctx, table, constraint)], notices: Vec::new() });
        }
        let (phase, why) = self.phase(ctx, constraint);
        let step = unconstrain::step(ctx, table, constraint, phase, why).ok_or_else(|| {
            Refusal::new(
                Code::NotYet,
                format!(
                    "no undo that does not block {} brings {} {} back",
                    self.table,
                    unconstrain::noun(constraint),
                    self.name
                ),
                "run the statement as written with `-- concertina:allow not-yet reason: …`",
            )
        })?;
        let mut notices: Vec<(Code, String)> = Vec::new();
        match (phase, felt(table, constraint)) {
            (Phase::Contract, Some(felt)) => notices.push((Code::Breaks, format!("at contract: {felt}"))),
            (_, felt) => notices.extend(felt.map(|felt| (Code::Announce, felt))),
        }
        Ok(Online { steps: vec![step], notices })
    }

    fn effects(&self, ctx: &Ctx) -> Vec<Effect> {
        let found = ctx.logical.relation(&self.table);
        let found =
            found.and_then(|table| table.constraint(&self.name).map(|constraint| (table, constraint)));
        found.map(|(table, constraint)| unconstrain::gone(ctx, table, constraint)).unwrap_or_default()
    }
}

impl DropConstraint {
    /// Source: `ATExecDropConstraint` in src/backend/commands/tablecmds.c.
    fn check<'a>(&self, ctx: &Ctx<'a>) -> Result<(&'a Relation, &'a Constraint), WillFail> {
        let table = alter::table(ctx, &self.table)?;
        let Some(constraint) = table.constraint(&self.name) else {
            return Err(WillFail::new(
                "42704",
                format!("constraint {} of {} does not exist", self.name, self.table),
                "correct the constraint's name",
            ));
        };
        if constraint.inherited {
            return Err(WillFail::new(
                "42P16",
                format!("constraint {} of {} is inherited", self.name, self.table),
                "drop it from the partitioned table, which drops it from every partition",
            ));
        }
        if let Some((child, key)) = standing_on(ctx, table, constraint) {
            return Err(WillFail::new(
                "2BP01",
                format!("foreign key {} of {} stands on {}", key.name, child.name, self.name),
                "drop the foreign key first",
            ));
        }
        Ok((table, constraint))
    }

    fn phase(&self, ctx: &Ctx, constraint: &Constraint) -> (Phase, &'static str) {
        let there = ctx.physical.relation(&self.table).and_then(|table| table.constraint(&self.name));
        if there.is_none() {
            return (Phase::Contract, "an earlier statement of this file adds it only at contract");
        }
        match &constraint.kind {
            ConstraintKind::Check => {
                (Phase::Expand, "it only forbids: old code works without it, and new code may need it gone")
            }
            ConstraintKind::ForeignKey { .. } if !acts(constraint) => {
                (Phase::Expand, "it only forbids: old code works without it, and new code may need it gone")
            }
            ConstraintKind::ForeignKey { .. } => {
                (Phase::Contract, "running code may count on its ON DELETE or ON UPDATE action until then")
            }
            _ => (
                Phase::Contract,
                "running code may need its index, and ON CONFLICT its uniqueness, until then",
            ),
        }
    }

    /// On a table that nobody uses yet.
    fn at_once(&self, ctx: &Ctx, table: &Relation, constraint: &Constraint) -> Step {
        let mut step = Step::transaction(
            Phase::Expand,
            format!("Drop {} {} of {}", unconstrain::noun(constraint), self.name, self.table),
            "the table is new: nobody uses it yet",
            vec![ddl::constraint::drop_if_exists(&self.table, &self.name)],
        )
        .locks(unconstrain::locks(ctx, table, constraint))
        .probe(Probe::Constraint { table: self.table.clone(), name: self.name.clone(), validated: None })
        .requires(Need::Relation(self.table.clone()));
        step.provides = unconstrain::gone(ctx, table, constraint);
        step
    }
}

/// A foreign key does more than forbid.
fn acts(constraint: &Constraint) -> bool {
    let definition = constraint.definition.to_uppercase();
    ["ON DELETE", "ON UPDATE"].iter().any(|event| {
        ["CASCADE", "SET NULL", "SET DEFAULT"]
            .iter()
            .any(|action| definition.contains(&format!("{event} {action}")))
    })
}

/// A foreign key that no other key of the table could carry.
fn standing_on<'a>(
    ctx: &Ctx<'a>,
    table: &Relation,
    constraint: &Constraint,
) -> Option<(&'a Relation, &'a Constraint)> {
    if !matches!(constraint.kind, ConstraintKind::PrimaryKey | ConstraintKind::Unique) {
        return None;
    }
    let same = |columns: &[Ident]| {
        columns.len() == constraint.columns.len() && columns.iter().all(|c| constraint.columns.contains(c))
    };
    ctx.logical
        .incoming_foreign_keys(&table.name)
        .into_iter()
        .find(|(_, key)| matches!(&key.kind, ConstraintKind::ForeignKey { columns, .. } if same(columns)))
}

fn felt(table: &Relation, constraint: &Constraint) -> Option<String> {
    let on = &table.name;
    Some(match &constraint.kind {
        ConstraintKind::Check => {
            format!("code that reads {on} may meet rows that CHECK {} forbade", constraint.name)
        }
        ConstraintKind::ForeignKey { table: referenced, .. } => {
            format!("code that reads {on} may meet rows without their row of {referenced}")
        }
        ConstraintKind::PrimaryKey | ConstraintKind::Unique => format!(
            "ON CONFLICT ({}) on {on} fails (42P10), and what used the index of {} scans the table",
            crate::sql::ident::list(&constraint.columns),
            constraint.name
        ),
        ConstraintKind::Exclude | ConstraintKind::Trigger => return None,
    })
}

#[cfg(test)]
mod tests {
    use crate::diagnostic::Code;
    use crate::kind::shared::proving::{catalog, plan};
    use crate::kind::shared::testing::{refused, show};
    use crate::plan::{Action, Phase, Undo};

    const SCHEMA: &str = "CREATE TABLE users (id int PRIMARY KEY, email text, age int,
            CONSTRAINT users_age_check CHECK (age > 0), CONSTRAINT users_email_key UNIQUE (email));
        CREATE TABLE orders (id int PRIMARY KEY, user_id int, by int,
            CONSTRAINT plain FOREIGN KEY (user_id) REFERENCES users,
            CONSTRAINT acting FOREIGN KEY (by) REFERENCES users ON DELETE SET NULL)";

    #[test]
    fn what_only_forbids_goes_at_once_and_undo_proves_it_again() {
        let plan = plan(
            &catalog(SCHEMA),
            "ALTER TABLE users DROP CONSTRAINT users_age_check; ALTER TABLE orders DROP CONSTRAINT plain",
        );
        assert_eq!(
            show(&plan),
            "expand: ALTER TABLE public.users DROP CONSTRAINT IF EXISTS users_age_check\n\
             expand: ALTER TABLE public.orders DROP CONSTRAINT IF EXISTS plain\n"
        );
        assert!(plan.steps[1].locks.iter().any(|lock| lock.relation.to_string() == "public.users"));
        for step in &plan.steps {
            let Undo::Steps { steps, .. } = &step.undo else { panic!("{step:?}") };
            assert!(matches!(&steps[1].action, Action::Long { sql } if sql.contains("VALIDATE")));
        }
    }

    #[test]
    fn what_running_code_works_with_stays_until_contract() {
        let plan = plan(
            &catalog(SCHEMA),
            "ALTER TABLE orders DROP CONSTRAINT acting, DROP CONSTRAINT orders_pkey;
             ALTER TABLE users DROP CONSTRAINT users_email_key",
        );
        assert!(plan.steps.iter().all(|step| step.phase == Phase::Contract));
        let Undo::Steps { steps, .. } = &plan.steps[1].undo else { panic!("{plan:?}") };
        assert!(
            matches!(&steps[0].action, Action::Alone { sql, .. } if sql.contains("CONCURRENTLY orders_pkey"))
        );
        let Action::Transaction { sql } = &steps[1].action else { panic!("{steps:?}") };
        assert_eq!(
            sql[0],
            "ALTER TABLE public.orders ADD CONSTRAINT orders_pkey PRIMARY KEY USING INDEX orders_pkey"
        );
    }

    #[test]
    fn a_key_that_carries_a_foreign_key_stays() {
        let (code, said) = refused(&catalog(SCHEMA), "ALTER TABLE users DROP CONSTRAINT users_pkey");
        assert!(code == Code::WillFail && said.contains("2BP01"), "{said}");
        let (code, said) = refused(&catalog(SCHEMA), "ALTER TABLE users DROP CONSTRAINT zz");
        assert!(code == Code::WillFail && said.contains("42704"), "{said}");
    }
}
