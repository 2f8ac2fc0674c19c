//! ADD CHECK: NOT VALID, then VALIDATE, in separate transactions.
//!
//! A CHECK over columns that running code writes is proven in validate and enforced in contract.

use crate::catalog::{Constraint, ConstraintKind, Relation, RelationKind};
use crate::diagnostic::{Code, Refusal};
use crate::effect::Effect;
use crate::kind::shared::not_valid::NotValid;
use crate::kind::shared::tighten::{self, OldValue, OldWriters, Timing};
use crate::kind::shared::tree;
use crate::kind::shared::will_fail::{self, WillFail};
use crate::kind::{Ctx, Kind, Online};
use crate::pg::lock::LockMode;
use crate::plan::{Facts, Phase, Step, WorkKind};
use crate::sql::expr::{Expr, NullWhen};
use crate::sql::ident::{Ident, Name};

/// See the module.
#[derive(Clone, Debug)]
pub struct AddCheck {
    /// Table.
    pub table: Name,
    /// Name: given, or as PostgreSQL would choose it.
    pub name: Ident,
    /// The expression inside the parentheses.
    pub expr: Expr,
    /// NO INHERIT
    pub no_inherit: bool,
    /// Written NOT VALID: then it stays so.
    pub not_valid: bool,
}

impl Kind for AddCheck {
    fn name(&self) -> &'static str {
        "add_check"
    }

    fn facts(&self, ctx: &Ctx) -> Facts {
        let work = tree::work(ctx.logical, &self.table, WorkKind::Scan);
        Facts {
            locks: tree::locks(ctx.logical, &self.table, LockMode::AccessExclusive),
            work: if self.not_valid { Vec::new() } else { work },
            transaction: true,
            breaks: vec![format!(
                "code that writes rows against {} into {} gets errors (23514) from then on",
                self.name, self.table
            )],
            fails: self.check(ctx).err().map(Into::into),
        }
    }

    fn online(&self, ctx: &Ctx) -> Result<Online, Refusal> {
        let table = self.check(ctx)?;
        self.inherited(ctx, table)?;
        let constraint = self.constraint(true);
        let strong = tree::locks(ctx.logical, &self.table, LockMode::AccessExclusive);
        let steps = NotValid {
            table: &self.table,
            constraint: &constraint,
            add: strong.clone(),
            validate: tree::locks(ctx.logical, &self.table, LockMode::ShareUpdateExclusive),
            drop: strong,
            work: tree::work(ctx.logical, &self.table, WorkKind::Scan),
        };
        let mut online = Online::default();
        let (old, defaults) = self.old_writers(ctx, table);
        let timing = tighten::timing(ctx, table, &constraint.columns, old);
        let phase = timing.phase();
        let what = format!("CHECK {} on {}", self.name, self.table);
        online.notices.extend(timing.notice(&what));
        if self.not_valid {
            online.steps.push(steps.add(phase));
            return Ok(online);
        }
        if timing == Timing::AsWritten {
            online.steps.push(steps.at_once(phase, "the table is new: there is nothing to scan"));
            return Ok(online);
        }
        if timing == Timing::Satisfied && defaults {
            online.steps.push(self.prove_defaults(ctx, table, &what));
        }
        if timing.needs_proof() {
            let query = tighten::violators(table, &format!("NOT ({})", self.expr.text));
            let violation = format!("rows of {} that break CHECK {}", self.table, self.name);
            online.steps.push(tighten::proof(&self.table, &what, query, violation));
        }
        online.steps.push(steps.add(phase));
        online.steps.push(steps.validate(phase));
        Ok(online)
    }

    fn effects(&self, _ctx: &Ctx) -> Vec<Effect> {
        vec![Effect::Constraint { table: self.table.clone(), constraint: self.constraint(!self.not_valid) }]
    }
}

