//! ADD CHECK: NOT VALID, then VALIDATE, in separate transactions.

use crate::catalog::{Constraint, ConstraintKind};
use crate::diagnostic::Refusal;
use crate::effect::Effect;
use crate::kind::{Ctx, Kind, Online};
use crate::plan::Facts;
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

    fn facts(&self, _ctx: &Ctx) -> Facts {
        todo!()
    }

    fn online(&self, _ctx: &Ctx) -> Result<Online, Refusal> {
        todo!()
    }

    fn effects(&self, _ctx: &Ctx) -> Vec<Effect> {
        vec![Effect::Constraint { table: self.table.clone(), constraint: self.constraint(!self.not_valid) }]
    }
}

impl AddCheck {
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
