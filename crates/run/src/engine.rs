//! The door to everything that touches the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use concertina_plan::catalog::Catalog;
use concertina_plan::plan::Plan;
use concertina_plan::policy::Policy;

use crate::error::Error;
use crate::event::Observer;
use crate::settings::Settings;
use crate::state::{HistoryEntry, MigrationFile, MigrationStatus};

/// Asks a run to stop at the next safe point. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Asks.
    pub fn request(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether it was asked.
    pub fn requested(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// What a command did.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Migrations moved forward (or back, by undo), in order.
    pub moved: Vec<String>,
    /// Steps executed (not skipped as already done).
    pub steps: usize,
    /// Migrations that wait for a later command, with the reason.
    pub waiting: Vec<(String, String)>,
}

/// How `contract` and `apply` may go.
#[derive(Clone, Copy, Debug, Default)]
pub struct Confirm {
    /// `--yes`: data may be removed.
    pub destroy: bool,
}

/// A connection's worth of Concertina.
pub struct Engine {
    // target, settings, policy, observer, stop
}

impl Engine {
    /// Connects, checks server version, standby and pooler. Does not create the ledger.
    ///
    /// # Errors
    /// [`Error::Connection`], [`Error::Unsupported`].
    pub async fn connect(
        target: crate::connect::Target,
        settings: Settings,
        policy: Policy,
        observer: Arc<dyn Observer>,
        stop: Stop,
    ) -> Result<Self, Error> {
        todo!()
    }

    /// Creates or upgrades the ledger schema. Idempotent.
    pub async fn init(&self) -> Result<(), Error> {
        todo!()
    }

    /// Physical and logical catalog: the server now, and as it will be once everything in flight is contracted.
    pub async fn catalogs(&self) -> Result<(Catalog, Catalog), Error> {
        todo!()
    }

    /// Plans one file on the live catalog: read-only, works without a ledger. For a migration that already runs, its stored plan.
    pub async fn plan(&self, file: &MigrationFile) -> Result<Plan, Error> {
        todo!()
    }

    /// Expand, backfill and validate: all unapplied files in order up to the first refusal, or only `only`.
    pub async fn expand(&self, files: &[MigrationFile], only: Option<&str>) -> Result<Outcome, Error> {
        todo!()
    }

    /// Contract all expanded migrations, oldest first, or only `only`.
    pub async fn contract(
        &self,
        files: &[MigrationFile],
        only: Option<&str>,
        confirm: Confirm,
    ) -> Result<Outcome, Error> {
        todo!()
    }

    /// Expand and contract, file after file, as far as gates allow.
    pub async fn apply(&self, files: &[MigrationFile], confirm: Confirm) -> Result<Outcome, Error> {
        todo!()
    }

    /// Run the unapplied files as written, one transaction a file where legal, recorded in the ledger.
    pub async fn apply_simple(&self, files: &[MigrationFile]) -> Result<Outcome, Error> {
        todo!()
    }

    /// Back out to the start, from any phase. Without a name there must be exactly one candidate.
    pub async fn undo(&self, only: Option<&str>) -> Result<Outcome, Error> {
        todo!()
    }

    /// Every known and every given migration, in order of name.
    pub async fn status(&self, files: &[MigrationFile]) -> Result<Vec<MigrationStatus>, Error> {
        todo!()
    }

    /// The event log, oldest first.
    pub async fn history(&self) -> Result<Vec<HistoryEntry>, Error> {
        todo!()
    }
}