impl AddCheck {
    /// What is certain to make the statement fail. Source: `AddRelationNewConstraints` in src/backend/catalog/heap.c.
    fn check<'a>(&self, ctx: &Ctx<'a>) -> Result<&'a Relation, WillFail> {
        let table = will_fail::table(ctx, &self.table)?;
        will_fail::columns(table, self.expr.columns.iter().map(|reference| &reference.column))?;
        will_fail::constraint_name_free(table, &self.name)?;
        if self.expr.subquery {
            return Err(WillFail::new(
                "0A000",
                format!("CHECK {} holds a subquery", self.name),
                "put the query into a function or a trigger",
            ));
        }
        if self.no_inherit && table.kind == RelationKind::PartitionedTable {
            return Err(WillFail::new(
                "42P16",
                format!("a CHECK of partitioned table {} cannot be NO INHERIT", self.table),
                "leave NO INHERIT out",
            ));
        }
        Ok(table)
    }

    /// Refuses what would be merged into constraints that children have already.
    fn inherited(&self, ctx: &Ctx, table: &Relation) -> Result<(), Refusal> {
        if table.inherits && !self.no_inherit {
            return Err(Refusal::new(
                Code::NotYet,
                format!("{} has parents or children by inheritance, which get the CHECK too", self.table),
                "add it NO INHERIT to each of the tables, or `allow not-yet` to run it as written",
            ));
        }
        let partition = ctx.logical.tree(&self.table).into_iter().skip(1);
        match partition.into_iter().find(|partition| partition.constraint(&self.name).is_some()) {
            None => Ok(()),
            Some(partition) => Err(Refusal::new(
                Code::NotYet,
                format!("partition {} has a constraint {} already", partition.name, self.name),
                "choose another name, or drop the partition's constraint first",
            )),
        }
    }

    /// The constraint as the catalog will show it. Source for the order of `conkey`: `StoreRelCheck` in
    /// src/backend/catalog/heap.c.
    fn constraint(&self, validated: bool) -> Constraint {
        let mut columns = Vec::new();
        for reference in &self.expr.columns {
            if !columns.contains(&reference.column) {
                columns.push(reference.column.clone());
            }
        }
        let inherit = if self.no_inherit { " NO INHERIT" } else { "" };
        Constraint {
            name: self.name.clone(),
            kind: ConstraintKind::Check,
            columns,
            definition: format!("CHECK ({}){inherit}", self.expr.text),
            validated,
            deferrable: false,
            inherited: false,
        }
    }

    /// What code that does not name the columns writes, and whether it takes a proof over literal defaults.
    fn old_writers(&self, ctx: &Ctx, table: &Relation) -> (OldWriters, bool) {
        let mut defaults = false;
        for reference in &self.expr.columns {
            match tighten::old_value(ctx, table, &reference.column) {
                OldValue::Null => {}
                OldValue::Constant(_) => defaults = true,
                OldValue::Unknown => return (OldWriters::MayBreak, false),
            }
        }
        if defaults || self.null_passes() {
            (OldWriters::Satisfy, defaults)
        } else {
            (OldWriters::MayBreak, false)
        }
    }

    /// The expression is NULL, which a CHECK lets pass, when all its columns are: it is made of operators that are NULL on
    /// NULL, and of nothing that turns NULL into something else.
    fn null_passes(&self) -> bool {
        let text = self.expr.text.to_uppercase();
        let mut words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
        let catches = ["NULL", "ISNULL", "NOTNULL", "IS", "CASE", "COALESCE", "DISTINCT", "UNKNOWN"];
        self.expr.functions.is_empty()
            && !self.expr.whole_row
            && matches!(&self.expr.null_when, NullWhen::AnyOf(columns) if !columns.is_empty())
            && !words.any(|word| catches.contains(&word))
    }

    /// Evaluates the CHECK over the defaults: the row that old writers write, as far as the CHECK sees it.
    fn prove_defaults(&self, ctx: &Ctx, table: &Relation, what: &str) -> Step {
        let row = self.expr.rewrite(|name| {
            let data_type = table.column(name).map_or("text", |column| column.data_type.as_str());
            match tighten::old_value(ctx, table, name) {
                OldValue::Constant(value) => format!("(({value})::{data_type})"),
                OldValue::Null | OldValue::Unknown => format!("(NULL::{data_type})"),
            }
        });
        let mut step = tighten::proof(
            &self.table,
            what,
            format!("SELECT 'the defaults' AS row WHERE NOT ({row})"),
            format!("rows of {} that old code writes, with the columns' defaults", self.table),
        );
        step.title = format!("Prove that the columns' defaults satisfy {what}");
        "code that does not know the columns writes their defaults".clone_into(&mut step.why);
        step.phase = Phase::Validate;
        step.work.clear();
        step
    }
}

