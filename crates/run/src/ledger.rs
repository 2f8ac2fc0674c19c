//! The ledger: what was begun, what is done, and what happened, in schema `concertina` of the target database.
//!
//! Everything is schema-qualified and runs on any session. The tables belong to the role that created them, which is the
//! one that [`crate::settings::Settings::role`] names, because a step commits its row together with its effect.
//!
//! ```text
//! schema  create, check, notice a restored copy     read   migrations, steps, history
//! adopt   baseline and accepted files               write  everything else
//! estimate  what was expected of steps, and what came of it
//! ```

mod adopt;
mod estimate;
mod read;
mod schema;
mod write;

use concertina_plan::plan::Plan;
use serde_json::Value;

use crate::state::{MigrationState, StepState};

pub(crate) use adopt::{insert_baseline, log_all, set_checksum, was_logged};
pub use estimate::{EstimateRow, estimates, samples};
pub(crate) use estimate::{add_estimates, settle};
pub use read::{events, history, migration, migrations, orphan_candidates, spans, steps};
pub(crate) use schema::system_identifier;
pub use schema::{check, ensure, exists};
pub use write::{
    NewMigration, add_victim_ms, begin_step, event, fail_step, finish_step, insert_migration, mark_undone,
    save_cursor, set_error, set_state,
};
pub(crate) use write::{add_spans, out_of_order};

/// Which way a step ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// A step of the plan.
    Forward,
    /// A step of a plan step's undo.
    Undo,
}

/// Names a step's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepKey {
    /// [`MigrationRow::id`].
    pub migration: i64,
    /// Which way.
    pub direction: Direction,
    /// Index into the plan's steps, from 0. For an undo step: of the step that is undone.
    pub ordinal: i32,
    /// Index into `Undo::Steps`; 0 for a forward step.
    pub sub: i32,
}

impl StepKey {
    /// A step of the plan.
    pub fn forward(migration: i64, ordinal: i32) -> Self {
        Self { migration, direction: Direction::Forward, ordinal, sub: 0 }
    }

    /// A step of the undo of plan step `ordinal`.
    pub fn undo(migration: i64, ordinal: i32, sub: i32) -> Self {
        Self { migration, direction: Direction::Undo, ordinal, sub }
    }
}

/// A row of `concertina.migration`.
#[derive(Clone, Debug)]
pub struct MigrationRow {
    /// Key.
    pub id: i64,
    /// Name.
    pub name: String,
    /// SHA-256 of the file that was planned, or accepted since; empty where it is accepted that there is no file.
    pub checksum: String,
    /// Never [`MigrationState::Pending`].
    pub state: MigrationState,
    /// Ran by `apply --simple`.
    pub simple: bool,
    /// The stored plan; `None` for a simple one and for one of the baseline.
    pub plan: Option<Plan>,
    /// RFC 3339.
    pub started_at: String,
    /// When it reached its state, RFC 3339.
    pub changed_at: String,
    /// Who ran it last.
    pub by: String,
    /// What it stopped with.
    pub error: Option<String>,
}

impl MigrationRow {
    /// It was recorded as applied by `baseline`: it neither ran as written nor by a plan.
    pub fn is_baseline(&self) -> bool {
        !self.simple && self.plan.is_none()
    }

    /// `accept` was told that its file is gone.
    pub fn file_is_gone(&self) -> bool {
        self.checksum.is_empty()
    }
}

/// A row of `concertina.step`. Steps that have not begun have none.
#[derive(Clone, Debug)]
pub struct StepRow {
    /// Which way it ran.
    pub direction: Direction,
    /// As [`StepKey::ordinal`].
    pub ordinal: i32,
    /// As [`StepKey::sub`].
    pub sub: i32,
    /// Never [`StepState::Pending`].
    pub state: StepState,
    /// Tries.
    pub attempts: i32,
    /// Rows written so far.
    pub rows: Option<i64>,
    /// Where a backfill stands.
    pub cursor: Option<Value>,
    /// Sum of milliseconds that others waited because of it.
    pub victim_ms: f64,
    /// Milliseconds that it waited for locks.
    pub lock_wait_ms: f64,
    /// Backend of the last try.
    pub backend_pid: Option<i32>,
    /// Its start, as [`crate::connect::Session::backend_start`].
    pub backend_start: Option<String>,
    /// First begun, RFC 3339.
    pub started_at: String,
    /// Done or undone, RFC 3339.
    pub finished_at: Option<String>,
    /// Seconds from the migration's beginning to the step's.
    pub began: f64,
    /// Seconds from the start to the end, or to now.
    pub seconds: f64,
    /// Error of the last try.
    pub error: Option<String>,
}

/// What a stretch of a step's time was spent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SpanKind {
    /// One run of the step: from where it began, or went on, to where it ended or stopped.
    Run,
    /// It waited and held nothing that others wait for.
    Wait,
    /// A try that was given up and left nothing.
    GivenUp,
    /// All its locks were held, until they were released.
    Locks,
    /// A try during which other sessions waited because of it.
    Stall,
    /// Rows were written.
    Rows,
}

/// A row of `concertina.span`: one stretch, or several that follow each other closely. Times are seconds since the migration
/// began.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanRow {
    /// Which way the step ran.
    pub direction: Direction,
    /// As [`StepKey::ordinal`].
    pub ordinal: i32,
    /// As [`StepKey::sub`].
    pub sub: i32,
    /// What the time was spent on.
    pub kind: SpanKind,
    /// Beginning.
    pub from: f64,
    /// End.
    pub to: f64,
    /// Why, in words; may be empty.
    pub message: String,
    /// How many stretches there were.
    pub times: u32,
    /// Their length without the gaps between them, in milliseconds.
    pub busy_ms: f64,
    /// Sessions that waited.
    pub victims: u32,
    /// Sum of their waits.
    pub victim_ms: f64,
    /// The longest of them.
    pub worst_ms: f64,
    /// Rows written.
    pub rows: u64,
}

impl SpanKind {
    const ALL: [Self; 6] = [Self::Run, Self::Wait, Self::GivenUp, Self::Locks, Self::Stall, Self::Rows];

    /// As the table spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Wait => "wait",
            Self::GivenUp => "given_up",
            Self::Locks => "locks",
            Self::Stall => "stall",
            Self::Rows => "rows",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

impl Direction {
    /// As the table spells it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Undo => "undo",
        }
    }
}

/// As the table spells it.
pub(crate) fn state_text(state: MigrationState) -> &'static str {
    match state {
        MigrationState::Pending => "pending",
        MigrationState::Expanding => "expanding",
        MigrationState::Expanded => "expanded",
        MigrationState::Contracting => "contracting",
        MigrationState::Switched => "expanded",
        MigrationState::Done => "done",
        MigrationState::Undoing => "undoing",
        MigrationState::Undone => "undone",
    }
}
