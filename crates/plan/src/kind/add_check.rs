//! ADD CHECK: NOT VALID, then VALIDATE, in separate transactions.

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
        todo!()
    }
}
