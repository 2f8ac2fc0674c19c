//! UPDATE over a whole table: a throttled, resumable backfill where its batches equal the statement.

use crate::diagnostic::Refusal;
use crate::effect::Effect;
use crate::kind::{Ctx, Kind, Online};
use crate::plan::Facts;
use crate::sql::expr::Expr;
use crate::sql::ident::{Ident, Name};

/// See the module.
#[derive(Clone, Debug)]
pub struct UpdateTable {
    /// The statement, for tables made in the same file: there it runs as written.
    pub sql: String,
    /// Table.
    pub table: Name,
    /// Alias under which the expressions see the table; the table's name where none is written.
    pub alias: Ident,
    /// SET, in order.
    pub set: Vec<(Ident, Expr)>,
    /// WHERE
    pub filter: Option<Expr>,
    /// Has FROM, WITH, RETURNING, a multi-column assignment, or ONLY: what, in words.
    pub beyond: Option<String>,
}

impl Kind for UpdateTable {
    fn name(&self) -> &'static str {
        "update_table"
    }

    fn facts(&self, _ctx: &Ctx) -> Facts {
        todo!()
    }

    fn online(&self, _ctx: &Ctx) -> Result<Online, Refusal> {
        todo!()
    }

    fn effects(&self, _ctx: &Ctx) -> Vec<Effect> {
        Vec::new()
    }
}
