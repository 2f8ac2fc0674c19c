//! What a run tells while it works. The CLI draws it; tests assert on it.

use std::time::Duration;

use concertina_plan::estimate::Expected;
use concertina_plan::plan::{LockClaim, Phase};

/// Receives events. Called from the runner's own task: it must not block.
pub trait Observer: Send + Sync {
    /// One event.
    fn event(&self, event: &Event);
}

/// Hears nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn event(&self, _event: &Event) {}
}

/// Something happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A migration's command begins.
    MigrationStarted {
        /// Migration.
        migration: String,
        /// What is done: "expand", "contract", "undo", "apply --simple".
        command: &'static str,
        /// Steps this command will run.
        steps: usize,
    },
    /// A step begins, or goes on after a restart.
    StepStarted {
        /// Index in the plan (for an undo step: of the step that is undone).
        step: usize,
        /// Phase.
        phase: Phase,
        /// Title.
        title: String,
        /// It was begun by an earlier run.
        resumed: bool,
        /// How long it may take as a whole; `None` for the steps of an undo.
        expected: Option<Expected>,
    },
    /// The step waits. Sent at the start of a wait and about once a second while it lasts.
    Waiting {
        /// Step.
        step: usize,
        /// Why, naming what is waited for: "transaction of pid 4711 (app, idle in transaction for 12 s) holds users".
        reason: String,
        /// Since when.
        since: Duration,
    },
    /// A lock try was given up and will be repeated.
    Retry {
        /// Step.
        step: usize,
        /// Tries so far.
        attempt: u32,
        /// Why: SQLSTATE and message, or "withdrawn: a client waited 180 ms behind us".
        reason: String,
    },
    /// Rows done.
    Progress {
        /// Step.
        step: usize,
        /// Rows written so far by this step, in all runs.
        rows: u64,
        /// Part of the walk that is done, 0 to 1.
        done: f64,
        /// Rows per second, lately.
        rate: f64,
        /// Expected time left.
        eta: Option<Duration>,
    },
    /// Locks held by the step's transaction just before COMMIT (only with [`crate::settings::Settings::observe_locks`]).
    LocksHeld {
        /// Step.
        step: usize,
        /// Strongest mode on each user relation, those that the transaction itself created left out.
        locks: Vec<LockClaim>,
        /// User relations that existed before and whose file was replaced (rewritten) by the transaction.
        rewritten: Vec<String>,
    },
    /// Sessions waited because of us during a try.
    Stalled {
        /// Step.
        step: usize,
        /// How many sessions.
        victims: u32,
        /// Longest wait.
        worst: Duration,
        /// Sum of waits.
        sum: Duration,
    },
    /// The step is done.
    StepDone {
        /// Step.
        step: usize,
        /// Duration in this run.
        took: Duration,
        /// It had been done already: the probe or the ledger said so.
        already: bool,
    },
    /// The migration's command is done.
    MigrationDone {
        /// Migration.
        migration: String,
        /// Duration.
        took: Duration,
    },
    /// Anything else worth a line.
    Note(String),
}
