//! What is expected of steps, in several documents.

use std::collections::BTreeMap;

use concertina_plan::estimate::{self, Basis, Expected, Room, StepEstimate};
use concertina_plan::sql::ident::Ident;
use concertina_run::ledger::EstimateRow;
use concertina_run::outlook::Outlook;
use concertina_run::room::Known;
use schemars::JsonSchema;
use serde::Serialize;

/// How long a step may take, and the room that it may need on the server's disk.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub struct Estimate {
    /// At least so many seconds.
    pub low_seconds: f64,
    /// At most so many seconds, if it need not wait longer than steps before it had to.
    pub high_seconds: f64,
    /// Earlier steps on this server that it goes by; 0: none was measured yet, and the range is one for slow servers and fast ones.
    pub measured_steps: u32,
    /// Bytes that are still used when it is done.
    pub keeps_bytes: u64,
    /// Bytes that it uses while it runs only.
    pub passing_bytes: u64,
    /// Bytes of WAL that it writes.
    pub wal_bytes: u64,
}

/// What was expected of a step when a command that runs it first began, and what came of it.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub struct KeptEstimate {
    /// What was expected.
    #[serde(flatten)]
    pub expected: Estimate,
    /// Seconds it was at work by the journal, waits included and interruptions left out; absent while it is not done.
    pub took_seconds: Option<f64>,
    /// Seconds of these that it waited.
    pub waited_seconds: Option<f64>,
}

/// Room on the server's disk: what the steps need that are still to be run, and what is free.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Disk {
    /// The most that is needed at any time, in bytes.
    pub need_bytes: u64,
    /// Bytes that are free; absent where that is not known.
    pub free_bytes: Option<u64>,
    /// How that is known, or why it is not, in words.
    pub source: Option<String>,
    /// What of the need lies in tablespaces of their own, and what is free there.
    pub tablespaces: Vec<Tablespace>,
    /// What is configured to tell what is free does not answer; `source` says why. `expand` and `contract` do not begin then.
    pub failed: bool,
    /// Number of the first step for which it is not enough, from 1. `expand` and `contract` do not begin then.
    pub short_step: Option<usize>,
    /// What holds WAL back on the server, in words.
    pub wal_held_by: Vec<String>,
}

/// Room in one tablespace.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Tablespace {
    /// Its name.
    pub name: String,
    /// The most that is needed there at any time, in bytes.
    pub need_bytes: u64,
    /// Bytes that are free on its file system; absent where that is not known, and then it counts with the data directory.
    pub free_bytes: Option<u64>,
}

impl Tablespace {
    fn all(outlook: &Outlook) -> Vec<Self> {
        let mut needs: BTreeMap<&Ident, u64> = BTreeMap::new();
        for (name, bytes) in outlook.demands.iter().flat_map(|demand| &demand.spaces) {
            let need = needs.entry(name).or_default();
            *need = (*need).max(*bytes);
        }
        let free = |name: &Ident| match &outlook.free {
            Known::Free(free) => {
                free.spaces.iter().find(|other| other.names.contains(name)).map(|it| it.free)
            }
            Known::Unknown(_) | Known::Silent(_) | Known::Unchecked => None,
        };
        needs
            .into_iter()
            .map(|(name, need_bytes)| Self {
                name: name.as_str().to_owned(),
                need_bytes,
                free_bytes: free(name),
            })
            .collect()
    }
}

impl Estimate {
    fn new(expected: &Expected, room: &Room) -> Self {
        Self {
            low_seconds: expected.low,
            high_seconds: expected.high,
            measured_steps: match expected.basis {
                Basis::Unmeasured => 0,
                Basis::Measured(count) => count,
            },
            keeps_bytes: room.keeps,
            passing_bytes: room.passing,
            wal_bytes: room.wal,
        }
    }

    /// The range in words: "4 s to 2 min (nothing measured on this server yet)".
    pub(crate) fn words(&self) -> String {
        let basis = match self.measured_steps {
            0 => Basis::Unmeasured,
            count => Basis::Measured(count),
        };
        estimate::span(&Expected { low: self.low_seconds, high: self.high_seconds, basis })
    }
}

impl From<&StepEstimate> for Estimate {
    fn from(estimate: &StepEstimate) -> Self {
        Self::new(&estimate.expected, &estimate.room)
    }
}

impl From<&EstimateRow> for KeptEstimate {
    fn from(row: &EstimateRow) -> Self {
        Self {
            expected: Estimate::new(&row.expected, &row.room),
            took_seconds: row.took,
            waited_seconds: row.waited,
        }
    }
}

impl From<&Outlook> for Disk {
    fn from(outlook: &Outlook) -> Self {
        let (free_bytes, source) = match &outlook.free {
            Known::Free(free) => (Some(free.data), Some(free.source.clone())),
            Known::Unknown(why) | Known::Silent(why) => (None, Some(why.clone())),
            Known::Unchecked => (None, None),
        };
        Self {
            need_bytes: outlook.need(),
            free_bytes,
            source,
            tablespaces: Tablespace::all(outlook),
            failed: matches!(outlook.free, Known::Silent(_)),
            short_step: outlook.shortage.as_ref().map(|short| short.step + 1),
            wal_held_by: outlook.wal.holders.iter().map(|holder| holder.what.clone()).collect(),
        }
    }
}
