//! `concertina.demo`: the demo's figures.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::Document;

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
    /// The file in one transaction, then the deploy.
    pub naive: Run,
    /// expand, the deploy, contract.
    pub concertina: Run,
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
    /// A statement, a phase, the deploy.
    pub what: String,
    /// Beginning.
    pub from_seconds: f64,
    /// End.
    pub to_seconds: f64,
}
