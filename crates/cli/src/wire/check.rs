//! `concertina.check`: whether every migration can be planned.

use concertina_run::check::Checked;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Document, PlannedMigration, RefusedMigration};
use crate::failure::Refusal;

/// What `check` found.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CheckDocument {
    /// Every migration can be planned, and runs as written.
    pub ok: bool,
    /// The dump that was loaded first, if one was given.
    pub loaded: Option<LoadedDump>,
    /// Migrations that were not planned: taken as applied where there is a dump, else run as written.
    pub taken: Vec<String>,
    /// Migrations that were planned, in order.
    pub migrations: Vec<CheckedMigration>,
    /// The migration that failed as written, if one did. The exit code is 15 then.
    pub failed: Option<FailedMigration>,
    /// Migrations that were not looked at, because they come after it.
    pub not_checked: Vec<String>,
}

/// A dump.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LoadedDump {
    /// Path.
    pub path: String,
    /// Statements that were executed.
    pub statements: usize,
    /// Statements that were left out, such as grants to roles that are not on this server.
    pub skipped: Vec<SkippedStatement>,
}

/// A statement that was left out.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SkippedStatement {
    /// Line in the dump, from 1.
    pub line: usize,
    /// What the server said.
    pub why: String,
}

/// One migration: `plan` or `refused` is set.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CheckedMigration {
    /// File name without `.sql`.
    pub migration: String,
    /// Its plan. Numbers of rows in it mean nothing, since every table counts as holding at least one.
    pub plan: Option<PlannedMigration>,
    /// Why it cannot be planned. The exit code is 3 if any cannot.
    pub refused: Option<RefusedMigration>,
}

/// A migration that failed as written.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FailedMigration {
    /// File name without `.sql`.
    pub migration: String,
    /// With file and line.
    pub message: String,
    /// SQLSTATE of the server's answer.
    pub sqlstate: Option<String>,
}

impl Document for CheckDocument {
    const FORMAT: &'static str = "concertina.check";
}

impl CheckDocument {
    /// `refusals` are those of `checked`, with their texts.
    pub(crate) fn new(checked: &Checked, origin: Option<&str>, refusals: &[Refusal]) -> Self {
        let migrations = checked.files.iter().map(|file| CheckedMigration {
            migration: file.name.clone(),
            plan: file.plan.as_ref().ok().map(|plan| PlannedMigration::new(plan, false, Vec::new())),
            refused: refusals
                .iter()
                .find(|refusal| refusal.migration == file.name)
                .map(RefusedMigration::from),
        });
        Self {
            ok: checked.failed.is_none() && refusals.is_empty(),
            loaded: checked.loaded.as_ref().map(|loaded| LoadedDump {
                path: origin.unwrap_or_default().to_owned(),
                statements: loaded.statements,
                skipped: loaded
                    .skipped
                    .iter()
                    .map(|skipped| SkippedStatement { line: skipped.line, why: skipped.why.clone() })
                    .collect(),
            }),
            taken: checked.taken.clone(),
            migrations: migrations.collect(),
            failed: checked.failed.as_ref().map(|failed| FailedMigration {
                migration: failed.migration.clone(),
                message: failed.message.clone(),
                sqlstate: failed.sqlstate.clone(),
            }),
            not_checked: checked.not_checked.clone(),
        }
    }
}
