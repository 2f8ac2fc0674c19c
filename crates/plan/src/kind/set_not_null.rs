//! SET NOT NULL: proven by a validated CHECK (18+: NOT NULL … NOT VALID), so that no scan happens under the strong lock.

use crate::diagnostic::Refusal;
use crate::effect::Effect;
use crate::kind::shared::not_null;
use crate::kind::{Ctx, Kind, Online};
use crate::plan::Facts;
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

    fn facts(&self, _ctx: &Ctx) -> Facts {
        todo!()
    }

    fn online(&self, _ctx: &Ctx) -> Result<Online, Refusal> {
        todo!()
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
