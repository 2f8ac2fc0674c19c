//! `concertina.demo`: the demo's figures.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Document, Lock, ReportStep};

/// The same migration file, run naively and with Concertina, on equal databases under equal traffic.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DemoDocument {
    /// Server version.
    pub server_version: String,
    /// Cores that the machine has.
    pub cores: usize,
    /// Server settings that are not PostgreSQL's own defaults; fsync is on.
    pub settings: BTreeMap<String, String>,
    /// The migration's text.
    pub migration: String,
    /// Rows of the migrated table at the start.
    pub rows: u64,
    /// Size of the whole database at the start.
    pub database_bytes: u64,
    /// Operations that fell due each second.
    pub rate: f64,
    /// Connections that shared them.
    pub connections: usize,
    /// `stall.max`: so long may Concertina keep a session waiting, in milliseconds.
    pub max_stall_ms: f64,
    /// The file in one transaction, then the deploy.
    pub naive: Run,
    /// expand, the deploy, contract.
    pub concertina: Run,
    /// The steps of Concertina's plan, with what came of them; seconds count from the start of its traffic.
    pub steps: Vec<ReportStep>,
    /// What must not be: wrong rows, lost writes, operations without an answer, schemas that differ. Empty if all is well.
    pub faults: Vec<String>,
}

impl Document for DemoDocument {
    const FORMAT: &'static str = "concertina.demo";
}

/// One of the two runs.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Run {
    /// Seconds that the migration took, without the deploy.
    pub seconds: f64,
    /// Rows that the migration itself wrote; clients wrote some of the values through the sync trigger.
    pub rows_written: u64,
    /// Rows of the table at the end.
    pub rows: u64,
    /// Those that hold the right value.
    pub rows_right: u64,
    /// What clients felt before the migration.
    pub before: Felt,
    /// What they felt of operations that fell due from its first statement until three seconds after its last.
    pub during: Felt,
    /// Operations that fell due in the whole run.
    pub scheduled: u64,
    /// Those that were never answered, neither with success nor with an error.
    pub unanswered: u64,
    /// Inserts and updates that the server acknowledged.
    pub acknowledged_writes: u64,
    /// Those that are not there at the end.
    pub acknowledged_writes_lost: u64,
    /// What happened when.
    pub spans: Vec<Span>,
    /// Locks that the migration held and that keep readers or writers waiting, in the order in which they were taken.
    pub locks: Vec<HeldLock>,
    /// What clients felt, tenth of a second by tenth of a second.
    pub moments: Vec<Moment>,
    /// The longest that an operation took, for each second of the whole run, in milliseconds.
    pub worst_ms_by_second: Vec<f64>,
}

/// What clients felt; times in milliseconds, from the instant at which an operation was due.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Felt {
    /// Operations that succeeded.
    pub operations: u64,
    /// Operations that failed.
    pub failed: u64,
    /// Failed operations by SQLSTATE (`connection`: lost; `wrong`: another answer than expected).
    pub errors: BTreeMap<String, u64>,
    /// Median of those that succeeded.
    pub p50_ms: f64,
    /// 99th percentile of those that succeeded.
    pub p99_ms: f64,
    /// The longest, failed ones included.
    pub worst_ms: f64,
}

/// A part of a run, in seconds from the start of the traffic.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Span {
    /// The character that stands for it in charts: the statement's number, the phase's initial, `d` for the deploy, `.` where
    /// only clients are at work.
    pub mark: char,
    /// A statement, a phase, the deploy.
    pub what: String,
    /// Beginning.
    pub from_seconds: f64,
    /// End.
    pub to_seconds: f64,
}

/// A lock that was held on a table that clients use.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct HeldLock {
    /// Which lock.
    #[serde(flatten)]
    pub lock: Lock,
    /// From when on it was surely held.
    pub from_seconds: f64,
    /// Its end.
    pub to_seconds: f64,
}

/// Operations that fell due within a tenth of a second; times in milliseconds.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Moment {
    /// Its beginning, in seconds from the start of the traffic.
    pub at_seconds: f64,
    /// Operations that were answered, with success or not.
    pub answered: u64,
    /// Those that failed, by SQLSTATE.
    pub errors: BTreeMap<String, u64>,
    /// Median.
    pub p50_ms: f64,
    /// 99th percentile.
    pub p99_ms: f64,
    /// The longest.
    pub worst_ms: f64,
}
