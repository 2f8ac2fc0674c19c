//! CREATE INDEX: built CONCURRENTLY; partitioned: ON ONLY, each leaf, ATTACH.

use crate::catalog::{Index, Relation, RelationKind};
use crate::ddl;
use crate::diagnostic::Refusal;
use crate::effect::Effect;
use crate::kind::shared::tree;
use crate::kind::shared::will_fail::{self, WillFail};
use crate::kind::{Ctx, Kind, Online};
use crate::pg::lock::LockMode;
use crate::plan::{Facts, WorkKind};
use crate::sql::ident::{Ident, Name};

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

    fn facts(&self, ctx: &Ctx) -> Facts {
        let mode = if self.concurrently { LockMode::ShareUpdateExclusive } else { LockMode::Share };
        let (locks, mut work) = if self.only {
            (tree::lock(ctx.logical, &self.table, mode), Vec::new())
        } else {
            (
                tree::locks(ctx.logical, &self.table, mode),
                tree::work(ctx.logical, &self.table, WorkKind::IndexBuild),
            )
        };
        if self.if_not_exists && ctx.logical.relation_name_taken(&self.name_of(&self.table)) {
            work.clear();
        }
        let mut breaks = Vec::new();
        if self.index.unique {
            breaks.push(format!(
                "code that writes duplicates into {} gets errors (23505) once {} exists",
                self.table, self.index.name
            ));
        }
        Facts {
            locks,
            work,
            transaction: !self.concurrently,
            breaks,
            fails: self.check(ctx).err().map(Into::into),
        }
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

    /// What is certain to make the statement fail. Source: `DefineIndex` in src/backend/commands/indexcmds.c.
    fn check<'a>(&self, ctx: &Ctx<'a>) -> Result<&'a Relation, WillFail> {
        let table = match ctx.logical.relation(&self.table) {
            Some(view) if view.kind == RelationKind::MaterializedView => view,
            _ => will_fail::table(ctx, &self.table)?,
        };
        will_fail::columns(table, &self.index.uses)?;
        let partitioned = table.kind == RelationKind::PartitionedTable;
        if partitioned && self.concurrently {
            return Err(WillFail::new(
                "0A000",
                format!("CREATE INDEX CONCURRENTLY does not work on partitioned table {}", self.table),
                "leave CONCURRENTLY out: the plan builds each partition's index concurrently and attaches it",
            ));
        }
        if partitioned && self.index.unique {
            let plain: Vec<Ident> = self.index.columns.iter().flatten().cloned().collect();
            will_fail::unique_covers_partition_key(ctx, table, &plain)?;
        }
        let name = self.name_of(&self.table);
        if !self.if_not_exists && ctx.logical.relation_name_taken(&name) {
            let invalid = ctx.logical.index(&name).is_some_and(|(_, index)| !index.valid);
            return Err(WillFail::new(
                "42P07",
                format!("relation {name} exists already{}", if invalid { " (an INVALID index)" } else { "" }),
                "choose another name; IF NOT EXISTS accepts an equal index, and replaces an INVALID one",
            ));
        }
        Ok(table)
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
