//! DROP NOT NULL: loosens, at once.

use crate::diagnostic::Refusal;
use crate::effect::Effect;
use crate::kind::{Ctx, Kind, Online};
use crate::plan::Facts;
use crate::sql::ident::{Ident, Name};

/// See the module.
#[derive(Clone, Debug)]
pub struct DropNotNull {
    /// Table.
    pub table: Name,
    /// Column.
    pub column: Ident,
}

impl Kind for DropNotNull {
    fn name(&self) -> &'static str {
        "drop_not_null"
    }

    fn facts(&self, _ctx: &Ctx) -> Facts {
        todo!()
    }

    fn online(&self, _ctx: &Ctx) -> Result<Online, Refusal> {
        todo!()
    }

    fn effects(&self, _ctx: &Ctx) -> Vec<Effect> {
        vec![Effect::NotNull { table: self.table.clone(), column: self.column.clone(), not_null: None }]
    }
}
