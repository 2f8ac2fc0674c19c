//! From the room of single steps to what must be free when they run one after the other, and whether it is.

use std::collections::BTreeMap;

use super::StepEstimate;
use crate::sql::ident::{Ident, list};

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// The step, as an index into the plan.
    pub step: usize,
    /// Bytes of tables, indexes and temporary files in the data directory at the step's peak, with what the steps before it keep.
    pub data: u64,
    /// The same in other tablespaces.
    pub spaces: BTreeMap<Ident, u64>,
    /// Bytes of WAL on disk by then.
    pub wal: u64,
}

impl Demand {
    /// All of it, wherever it lies.
    pub fn total(&self) -> u64 {
        self.data + self.wal + self.spaces.values().sum::<u64>()
    }
}

/// What these steps of the plan, in their order, demand.
pub fn demands(
    estimates: &[StepEstimate],
    steps: impl IntoIterator<Item = usize>,
    wal: &WalKeeping,
) -> Vec<Demand> {
    let (mut kept, mut written) = (0_u64, 0_u64);
    let mut kept_elsewhere: BTreeMap<Ident, u64> = BTreeMap::new();
    let mut all = Vec::new();
    for step in steps {
        let Some(estimate) = estimates.get(step) else { continue };
        let (mut keeps, mut passing) = (estimate.room.keeps, estimate.room.passing);
        let mut spaces = kept_elsewhere.clone();
        for (space, used) in &estimate.elsewhere {
            (keeps, passing) = (keeps.saturating_sub(used.keeps), passing.saturating_sub(used.passing));
            *kept_elsewhere.entry(space.clone()).or_default() += used.keeps;
            *spaces.entry(space.clone()).or_default() += used.keeps + used.passing;
        }
        kept += keeps;
        written += estimate.room.wal;
        all.push(Demand { step, data: kept + passing, spaces, wal: wal.kept(written) });
    }
    all
}

/// What is free on the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Free {
    /// Bytes in the data directory.
    pub data: u64,
    /// Bytes where WAL is, if that is another file system.
    pub wal: Option<u64>,
    /// Other file systems with tablespaces. One that is in none of them counts with the data directory.
    pub spaces: Vec<Elsewhere>,
    /// Who says so, for people: "disk.free", "the file system of /var/lib/postgresql/15/main".
    pub source: String,
}

/// A file system that is not the data directory's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    /// Tablespaces that lie there.
    pub names: Vec<Ident>,
    /// WAL is there, too.
    pub wal: bool,
    /// Bytes that are free.
    pub free: u64,
}

/// Which file system is too small.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lacking {
    /// That of the data directory.
    Data,
    /// That of WAL alone.
    Wal,
    /// That of these tablespaces.
    Spaces(Vec<Ident>),
}

impl Lacking {
    /// Where, in words.
    pub fn place(&self) -> String {
        match self {
            Self::Data => "on the server's disk".to_owned(),
            Self::Wal => "where the server keeps its WAL".to_owned(),
            Self::Spaces(names) => format!("in tablespace {}", list(names)),
        }
    }
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
    /// Where.
    pub place: Lacking,
}

/// Compares, with a reserve that is not touched. Nothing is asked of a server where nothing is needed.
pub fn shortage(demands: &[Demand], free: &Free, reserve: u64) -> Option<Shortage> {
    let left = |bytes: u64| bytes.saturating_sub(reserve);
    let short =
        |step, need, wal, have, place| (need > have).then_some(Shortage { step, need, have, wal, place });
    let apart = |name: &Ident| free.spaces.iter().any(|other| other.names.contains(name));
    demands.iter().find_map(|demand| {
        let step = demand.step;
        let in_spaces = |counts: &dyn Fn(&Ident) -> bool| -> u64 {
            demand.spaces.iter().filter(|(name, _)| counts(name)).map(|(_, bytes)| bytes).sum()
        };
        let data = demand.data + in_spaces(&|name| !apart(name));
        let own = free.wal.map(left);
        let with_data = if own.is_some() { 0 } else { demand.wal };
        own.and_then(|own| short(step, demand.wal, demand.wal, own, Lacking::Wal))
            .or_else(|| short(step, data + with_data, with_data, left(free.data), Lacking::Data))
            .or_else(|| {
                free.spaces.iter().find_map(|other| {
                    let wal = if other.wal { demand.wal } else { 0 };
                    match in_spaces(&|name| other.names.contains(name)) {
                        0 => None,
                        need => {
                            let place = Lacking::Spaces(other.names.clone());
                            short(step, need + wal, wal, left(other.free), place)
                        }
                    }
                })
            })
    })
}
