//! DROP COLUMN: relax, soak, archive, drop.

use crate::diagnostic::Refusal;
use crate::effect::Effect;
use crate::kind::{Ctx, Kind, Online};
use crate::plan::Facts;
use crate::sql::ident::{Ident, Name};

/// See the module.
#[derive(Clone, Debug)]
pub struct DropColumn {
    /// Table.
    pub table: Name,
    /// Column.
    pub column: Ident,
    /// IF EXISTS
    pub if_exists: bool,
    /// CASCADE
    pub cascade: bool,
}

impl Kind for DropColumn {
    fn name(&self) -> &'static str {
        "drop_column"
    }

    fn facts(&self, _ctx: &Ctx) -> Facts {
        todo!()
    }

    fn online(&self, _ctx: &Ctx) -> Result<Online, Refusal> {
        todo!()
    }

    fn effects(&self, ctx: &Ctx) -> Vec<Effect> {
        let exists =
            ctx.logical.relation(&self.table).is_some_and(|table| table.column(&self.column).is_some());
        if !exists {
            return Vec::new();
        }
        vec![Effect::ColumnGone { table: self.table.clone(), column: self.column.clone() }]
    }
}
