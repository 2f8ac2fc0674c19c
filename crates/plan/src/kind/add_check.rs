//! ADD CHECK: NOT VALID, then VALIDATE, in separate transactions.

use crate::catalog::{Constraint, ConstraintKind, Relation, RelationKind};
use crate::diagnostic::Refusal;
use crate::effect::Effect;
use crate::kind::shared::tree;
use crate::kind::shared::will_fail::{self, WillFail};
use crate::kind::{Ctx, Kind, Online};
use crate::pg::lock::LockMode;
use crate::plan::{Facts, WorkKind};
use crate::sql::expr::Expr;
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
        let locks = tree::locks(ctx.logical, &self.table, LockMode::AccessExclusive);
        let work = tree::work(ctx.logical, &self.table, WorkKind::Scan);
        Facts {
            locks,
            work: if self.not_valid { Vec::new() } else { work },
            transaction: true,
            breaks: vec![format!(
                "code that writes rows against {} into {} gets errors (23514) from then on",
                self.name, self.table
            )],
            fails: self.check(ctx).err().map(Into::into),
        }
    }

    fn online(&self, _ctx: &Ctx) -> Result<Online, Refusal> {
        todo!()
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
}
