//! CREATE INDEX: built CONCURRENTLY; partitioned: ON ONLY, each leaf, ATTACH.

use crate::catalog::{Index, RelationKind};
use crate::ddl;
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

    fn effects(&self, ctx: &Ctx) -> Vec<Effect> {
        if self.if_not_exists && ctx.logical.relation_name_taken(&self.name_of(&self.table)) {
            return Vec::new();
        }
        let own = Effect::Index {
            table: self.table.clone(),
            index: Index { valid: !self.only || self.leaf(ctx), ..self.index.clone() },
        };
        let below = self
            .branches(ctx)
            .into_iter()
            .map(|branch| Effect::Index { table: branch.table, index: branch.index });
        std::iter::once(own).chain(below).collect()
    }
}

impl CreateIndex {
    fn name_of(&self, table: &Name) -> Name {
        table.sibling(self.index.name.clone())
    }

    /// The table has no partitions, so that its index is one index.
    fn leaf(&self, ctx: &Ctx) -> bool {
        ctx.logical.relation(&self.table).is_none_or(|table| table.kind != RelationKind::PartitionedTable)
    }

    fn branches(&self, ctx: &Ctx) -> Vec<ddl::index::Branch> {
        if self.only {
            return Vec::new();
        }
        let columns = ddl::index::column_names(&self.index);
        ddl::index::branches(ctx.logical, &self.table, &self.index, &columns, "idx")
    }
}
