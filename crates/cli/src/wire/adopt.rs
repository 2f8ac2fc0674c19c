//! `concertina.baseline`, `concertina.accept`, `concertina.uninstall`.

use concertina_run::adopt::{Acceptance, Accepted, Baseline};
use concertina_run::uninstall::Removed;
use schemars::JsonSchema;
use serde::Serialize;

use super::Document;

/// What `baseline` recorded as applied.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BaselineDocument {
    /// Migrations that were recorded now, in order.
    pub recorded: Vec<String>,
    /// Migrations of the range that were applied already.
    pub known: Vec<String>,
}

impl Document for BaselineDocument {
    const FORMAT: &'static str = "concertina.baseline";
}

impl From<&Baseline> for BaselineDocument {
    fn from(baseline: &Baseline) -> Self {
        Self { recorded: baseline.recorded.clone(), known: baseline.known.clone() }
    }
}

/// What `accept` accepted.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AcceptDocument {
    /// File name without `.sql`.
    pub migration: String,
    /// What was accepted.
    pub accepted: What,
    /// Checksum that the ledger had; absent where it knew the file to be gone.
    pub before: Option<String>,
    /// Checksum that the ledger has now; absent where the file is gone.
    pub after: Option<String>,
    /// As given.
    pub reason: String,
}

/// What was accepted.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// The file's present text.
    Changed,
    /// That there is no file any more.
    Gone,
    /// Nothing: the ledger and the folder agree.
    Nothing,
}

impl Document for AcceptDocument {
    const FORMAT: &'static str = "concertina.accept";
}

impl AcceptDocument {
    /// The outside of it.
    pub fn new(accepted: &Accepted, reason: &str) -> Self {
        Self {
            migration: accepted.migration.clone(),
            accepted: match accepted.what {
                Acceptance::Changed => What::Changed,
                Acceptance::Gone => What::Gone,
                Acceptance::Nothing => What::Nothing,
            },
            before: accepted.before.clone(),
            after: accepted.after.clone(),
            reason: reason.to_owned(),
        }
    }
}

/// What `uninstall` removed.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UninstallDocument {
    /// Schemas, in the order in which they went; empty when nothing was there.
    pub schemas: Vec<String>,
    /// What lay in the archive.
    pub archives: Vec<RemovedArchive>,
    /// Triggers that were left on your tables, as `name ON table`, quoted as SQL needs it.
    pub triggers: Vec<String>,
}

/// An object of the archive that was removed.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RemovedArchive {
    /// What it was or held: `table public.orders`; absent where the ledger did not know it.
    pub of: Option<String>,
    /// Its name in the archive, qualified and quoted.
    pub name: String,
    /// Bytes on disk, indexes included; absent for what takes none.
    pub bytes: Option<u64>,
}

impl Document for UninstallDocument {
    const FORMAT: &'static str = "concertina.uninstall";
}

impl From<&Removed> for UninstallDocument {
    fn from(removed: &Removed) -> Self {
        Self {
            schemas: removed.schemas.clone(),
            archives: removed
                .archives
                .iter()
                .map(|archive| RemovedArchive {
                    of: archive.of.clone(),
                    name: archive.name.clone(),
                    bytes: archive.bytes,
                })
                .collect(),
            triggers: removed.triggers.clone(),
        }
    }
}
