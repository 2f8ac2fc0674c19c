//! DROP INDEX: CONCURRENTLY, at contract.

use crate::ddl;
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

    fn effects(&self, ctx: &Ctx) -> Vec<Effect> {
        let Some((table, index)) = ctx.logical.index(&self.index) else { return Vec::new() };
        let own = Effect::IndexGone { table: table.name.clone(), index: index.name.clone() };
        let below = ddl::index::attached(ctx.logical, table, index)
            .into_iter()
            .map(|(table, index)| Effect::IndexGone { table: table.name.clone(), index: index.name.clone() });
        std::iter::once(own).chain(below).collect()
    }
}
