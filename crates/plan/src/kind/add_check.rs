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
