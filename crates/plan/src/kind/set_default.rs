//! SET DEFAULT: one short lock.

use crate::diagnostic::Refusal;
use crate::effect::Effect;
use crate::kind::{Ctx, Kind, Online};
use crate::plan::Facts;
use crate::sql::expr::Expr;
use crate::sql::ident::{Ident, Name};

/// See the module.
#[derive(Clone, Debug)]
pub struct SetDefault {
    /// Table.
    pub table: Name,
    /// Column.
    pub column: Ident,
    /// Default.
    pub default: Expr,
}

impl Kind for SetDefault {
    fn name(&self) -> &'static str {
        "set_default"
    }

    fn facts(&self, _ctx: &Ctx) -> Facts {
        todo!()
    }

    fn online(&self, _ctx: &Ctx) -> Result<Online, Refusal> {
        todo!()
    }

    fn effects(&self, _ctx: &Ctx) -> Vec<Effect> {
        vec![Effect::Default {
            table: self.table.clone(),
            column: self.column.clone(),
            default: Some(self.default.text.clone()),
        }]
    }
}
