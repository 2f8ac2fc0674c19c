//! `concertina.report`: how one migration's run went, from the ledger. The HTML page shows the same data.

use concertina_run::ledger::{Direction as InternalDirection, SpanKind, SpanRow};
use concertina_run::report::{RunReport, StepReport};
use concertina_run::state::HistoryEntry;
use schemars::JsonSchema;
use serde::Serialize;

use super::estimate::KeptEstimate;
use super::history::Event;
use super::plan::{Action, Lock};
use super::status::{State, StepState};
use super::{Document, Phase};

/// How one migration's run went. Times in seconds count from when it began, on the server's clock.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ReportDocument {
    /// File name without `.sql`.
    pub migration: String,
    /// Where it stands.
    pub state: State,
    /// It ran by `apply --simple`, as written; it has no steps then.
    pub simple: bool,
    /// It was recorded as applied by `baseline`, and did not run here.
    pub baseline: bool,
    /// SHA-256 of the file that was planned, or accepted since; empty where the file is accepted to be gone.
    pub checksum: String,
    /// When it began, RFC 3339.
    pub started_at: String,
    /// When it reached its present state, RFC 3339.
    pub changed_at: String,
    /// Role that ran it last.
    pub by: String,
    /// Error that it stopped with.
    pub error: Option<String>,
    /// Server that it was planned for; absent after `apply --simple`.
    pub server_version: Option<String>,
    /// The file's statements.
    pub statements: Vec<String>,
    /// Steps of the plan in order, then those of its undo that have begun.
    pub steps: Vec<ReportStep>,
    /// Events since it began, oldest first.
    pub events: Vec<ReportEvent>,
}

impl Document for ReportDocument {
    const FORMAT: &'static str = "concertina.report";
}

/// One step: what was planned, and what came of it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ReportStep {
    /// Number in the plan, from 1; for an undo step, of the step that it takes back.
    pub step: usize,
    /// Which way.
    pub direction: Direction,
    /// Phase.
    pub phase: Phase,
    /// What it does, in words.
    pub title: String,
    /// Why it is there, in words.
    pub why: String,
    /// Number of the statement that it serves, from 1.
    pub statement: usize,
    /// What is executed.
    pub action: Action,
    /// Locks that it takes on relations that exist before it.
    pub locks: Vec<Lock>,
    /// Where it stands.
    pub state: StepState,
    /// How often it was tried.
    pub attempts: u32,
    /// When it first began.
    pub began_seconds: Option<f64>,
    /// When it was done; absent while it is not.
    pub ended_seconds: Option<f64>,
    /// How long it was at work, waits included and interruptions left out.
    pub worked_seconds: Option<f64>,
    /// What was expected of it; absent for undo, and while no command has come to it.
    pub estimate: Option<KeptEstimate>,
    /// Rows written, for a backfill.
    pub rows: Option<u64>,
    /// Rows written for each second at work.
    pub rows_per_second: Option<f64>,
    /// Milliseconds that it waited in queues for locks.
    pub lock_wait_ms: f64,
    /// Sum of the milliseconds that other sessions waited because of it.
    pub victim_ms: f64,
    /// The longest wait of another session because of it, in milliseconds.
    pub worst_victim_ms: f64,
    /// Error of the last try.
    pub error: Option<String>,
    /// What its time was spent on, as far as it was written down.
    pub spans: Vec<ReportSpan>,
}

/// Which way a step ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Forward.
    Forward,
    /// Back, by undo.
    Undo,
}

/// A stretch of a step's time, or several that follow each other closely.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ReportSpan {
    /// What the time was spent on.
    pub kind: Spent,
    /// Beginning.
    pub from_seconds: f64,
    /// End.
    pub to_seconds: f64,
    /// How many stretches there were.
    pub times: u32,
    /// Their length without the gaps between them, in milliseconds.
    pub busy_ms: f64,
    /// Why, in words; may be empty.
    pub message: String,
    /// Sessions that waited because of it.
    pub victims: u32,
    /// Sum of their waits in milliseconds.
    pub victim_ms: f64,
    /// The longest of their waits in milliseconds.
    pub worst_ms: f64,
    /// Rows written.
    pub rows: u64,
}

/// What a stretch of time was spent on. New ones may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Spent {
    /// One run of the step, from its beginning, or from where it went on, to its end or to where it stopped.
    Run,
    /// Waiting, while holding nothing that others wait for.
    Wait,
    /// A try that was given up and left nothing.
    GivenUp,
    /// All of the step's locks were held.
    Locks,
    /// A try during which other sessions waited because of it.
    Stall,
    /// Rows were written.
    Rows,
}

