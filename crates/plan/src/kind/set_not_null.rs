//! SET NOT NULL: proven by a validated CHECK (18+: NOT NULL … NOT VALID), so that no scan happens under the strong lock.

use crate::catalog::{Column, Relation};
use crate::diagnostic::{Code, Refusal};
use crate::effect::Effect;
use crate::kind::shared::sync::{self, Derivation, Manner, Mode, Sync};
use crate::kind::shared::tighten::{self, OldWriters, Timing};
use crate::kind::shared::will_fail::WillFail;
use crate::kind::shared::{alter, not_null, tree};
use crate::kind::{Ctx, Kind, Online};
use crate::pg::lock::LockMode;
use crate::plan::{Facts, Phase, Undo, Work, WorkKind};
use crate::sql::expr::Expr;
use crate::sql::ident::{Ident, Name};

/// See the module.
#[derive(Clone, Debug)]
pub struct SetNotNull {
    /// Table.
    pub table: Name,
    /// Column.
    pub column: Ident,
}

impl Kind for SetNotNull {
    fn name(&self) -> &'static str {
        "set_not_null"
    }

    fn facts(&self, ctx: &Ctx) -> Facts {
        let known = ctx.logical.relation(&self.table).and_then(|table| table.column(&self.column));
        // Partitions are not looked at where the table is marked already. Source: `ATPrepSetNotNull`; measured on 14, 15, 18.
        let marked = known.is_some_and(|column| {
            !column.new_here && column.not_null.as_ref().is_some_and(|marking| marking.valid)
        });
        let locks = if marked { tree::lock } else { tree::locks };
        Facts {
            locks: locks(ctx.logical, &self.table, LockMode::AccessExclusive),
            work: self.scans(ctx),
            transaction: true,
            breaks: vec![format!(
                "code that writes NULL into column {} of {}, or leaves it out, gets errors (23502) from then on",
                self.column, self.table
            )],
            fails: self.check(ctx).err().map(Into::into),
        }
    }

    fn online(&self, ctx: &Ctx) -> Result<Online, Refusal> {
        let (table, column) = self.check(ctx)?;
        alter::planned(table)?;
        if column.not_null.as_ref().is_some_and(|marking| marking.valid) {
            let said =
                format!("column {} of {} is NOT NULL already: nothing is done", self.column, self.table);
            return Ok(Online { steps: Vec::new(), notices: vec![(Code::Announce, said)] });
        }
        let physical = ctx.physical.relation(&self.table).and_then(|table| table.column(&self.column));
        if physical.is_some_and(|column| column.not_null.as_ref().is_some_and(|marking| marking.valid)) {
            return Err(Refusal::new(
                Code::SplitFile,
                format!("an earlier statement drops NOT NULL from column {} at contract", self.column),
                "leave both statements out, or split the file in two",
            ));
        }
        if let Some(expr) = ctx.directives.fill_for(&self.column) {
            return self.filled(ctx, table, column, expr);
        }
        let implied = |relation: &Relation| not_null::implied(relation, &self.column);
        if table.new_here || (implied(table) && ctx.physical.relation(&self.table).is_some_and(implied)) {
            let step = not_null::at_once(ctx.physical, &self.table, &self.column, Phase::Expand);
            return Ok(Online { steps: vec![step], notices: Vec::new() });
        }
        let old = match &column.default {
            Some(default) if column.new_here && not_null::is_plain_value(default) => OldWriters::Satisfy,
            _ => OldWriters::MayBreak,
        };
        let timing = tighten::timing(ctx, table, std::slice::from_ref(&self.column), old);
        let mut steps = Vec::new();
        if timing.needs_proof() {
            steps.push(not_null::proof(table, &self.column));
        }
        steps.extend(not_null::steps(ctx.physical, &self.table, &self.column, timing.phase()));
        Ok(Online { steps, notices: timing.notice(&self.what()).into_iter().collect() })
    }

    fn effects(&self, ctx: &Ctx) -> Vec<Effect> {
        let known = ctx.logical.relation(&self.table).and_then(|table| table.column(&self.column));
        match known {
            Some(column) if column.not_null.as_ref().is_none_or(|marking| !marking.valid) => {
                vec![not_null::effect(ctx.logical, &self.table, &self.column)]
            }
            _ => Vec::new(),
        }
    }
}

