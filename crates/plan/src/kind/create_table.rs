//! CREATE TABLE: runs as written; its indexes and constraints meet an empty table.

use std::iter;

use crate::catalog::{Relation, Sequence};
use crate::diagnostic::Refusal;
use crate::effect::Effect;
use crate::kind::{Ctx, Kind, Online};
use crate::plan::Facts;
use crate::sql::ident::Name;

/// See the module.
#[derive(Clone, Debug)]
pub struct CreateTable {
    /// The statement.
    pub sql: String,
    /// The table it makes: columns (serial and identity included), constraints and indexes with the names PostgreSQL gives them.
    pub relation: Relation,
    /// Sequences of serial and identity columns.
    pub sequences: Vec<Sequence>,
    /// Existing tables that its foreign keys reference.
    pub references: Vec<Name>,
    /// IF NOT EXISTS
    pub if_not_exists: bool,
}

impl Kind for CreateTable {
    fn name(&self) -> &'static str {
        "create_table"
    }

    fn facts(&self, _ctx: &Ctx) -> Facts {
        todo!()
    }

    fn online(&self, _ctx: &Ctx) -> Result<Online, Refusal> {
        todo!()
    }

    fn effects(&self, ctx: &Ctx) -> Vec<Effect> {
        if self.exists(ctx) {
            return Vec::new();
        }
        let relation = Relation { new_here: true, ..self.relation.clone() };
        let sequences = self.sequences.iter().cloned().map(Effect::Sequence);
        iter::once(Effect::Relation(Box::new(relation))).chain(sequences).collect()
    }
}

impl CreateTable {
    fn exists(&self, ctx: &Ctx) -> bool {
        ctx.logical.relation_name_taken(&self.relation.name)
    }
}
