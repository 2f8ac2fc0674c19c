//! From the room of single steps to what must be free when they run one after the other, and whether it is.

use super::StepEstimate;

/// How long WAL stays on the server's disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WalKeeping {
    /// `max_wal_size`: about so much is there between checkpoints.
    pub max_wal_size: u64,
    /// `wal_keep_size`.
    pub keep_size: u64,
    /// What holds it back beyond that.
    pub holders: Vec<Holder>,
}

/// A replication slot that nobody reads, an archiver that fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// For people: `replication slot "old_replica", which nobody reads`.
    pub what: String,
    /// How much more it may hold (`max_slot_wal_keep_size`); `None` is without bound.
    pub limit: Option<u64>,
}

impl WalKeeping {
    /// How much of so many bytes of WAL is on disk at once. What is recycled is counted as if it were not there yet, since only a role
    /// that may list the directory could know.
    /// Source: "WAL Configuration" in doc/src/sgml/wal.sgml; `max_wal_size` is a soft limit.
    pub fn kept(&self, written: u64) -> u64 {
        let cycle = self.max_wal_size + self.max_wal_size / 10 + self.keep_size;
        let held = self.holders.iter().map(|holder| holder.limit.unwrap_or(u64::MAX)).max();
        written.min(cycle.max(held.unwrap_or(0)))
    }
}

/// What must be free when a step runs, since the first of the steps began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// The step, as an index into the plan.
    pub step: usize,
    /// Bytes of tables, indexes and temporary files at the step's peak, with what the steps before it keep.
    pub data: u64,
    /// Bytes of WAL on disk by then.
    pub wal: u64,
}

impl Demand {
    /// Both, for a server that keeps them on one file system.
    pub fn total(&self) -> u64 {
        self.data + self.wal
    }
}

/// What these steps of the plan, in their order, demand.
pub fn demands(
    estimates: &[StepEstimate],
    steps: impl IntoIterator<Item = usize>,
    wal: &WalKeeping,
) -> Vec<Demand> {
    let (mut kept, mut written) = (0_u64, 0_u64);
    let mut all = Vec::new();
    for step in steps {
        let Some(estimate) = estimates.get(step) else { continue };
        kept += estimate.room.keeps;
        written += estimate.room.wal;
        all.push(Demand { step, data: kept + estimate.room.passing, wal: wal.kept(written) });
    }
    all
}

/// What is free on the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Free {
    /// Bytes where tables are.
    pub data: u64,
    /// Bytes where WAL is, if that is another file system.
    pub wal: Option<u64>,
    /// Who says so, for people: "disk.free", "the file system of /var/lib/postgresql/15/main".
    pub source: String,
}

/// The first step for which there is not enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// The step, as an index into the plan.
    pub step: usize,
    /// Bytes that must be free.
    pub need: u64,
    /// Bytes that are, the reserve left alone.
    pub have: u64,
    /// What of the need is WAL.
    pub wal: u64,
    /// It is the file system of WAL alone that is too small.
    pub wal_only: bool,
}

/// Compares, with a reserve that is not touched. Nothing is asked of a server where nothing is needed.
pub fn shortage(demands: &[Demand], free: &Free, reserve: u64) -> Option<Shortage> {
    let left = |bytes: u64| bytes.saturating_sub(reserve);
    demands.iter().find_map(|demand| {
        let Demand { step, data, wal } = *demand;
        match free.wal {
            Some(own) if wal > left(own) => {
                Some(Shortage { step, need: wal, have: left(own), wal, wal_only: true })
            }
            Some(_) if data > left(free.data) => {
                Some(Shortage { step, need: data, have: left(free.data), wal: 0, wal_only: false })
            }
            None if demand.total() > left(free.data) => {
                Some(Shortage { step, need: demand.total(), have: left(free.data), wal, wal_only: false })
            }
            _ => None,
        }
    })
}