/// An event of the log.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ReportEvent {
    /// When, in seconds since the migration began.
    pub seconds: f64,
    /// The event.
    #[serde(flatten)]
    pub event: Event,
}

impl From<&RunReport> for ReportDocument {
    fn from(report: &RunReport) -> Self {
        let (row, plan) = (&report.migration, report.migration.plan.as_ref());
        let statements = plan.map(|plan| plan.statements.iter().map(|written| written.sql.clone()).collect());
        let event = |(seconds, entry): &(f64, HistoryEntry)| ReportEvent {
            seconds: *seconds,
            event: Event::from(entry),
        };
        Self {
            migration: row.name.clone(),
            state: row.state.into(),
            simple: row.simple,
            baseline: row.is_baseline(),
            checksum: row.checksum.clone(),
            started_at: row.started_at.clone(),
            changed_at: row.changed_at.clone(),
            by: row.by.clone(),
            error: row.error.clone(),
            server_version: plan.map(|plan| plan.server_version.to_string()),
            statements: statements.unwrap_or_default(),
            steps: report.steps.iter().map(ReportStep::from).collect(),
            events: report.events.iter().map(event).collect(),
        }
    }
}

impl From<&StepReport> for ReportStep {
    fn from(report: &StepReport) -> Self {
        let (step, row) = (&report.step, report.row.as_ref());
        let runs: f64 = report
            .spans
            .iter()
            .filter(|span| span.kind == SpanKind::Run)
            .map(|span| span.to - span.from)
            .sum();
        // A runner that was killed wrote no run down: then all there is to know is when it began and ended.
        let worked = row.map(|row| if runs > 0.0 { runs } else { row.seconds });
        let rows = row.and_then(|row| row.rows).and_then(|rows| u64::try_from(rows).ok());
        let per_second = |(rows, worked): (u64, f64)| (worked > 0.0).then(|| rows as f64 / worked);
        Self {
            step: report.number,
            direction: match report.direction {
                InternalDirection::Forward => Direction::Forward,
                InternalDirection::Undo => Direction::Undo,
            },
            phase: step.phase.into(),
            title: step.title.clone(),
            why: step.why.clone(),
            statement: step.statement + 1,
            action: Action::from(&step.action),
            locks: step.locks.iter().map(Lock::from).collect(),
            state: row.map_or(StepState::Pending, |row| row.state.into()),
            attempts: row.and_then(|row| u32::try_from(row.attempts).ok()).unwrap_or_default(),
            began_seconds: row.map(|row| row.began),
            ended_seconds: row.filter(|row| row.finished_at.is_some()).map(|row| row.began + row.seconds),
            worked_seconds: worked,
            estimate: report.estimate.as_ref().map(KeptEstimate::from),
            rows,
            rows_per_second: rows.zip(worked).and_then(per_second),
            lock_wait_ms: row.map_or(0.0, |row| row.lock_wait_ms),
            victim_ms: row.map_or(0.0, |row| row.victim_ms),
            worst_victim_ms: report.spans.iter().map(|span| span.worst_ms).fold(0.0, f64::max),
            error: row.and_then(|row| row.error.clone()),
            spans: report.spans.iter().map(ReportSpan::from).collect(),
        }
    }
}

impl ReportStep {
    /// The same, with seconds that count from another beginning.
    pub(crate) fn later(mut self, by: f64) -> Self {
        for seconds in [&mut self.began_seconds, &mut self.ended_seconds].into_iter().flatten() {
            *seconds += by;
        }
        for span in &mut self.spans {
            span.from_seconds += by;
            span.to_seconds += by;
        }
        self
    }
}

impl From<&SpanRow> for ReportSpan {
    fn from(row: &SpanRow) -> Self {
        Self {
            kind: match row.kind {
                SpanKind::Run => Spent::Run,
                SpanKind::Wait => Spent::Wait,
                SpanKind::GivenUp => Spent::GivenUp,
                SpanKind::Locks => Spent::Locks,
                SpanKind::Stall => Spent::Stall,
                SpanKind::Rows => Spent::Rows,
            },
            from_seconds: row.from,
            to_seconds: row.to,
            times: row.times,
            busy_ms: row.busy_ms,
            message: row.message.clone(),
            victims: row.victims,
            victim_ms: row.victim_ms,
            worst_ms: row.worst_ms,
            rows: row.rows,
        }
    }
}