impl SetNotNull {
    /// Source: `ATExecSetNotNull` in src/backend/commands/tablecmds.c.
    fn check<'a>(&self, ctx: &Ctx<'a>) -> Result<(&'a Relation, &'a Column), WillFail> {
        let table = alter::table(ctx, &self.table)?;
        Ok((table, alter::column(table, &self.column)?))
    }

    /// Every leaf is scanned, unless it is marked already or a CHECK shows it. A column that the file makes may be marked only
    /// because this statement was combined into its ADD COLUMN.
    fn scans(&self, ctx: &Ctx) -> Vec<Work> {
        let scanned = |relation: &Relation| {
            relation.column(&self.column).is_some_and(|column| {
                let marked = column.not_null.as_ref().is_some_and(|marking| marking.valid);
                (column.new_here || !marked) && !not_null::implied(relation, &self.column)
            })
        };
        let leaves: Vec<&Name> = ctx
            .logical
            .leaves(&self.table)
            .into_iter()
            .filter(|leaf| scanned(leaf))
            .map(|leaf| &leaf.name)
            .collect();
        let mut work = tree::work(ctx.logical, &self.table, WorkKind::Scan);
        work.retain(|work| leaves.contains(&&work.relation));
        work
    }

    /// With `fill`: a trigger fills new rows until contract, a backfill the others, so old writers satisfy it.
    fn filled(&self, ctx: &Ctx, table: &Relation, column: &Column, expr: &Expr) -> Result<Online, Refusal> {
        let from = Derivation { alias: table.name.name.clone(), expr, filter: None, otherwise: None };
        sync::check(table, &from)?;
        if column.generated.is_some() || table.partition_key.contains(&self.column) {
            return Err(Refusal::new(
                Code::NotBatchable,
                format!("column {} is generated or in the partition key, and cannot be filled", self.column),
                "leave `fill` out",
            ));
        }
        let timing = if sync::never_null(table, &from) { Timing::Satisfied } else { Timing::Contract };
        let sync = Sync::new(ctx, &self.table, &self.column, &from, Mode::Fill);
        let mut steps = vec![sync.install(ctx, &self.column)];
        let manner = Manner {
            stride: ctx.policy.stride,
            // The column may be under a foreign key, which is enforced by triggers.
            fire_triggers: true,
            undo: Undo::Steps {
                steps: Vec::new(),
                loses: Some(format!("rows that had NULL in column {} keep the value of `fill`", self.column)),
            },
            why: "rows that have no value yet get the one of `fill`",
        };
        steps.extend(sync::backfill(ctx, &self.table, &self.column, &from, manner));
        if timing.needs_proof() {
            steps.push(not_null::proof(table, &self.column));
        }
        steps.extend(not_null::steps(ctx.physical, &self.table, &self.column, timing.phase()));
        steps.push(sync.removal(ctx, Phase::Contract, "old code is gone", Vec::new()));
        let mut notices = sync::notices(&self.table, &self.column, Mode::Fill, &from, &sync);
        notices.extend(timing.notice(&self.what()));
        Ok(Online { steps, notices })
    }

    fn what(&self) -> String {
        format!("NOT NULL on column {} of {}", self.column, self.table)
    }
}

#[cfg(test)]
mod tests {
    use crate::catalog::{Catalog, Constraint, ConstraintKind};
    use crate::diagnostic::Code;
    use crate::kind::shared::testing::{catalog, on, partitioned, planned, refused, show, steps, table};
    use crate::plan::{Phase, WorkKind};
    use crate::sql::ident::{Ident, Name};

    const SET: &str = "ALTER TABLE users ALTER COLUMN name SET NOT NULL";

    fn users() -> Catalog {
        catalog([table("users", &[("id", "bigint"), ("email", "text!"), ("name", "text")])])
    }

