//! What the ledger knows, as plain data for `status` and `history`.

use concertina_plan::plan::{Claim, Phase, Plan};
use serde::Serialize;

use crate::ledger::EstimateRow;
use crate::quarantine::Summary;

/// A migration file as given to the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationFile {
    /// File name without `.sql`: `0001_users`, `20261121103000_users`.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Where a migration stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MigrationState {
    /// Not in the ledger.
    Pending,
    /// Expand, backfill or validate is under way or was interrupted.
    Expanding,
    /// Old and new code both work; contract may follow.
    Expanded,
    /// The same, and what keeps its name has its new type; contract may follow. The ledger has it as expanded.
    Switched,
    /// Contract is under way or was interrupted.
    Contracting,
    /// Finished.
    Done,
    /// Undo is under way or was interrupted.
    Undoing,
    /// Taken back; it counts as not applied.
    Undone,
}

/// A migration with its steps.
#[derive(Clone, Debug, Serialize)]
pub struct MigrationStatus {
    /// Name.
    pub name: String,
    /// State.
    pub state: MigrationState,
    /// It ran by `apply --simple`.
    pub simple: bool,
    /// It was recorded as applied by `baseline`, and did not run here.
    pub baseline: bool,
    /// SHA-256 of the file that was planned or accepted; `None` while pending, and where the file is accepted to be gone.
    pub checksum: Option<String>,
    /// When it was first run, RFC 3339.
    pub started_at: Option<String>,
    /// When it reached its present state.
    pub changed_at: Option<String>,
    /// Role that ran it last.
    pub by: Option<String>,
    /// Steps; empty while pending, simple or of the baseline.
    pub steps: Vec<StepStatus>,
    /// Last error, if it stopped with one.
    pub error: Option<String>,
    /// What blocks the next phase now, in words.
    pub blocked_by: Vec<String>,
    /// What it claims against others while it is in flight; empty otherwise.
    pub claims: Vec<Claim>,
    /// Updates of rows since expand that gave a column and its second name different values, one entry a pair; empty once contracted or
    /// undone.
    pub double_writes: Vec<DoubleWrites>,
    /// Rows that were written while a value could not be computed, and still wait for it, one entry a column.
    pub quarantine: Vec<Summary>,
    /// The stored plan.
    #[serde(skip)]
    pub plan: Option<Plan>,
}

impl MigrationStatus {
    /// It is expanded, and steps of its switch are to come.
    pub fn waits_for_switch(&self) -> bool {
        let open = |step: &StepStatus| step.phase == Phase::Switch && step.state != StepState::Done;
        self.state == MigrationState::Expanded && self.steps.iter().any(open)
    }
}

/// How often an update of a row gave two columns of one value different values. One that was rolled back counts too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DoubleWrites {
    /// Table, qualified and quoted.
    pub table: String,
    /// Column that old code writes.
    pub old: String,
    /// Column that new code writes, whose value was kept.
    pub new: String,
    /// How often.
    pub count: u64,
}

/// A step's row in the ledger.
#[derive(Clone, Debug, Serialize)]
pub struct StepStatus {
    /// Index in the plan, from 1.
    pub step: usize,
    /// Phase.
    pub phase: Phase,
    /// Title.
    pub title: String,
    /// State.
    pub state: StepState,
    /// Tries.
    pub attempts: u32,
    /// Rows written, for a backfill.
    pub rows: Option<u64>,
    /// Seconds from first start to end (or now).
    pub seconds: Option<f64>,
    /// Sum of milliseconds that other sessions waited because of it.
    pub victim_ms: f64,
    /// What was expected of it when a command that runs it first began, and what it took by the journal.
    #[serde(skip)]
    pub estimate: Option<EstimateRow>,
    /// Error of the last try.
    pub error: Option<String>,
}

/// State of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Not begun.
    Pending,
    /// Begun.
    Running,
    /// Done.
    Done,
    /// The last try failed.
    Failed,
    /// Taken back.
    Undone,
}

/// A line of the append-only event log.
#[derive(Clone, Debug, Serialize)]
pub struct HistoryEntry {
    /// RFC 3339.
    pub at: String,
    /// Migration.
    pub migration: Option<String>,
    /// `expand_started`, `step_done`, …
    pub event: String,
    /// In words.
    pub message: String,
    /// Role.
    pub by: String,
}
