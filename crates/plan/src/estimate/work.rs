//! How much of what a step does.

use serde::{Deserialize, Serialize};

use super::sizes::Sizes;
use crate::plan::{Action, Step, Walk, WorkKind};

/// What a step's speed is measured in. The ledger keeps the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Steps whose work does not grow with a table.
    Short,
    /// Bytes of heap that are read.
    Scan,
    /// Bytes of heap that an index is built over.
    IndexBuild,
    /// Bytes that are written anew under one lock.
    Rewrite,
    /// Rows that a backfill writes, walking pages.
    Pages,
    /// Rows that a backfill writes, walking a key.
    Key,
    /// Rows that a backfill writes, walking rows that were fixed at the start.
    RowSet,
}

impl Measure {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Short, Self::Scan, Self::IndexBuild, Self::Rewrite, Self::Pages, Self::Key, Self::RowSet];

    /// As the ledger spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Scan => "scan",
            Self::IndexBuild => "index_build",
            Self::Rewrite => "rewrite",
            Self::Pages => "pages",
            Self::Key => "key",
            Self::RowSet => "row_set",
        }
    }

    /// From the ledger; a measure of a later version is `None`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|measure| measure.as_str() == text)
    }

    /// Counted in rows, and throttled.
    pub fn is_batched(self) -> bool {
        matches!(self, Self::Pages | Self::Key | Self::RowSet)
    }
}

/// An amount of one kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Of what.
    pub measure: Measure,
    /// Rows, bytes, or 1 for a short step.
    pub amount: u64,
}

impl Load {
    /// Its size is a table's, so that room and time are worth asking for.
    pub fn is_heavy(self) -> bool {
        self.measure != Measure::Short
    }
}

/// The load of a step. A step does one kind of work that counts: what else it does is little beside it.
pub(super) fn load(step: &Step, sizes: &Sizes) -> Load {
    let sum = |of: &dyn Fn(&super::Table) -> u64| -> u64 {
        step.work.iter().map(|work| of(sizes.of(&work.relation))).sum()
    };
    if let Action::Backfill(backfill) = &step.action {
        let measure = match backfill.walk {
            Walk::Pages { .. } => Measure::Pages,
            Walk::Key { .. } => Measure::Key,
            Walk::RowSet(_) => Measure::RowSet,
        };
        let known = sizes.tables.get(&backfill.table).map(|table| table.rows);
        return Load { measure, amount: known.unwrap_or(backfill.rows) };
    }
    // The dearest first.
    let does = |what: WorkKind| step.work.iter().any(|work| work.what == what);
    if does(WorkKind::Rewrite) || does(WorkKind::Rows) {
        let all = sum(&|table| table.heap + table.toast + table.index_bytes());
        return Load { measure: Measure::Rewrite, amount: all };
    }
    if does(WorkKind::IndexBuild) {
        return Load { measure: Measure::IndexBuild, amount: sum(&|table| table.heap) };
    }
    if does(WorkKind::Scan) {
        return Load { measure: Measure::Scan, amount: sum(&|table| table.heap) };
    }
    Load { measure: Measure::Short, amount: 1 }
}