#[cfg(test)]
mod tests {
    use crate::diagnostic::Code;
    use crate::kind::shared::proving::{catalog, plan};
    use crate::kind::shared::testing::{refused, show};
    use crate::pg::lock::LockMode;
    use crate::plan::Phase;

    const USERS: &str = "CREATE TABLE users (id bigint PRIMARY KEY, \"Age\" int)";

    #[test]
    fn proven_then_enforced_in_two_transactions() {
        let plan = plan(&catalog(USERS), "ALTER TABLE users ADD CONSTRAINT sane CHECK (users.\"Age\" > 0)");
        assert_eq!(
            show(&plan),
            "validate, proof: SELECT users.id::text AS id FROM ONLY public.users WHERE NOT (users.\"Age\" > 0) LIMIT 5\n\
             contract: ALTER TABLE public.users ADD CONSTRAINT sane CHECK (users.\"Age\" > 0) NOT VALID\n\
             contract, long: ALTER TABLE public.users VALIDATE CONSTRAINT sane\n"
        );
        assert_eq!(plan.steps[1].locks[0].mode, LockMode::AccessExclusive);
        assert_eq!(plan.steps[2].locks[0].mode, LockMode::ShareUpdateExclusive);
    }

    #[test]
    fn written_not_valid_it_stays_so() {
        let plan = plan(&catalog(USERS), "ALTER TABLE users ADD CONSTRAINT c CHECK (id > 0) NOT VALID");
        assert_eq!(
            show(&plan),
            "contract: ALTER TABLE public.users ADD CONSTRAINT c CHECK (id > 0) NOT VALID\n"
        );
    }

    #[test]
    fn over_a_new_column_it_comes_before_contract_where_old_writers_satisfy_it() {
        for (column, check, phase) in [
            ("level int DEFAULT 1", "level < 10", Phase::Validate),
            ("level int", "level < 10", Phase::Validate),
            ("level int", "level IS NOT NULL", Phase::Contract),
            ("level int DEFAULT random()", "level < 10", Phase::Contract),
            ("level int DEFAULT 1", "level < id", Phase::Contract),
        ] {
            let sql = format!(
                "ALTER TABLE users ADD COLUMN {column}; ALTER TABLE users ADD CONSTRAINT c CHECK ({check})"
            );
            let plan = plan(&catalog(USERS), &sql);
            let add =
                plan.steps.iter().find(|step| step.title.starts_with("Add CHECK")).expect("it is added");
            assert_eq!(add.phase, phase, "{sql}\n{}", show(&plan));
        }
    }

    #[test]
    fn defaults_are_put_to_the_test() {
        let sql =
            "ALTER TABLE users ADD COLUMN level int DEFAULT 1; ALTER TABLE users ADD CHECK (level < 10)";
        let shown = show(&plan(&catalog(USERS), sql));
        let proof = "validate, proof: SELECT 'the defaults' AS row WHERE NOT (((1)::integer) < 10)\n";
        assert!(shown.contains(proof), "{shown}");
    }

    #[test]
    fn enforced_now_somebody_may_feel_it() {
        let sql = "-- concertina: enforce-now reason: checked\nALTER TABLE users ADD CHECK (id > 0)";
        let plan = plan(&catalog(USERS), sql);
        assert!(plan.steps.iter().all(|step| step.phase == Phase::Validate));
        assert!(plan.notices.iter().any(|notice| notice.code == Code::Breaks));
    }

    #[test]
    fn certain_failures() {
        for (sql, word) in [
            ("ALTER TABLE users ADD CHECK (nothing > 0)", "42703"),
            ("ALTER TABLE users ADD CONSTRAINT users_pkey CHECK (id > 0)", "42710"),
            ("ALTER TABLE users ADD CHECK (id IN (SELECT 1))", "0A000"),
        ] {
            let (code, said) = refused(&catalog(USERS), sql);
            assert!(code == Code::WillFail && said.contains(word), "{sql}: {said}");
        }
    }
}
