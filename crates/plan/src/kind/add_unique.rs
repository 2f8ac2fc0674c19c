//! ADD UNIQUE: unique index CONCURRENTLY, then ADD CONSTRAINT … USING INDEX.

use crate::diagnostic::Refusal;
use crate::effect::Effect;
use crate::kind::{Ctx, Kind, Online};
use crate::plan::Facts;
use crate::sql::ident::{Ident, Name};

/// See the module.
#[derive(Clone, Debug)]
pub struct AddUnique {
    /// Table.
    pub table: Name,
    /// Name: given, or as PostgreSQL would choose it.
    pub name: Ident,
    /// Key columns.
    pub columns: Vec<Ident>,
    /// INCLUDE columns.
    pub include: Vec<Ident>,
    /// NULLS NOT DISTINCT (15+)
    pub nulls_not_distinct: bool,
    /// `WITH (…)` and the index tablespace, as written; empty if none.
    pub storage: String,
    /// DEFERRABLE and INITIALLY clauses, as written; empty if none.
    pub deferrable: String,
    /// `USING INDEX name`: then the rest is empty.
    pub using_index: Option<Ident>,
}

impl Kind for AddUnique {
    fn name(&self) -> &'static str {
        "add_unique"
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