    #[test]
    fn proven_first_and_enforced_at_contract() {
        let plan = planned(&users(), SET);
        let name = "concertina_not_null_name_";
        let shown = show(&plan);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(
            lines[0],
            "validate, proof: SELECT users.id::text AS id FROM ONLY public.users WHERE users.name IS NULL LIMIT 5"
        );
        assert!(lines[1].starts_with(&format!("contract: ALTER TABLE public.users ADD CONSTRAINT {name}")));
        assert!(
            lines[2]
                .starts_with(&format!("contract, long: ALTER TABLE public.users VALIDATE CONSTRAINT {name}"))
        );
        assert_eq!(lines[3], "contract: ALTER TABLE public.users ALTER COLUMN name SET NOT NULL");
        assert!(
            lines[4]
                .starts_with(&format!("contract: ALTER TABLE public.users DROP CONSTRAINT IF EXISTS {name}"))
        );
        assert_eq!(plan.statements[0].facts.work[0].what, WorkKind::Scan);
        assert!(plan.notices.iter().any(|notice| notice.code == Code::Announce));
        assert_eq!(
            steps(&on(users(), 18), SET).lines().skip(1).collect::<Vec<_>>(),
            [
                "contract: ALTER TABLE public.users ADD CONSTRAINT users_name_not_null NOT NULL name NOT VALID",
                "contract, long: ALTER TABLE public.users VALIDATE CONSTRAINT users_name_not_null"
            ]
        );
    }

    #[test]
    fn enforced_now_it_comes_before_contract() {
        let plan = planned(&users(), &format!("-- concertina: enforce-now reason: checked\n{SET}"));
        assert!(plan.steps.iter().all(|step| step.phase == Phase::Validate));
        assert!(plan.notices.iter().any(|notice| notice.code == Code::Breaks));
    }

    #[test]
    fn fill_satisfies_old_writers() {
        let shown = steps(&users(), &format!("-- concertina: fill name = 'unknown'\n{SET}"));
        let lines: Vec<&str> = shown.lines().filter(|line| line.contains(": ")).collect();
        assert!(shown.contains("    NEW.\"name\" := ('unknown');\n"), "{shown}");
        assert_eq!(
            lines[2],
            "backfill public.users by pages, stride 16: name = 'unknown' where users.name IS NULL"
        );
        assert!(
            shown.contains("validate: ALTER TABLE public.users ALTER COLUMN name SET NOT NULL"),
            "{shown}"
        );
        assert!(shown.contains("contract: DROP TRIGGER"), "{shown}");
    }

    #[test]
    fn what_holds_already_is_not_proven_again() {
        assert_eq!(steps(&users(), "ALTER TABLE users ALTER email SET NOT NULL"), "");
        let mut catalog = users();
        let relation = catalog.relations.get_mut(&Name::new("public", "users")).expect("users");
        relation.constraints.push(Constraint {
            name: Ident::new("named"),
            kind: ConstraintKind::Check,
            columns: vec![Ident::new("name")],
            definition: "CHECK ((name IS NOT NULL))".to_owned(),
            validated: true,
            deferrable: false,
            inherited: false,
        });
        let plan = planned(&catalog, SET);
        assert_eq!(show(&plan), "expand: ALTER TABLE public.users ALTER COLUMN name SET NOT NULL\n");
        assert!(plan.statements[0].facts.work.is_empty());
        let relation = catalog.relations.get_mut(&Name::new("public", "users")).expect("users");
        relation.constraints[1].validated = false;
        assert!(steps(&catalog, SET).contains("proof"));
    }

    #[test]
    fn partitions_are_locked_with_the_table() {
        let events = catalog(partitioned("events", &[("id", "bigint"), ("kind", "text")]));
        let plan = planned(&events, "ALTER TABLE events ALTER kind SET NOT NULL");
        assert!(plan.steps.iter().skip(1).all(|step| step.locks.len() == 3));
        assert_eq!(plan.statements[0].facts.work.len(), 2);
    }

    #[test]
    fn an_unknown_column_fails() {
        let (code, said) = refused(&users(), "ALTER TABLE users ALTER COLUMN no_such SET NOT NULL");
        assert!(code == Code::WillFail && said.contains("no_such") && said.contains("42703"), "{said}");
    }
}
