//! `concertina.status`: where every migration stands.

use concertina_run::state::{MigrationState, MigrationStatus, StepState as InternalStepState, StepStatus};
use schemars::JsonSchema;
use serde::Serialize;

use super::estimate::KeptEstimate;
use super::{Blocks, Document, Phase};

/// Where every migration stands, in order.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StatusDocument {
    /// Migrations of the folder and of the ledger.
    pub migrations: Vec<Migration>,
}

impl Document for StatusDocument {
    const FORMAT: &'static str = "concertina.status";
}

/// One migration.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Migration {
    /// File name without `.sql`.
    pub name: String,
    /// Where it stands.
    pub state: State,
    /// It ran by `apply --simple`, as written.
    pub simple: bool,
    /// It was recorded as applied by `baseline`, and did not run here.
    pub baseline: bool,
    /// SHA-256 of the file that was planned, or accepted since; absent while pending, and where the file is accepted to be gone.
    pub checksum: Option<String>,
    /// When it was first run, RFC 3339.
    pub started_at: Option<String>,
    /// When it reached its present state, RFC 3339.
    pub changed_at: Option<String>,
    /// Role that ran it last.
    pub by: Option<String>,
    /// Error that it stopped with.
    pub error: Option<String>,
    /// What blocks its next phase now, in words.
    pub blocked_by: Vec<String>,
    /// What it claims against other migrations while it is in flight; empty otherwise.
    pub claims: Vec<Claim>,
    /// Updates of rows since expand that gave a column and its second name different values, one entry a pair of columns; empty once it is
    /// contracted or undone.
    pub double_writes: Vec<DoubleWrites>,
    /// Rows that were written while a value could not be computed, and still wait for it, one entry a column; empty once it is
    /// contracted or undone.
    pub quarantine: Vec<Quarantine>,
    /// Its steps; empty while pending, and after `apply --simple` and `baseline`.
    pub steps: Vec<Step>,
}

/// What a migration in flight claims. Two migrations are not in flight together where their claims overlap.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Claim {
    /// Relation, qualified and quoted.
    pub relation: String,
    /// Column, as the catalog spells it; absent where the relation as a whole is meant.
    pub column: Option<String>,
    /// It is changed; otherwise it is relied upon.
    pub write: bool,
}

/// How often an update of a row gave two columns of one value different values. One that was rolled back counts too, and a crash of the
/// server may add up to 32.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DoubleWrites {
    /// Table, qualified and quoted.
    pub table: String,
    /// Column that old code writes, as the catalog spells it.
    pub old: String,
    /// Column that new code writes, whose value was kept.
    pub new: String,
    /// How often.
    pub count: u64,
}

/// Rows in quarantine that have no value of a column.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Quarantine {
    /// Table, qualified and quoted.
    pub table: String,
    /// Column, as the catalog spells it.
    pub column: String,
    /// The command that does not go on without them.
    pub blocks: Blocks,
    /// How many; of a table without a key one stands for all.
    pub rows: usize,
    /// A few of them, in words.
    pub examples: Vec<String>,
}

/// Where a migration stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Not begun.
    Pending,
    /// Expand, backfill or validate is under way or was interrupted.
    Expanding,
    /// Old and new code both work; contract may follow.
    Expanded,
    /// The same, and what changes its type has the new one; contract may follow.
    Switched,
    /// Contract is under way or was interrupted.
    Contracting,
    /// Finished.
    Done,
    /// Undo is under way or was interrupted.
    Undoing,
    /// Taken back: counts as not applied.
    Undone,
}

/// One step.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Step {
    /// Number in the plan, from 1.
    pub step: usize,
    /// Phase.
    pub phase: Phase,
    /// What it does, in words.
    pub title: String,
    /// Where it stands.
    pub state: StepState,
    /// How often it was tried.
    pub attempts: u32,
    /// Rows written, for a backfill.
    pub rows: Option<u64>,
    /// Seconds from its first start to its end, or to now.
    pub seconds: Option<f64>,
    /// Sum of the milliseconds that other sessions waited because of it.
    pub victim_ms: f64,
    /// What was expected of it, beside what it took; absent while no command has come to it.
    pub estimate: Option<KeptEstimate>,
    /// Error of the last try.
    pub error: Option<String>,
}

/// Where a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
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

impl From<&[MigrationStatus]> for StatusDocument {
    fn from(migrations: &[MigrationStatus]) -> Self {
        Self { migrations: migrations.iter().map(Migration::from).collect() }
    }
}

impl From<&MigrationStatus> for Migration {
    fn from(status: &MigrationStatus) -> Self {
        Self {
            name: status.name.clone(),
            state: status.state.into(),
            simple: status.simple,
            baseline: status.baseline,
            checksum: status.checksum.clone(),
            started_at: status.started_at.clone(),
            changed_at: status.changed_at.clone(),
            by: status.by.clone(),
            error: status.error.clone(),
            blocked_by: status.blocked_by.clone(),
            claims: status.claims.iter().map(Claim::from).collect(),
            double_writes: status.double_writes.iter().map(DoubleWrites::from).collect(),
            quarantine: status.quarantine.iter().map(Quarantine::from).collect(),
            steps: status.steps.iter().map(Step::from).collect(),
        }
    }
}

impl From<&concertina_plan::plan::Claim> for Claim {
    fn from(claim: &concertina_plan::plan::Claim) -> Self {
        Self {
            relation: claim.relation.to_string(),
            column: claim.column.as_ref().map(|column| column.as_str().to_owned()),
            write: claim.write,
        }
    }
}

impl From<&concertina_run::state::DoubleWrites> for DoubleWrites {
    fn from(counted: &concertina_run::state::DoubleWrites) -> Self {
        Self {
            table: counted.table.clone(),
            old: counted.old.clone(),
            new: counted.new.clone(),
            count: counted.count,
        }
    }
}

impl From<&concertina_run::quarantine::Summary> for Quarantine {
    fn from(summary: &concertina_run::quarantine::Summary) -> Self {
        Self {
            table: summary.table.clone(),
            column: summary.column.clone(),
            blocks: summary.blocks.into(),
            rows: summary.rows,
            examples: summary.examples.clone(),
        }
    }
}

impl From<MigrationState> for State {
    fn from(state: MigrationState) -> Self {
        match state {
            MigrationState::Pending => Self::Pending,
            MigrationState::Expanding => Self::Expanding,
            MigrationState::Expanded => Self::Expanded,
            MigrationState::Switched => Self::Switched,
            MigrationState::Contracting => Self::Contracting,
            MigrationState::Done => Self::Done,
            MigrationState::Undoing => Self::Undoing,
            MigrationState::Undone => Self::Undone,
        }
    }
}

impl From<InternalStepState> for StepState {
    fn from(state: InternalStepState) -> Self {
        match state {
            InternalStepState::Pending => Self::Pending,
            InternalStepState::Running => Self::Running,
            InternalStepState::Done => Self::Done,
            InternalStepState::Failed => Self::Failed,
            InternalStepState::Undone => Self::Undone,
        }
    }
}

impl From<&StepStatus> for Step {
    fn from(step: &StepStatus) -> Self {
        Self {
            step: step.step,
            phase: step.phase.into(),
            title: step.title.clone(),
            state: step.state.into(),
            attempts: step.attempts,
            rows: step.rows,
            seconds: step.seconds,
            victim_ms: step.victim_ms,
            estimate: step.estimate.as_ref().map(KeptEstimate::from),
            error: step.error.clone(),
        }
    }
}
