//! `concertina.error`: why a command failed. It takes the place of the command's own document on stdout.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Document, MissingRight, RefusedMigration};
use crate::failure::Failure;

/// Why a command failed.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ErrorDocument {
    /// The process's exit code; docs/exit-codes.md lists them.
    pub exit_code: u8,
    /// Its name, such as `busy`.
    pub kind: String,
    /// What happened, to which object.
    pub message: String,
    /// What state things are in now, and what to do next.
    pub hint: Option<String>,
    /// SQLSTATE of the server's answer.
    pub sqlstate: Option<String>,
    /// A few of the rows that violate a constraint.
    pub rows: Vec<String>,
    /// Rights that the role lacks, all that are known.
    pub missing_rights: Vec<MissingRight>,
    /// Statements that cannot be planned.
    pub refused: Option<RefusedMigration>,
    /// The step for which the server's disk has too little room.
    pub shortage: Option<Shortage>,
}

/// A step for which the server's disk has too little room.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Shortage {
    /// Number in the plan, from 1.
    pub step: usize,
    /// Bytes that must be free.
    pub need_bytes: u64,
    /// Bytes that are free, what `disk.reserve` leaves alone not counted.
    pub have_bytes: u64,
}

impl Document for ErrorDocument {
    const FORMAT: &'static str = "concertina.error";
}

impl From<&Failure> for ErrorDocument {
    fn from(failure: &Failure) -> Self {
        Self {
            exit_code: failure.code as u8,
            kind: failure.code.slug().to_owned(),
            message: failure.message.clone(),
            hint: failure.hint.clone(),
            sqlstate: failure.sqlstate.as_deref().map(ToOwned::to_owned),
            rows: failure.rows.to_vec(),
            missing_rights: failure.missing_rights.iter().map(MissingRight::from).collect(),
            refused: failure.refusal.as_deref().map(RefusedMigration::from),
            shortage: failure.shortage.as_deref().map(|it| Shortage {
                step: it.step,
                need_bytes: it.need,
                have_bytes: it.have,
            }),
        }
    }
}
