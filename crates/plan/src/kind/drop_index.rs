//! DROP INDEX: CONCURRENTLY, at contract.

use crate::diagnostic::Refusal;
use crate::effect::Effect;
use crate::kind::{Ctx, Kind, Online};
use crate::plan::Facts;
use crate::sql::ident::Name;

/// See the module.
#[derive(Clone, Debug)]
pub struct DropIndex {
    /// Index.
    pub index: Name,
    /// IF EXISTS
    pub if_exists: bool,
    /// CASCADE
    pub cascade: bool,
    /// Written with CONCURRENTLY.
    pub concurrently: bool,
}

impl Kind for DropIndex {
    fn name(&self) -> &'static str {
        "drop_index"
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
