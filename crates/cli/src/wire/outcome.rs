//! What commands that change something answer: `concertina.outcome`, `concertina.init`, `concertina.new`.

use concertina_run::engine::Outcome;
use concertina_run::state::MigrationState;
use schemars::JsonSchema;
use serde::Serialize;

use super::Document;
use super::status::State;

/// What `expand`, `contract`, `apply` or `undo` did.
#[derive(Debug, Serialize, JsonSchema)]
pub struct OutcomeDocument {
    /// The command.
    pub command: String,
    /// Migrations that were moved forward, or back by undo, in order.
    pub moved: Vec<Moved>,
    /// Steps that were executed; those found done already are not counted.
    pub steps: usize,
    /// Migrations that wait for something, and for what.
    pub waiting: Vec<Waiting>,
}

impl Document for OutcomeDocument {
    const FORMAT: &'static str = "concertina.outcome";
}

/// A migration that was moved.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Moved {
    /// File name without `.sql`.
    pub name: String,
    /// Where it stands now.
    pub state: State,
}

/// A migration that waits.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Waiting {
    /// File name without `.sql`.
    pub name: String,
    /// For what, in words.
    pub reason: String,
}

/// What `init` did.
#[derive(Debug, Serialize, JsonSchema)]
pub struct InitDocument {
    /// Path of the configuration file.
    pub config: String,
    /// It was written; otherwise it was there.
    pub config_written: bool,
    /// Path of the migrations folder.
    pub migrations: String,
    /// It was made; otherwise it was there.
    pub migrations_made: bool,
    /// The ledger is in the database now; false when no database was named.
    pub ledger: bool,
}

impl Document for InitDocument {
    const FORMAT: &'static str = "concertina.init";
}

/// The file that `new` made.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CreatedDocument {
    /// Migration: file name without `.sql`.
    pub name: String,
    /// Path.
    pub path: String,
}

impl Document for CreatedDocument {
    const FORMAT: &'static str = "concertina.new";
}

impl OutcomeDocument {
    /// `state` looks a migration's state up; one that the ledger does not know any more is pending.
    pub(crate) fn new(
        command: &str,
        outcome: &Outcome,
        state: impl Fn(&str) -> Option<MigrationState>,
    ) -> Self {
        let moved = outcome.moved.iter().map(|name| Moved {
            name: name.clone(),
            state: state(name).unwrap_or(MigrationState::Pending).into(),
        });
        let waiting = outcome
            .waiting
            .iter()
            .map(|(name, reason)| Waiting { name: name.clone(), reason: reason.clone() });
        Self {
            command: command.to_owned(),
            moved: moved.collect(),
            steps: outcome.steps,
            waiting: waiting.collect(),
        }
    }
}
