//! What is online as it stands, and what was allowed: one typed entry a statement.

use crate::diagnostic::Refusal;
use crate::effect::Effect;
use crate::kind::{Ctx, Kind, Online};
use crate::plan::Facts;
use crate::plan::LockClaim;
use crate::plan::Work;

/// See the module.
#[derive(Clone, Debug)]
pub struct AsWritten {
    /// Kind name: `create_function`, `comment`, or the refused kind that was allowed.
    pub kind: &'static str,
    /// The statement.
    pub sql: String,
    /// Locks it takes on existing relations.
    pub locks: Vec<LockClaim>,
    /// Table-sized work.
    pub work: Vec<Work>,
    /// May run in a transaction block.
    pub transaction: bool,
    /// What it does to the catalog.
    pub effects: Vec<Effect>,
    /// Statement that takes it back, where one is certain to (`DROP FUNCTION …` for a new function); else why it cannot be.
    pub undo: Result<String, String>,
}

impl Kind for AsWritten {
    fn name(&self) -> &'static str {
        "as_written"
    }

    fn facts(&self, _ctx: &Ctx) -> Facts {
        Facts {
            locks: self.locks.clone(),
            work: self.work.clone(),
            transaction: self.transaction,
            ..Facts::default()
        }
    }

    fn online(&self, _ctx: &Ctx) -> Result<Online, Refusal> {
        todo!()
    }

    fn effects(&self, _ctx: &Ctx) -> Vec<Effect> {
        self.effects.clone()
    }
}
