//! CREATE INDEX: built CONCURRENTLY; partitioned: ON ONLY, each leaf, ATTACH.

use crate::catalog::Index;
use crate::diagnostic::Refusal;
use crate::effect::Effect;
use crate::kind::{Ctx, Kind, Online};
use crate::plan::Facts;
use crate::sql::ident::Name;

/// See the module.
#[derive(Clone, Debug)]
pub struct CreateIndex {
    /// Table.
    pub table: Name,
    /// The index, named as PostgreSQL would name it.
    pub index: Index,
    /// Everything after `ON table`: `USING btree (a, lower(b)) INCLUDE (c) WHERE d`, as written.
    pub body: String,
    /// IF NOT EXISTS
    pub if_not_exists: bool,
    /// ON ONLY
    pub only: bool,
    /// Written with CONCURRENTLY.
    pub concurrently: bool,
}

impl Kind for CreateIndex {
    fn name(&self) -> &'static str {
        "create_index"
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
