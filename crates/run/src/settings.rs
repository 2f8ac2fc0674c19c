//! How hard to push, and when to give way. Everything has a default that suits a busy production server.

use std::collections::BTreeMap;
use std::time::Duration;

use concertina_plan::estimate::Pace;
use concertina_plan::sql::ident::Ident;

/// What a run may cost other sessions.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Longest that one victim waits because of us: our queueing, our hold and COMMIT together. Default 250 ms.
    pub max_stall: Duration,
    /// Sum of all victims' waits over one migration's command; then the run stops at a safe point. Default 30 s.
    pub total_stall: Duration,
    /// How long to go on trying for one lock before giving up with the reason. Default 1 h.
    pub lock_patience: Duration,
    /// Backfill throttle.
    pub throttle: Throttle,
    /// Room on the server's disk.
    pub disk: Disk,
    /// `SET ROLE` for everything done to user objects.
    pub role: Option<String>,
    /// Pinned `search_path`; `None` keeps the role's or database's own.
    pub search_path: Option<Vec<String>>,
    /// Run a new file that sorts before one that has run, instead of refusing it. Default false.
    pub allow_out_of_order: bool,
    /// Report the locks held by each transaction just before COMMIT as [`crate::event::Event::LocksHeld`].
    pub observe_locks: bool,
    /// Lease time to live: after this long without a heartbeat another runner may take over. Default 15 s.
    pub lease_ttl: Duration,
    /// How long to wait for another runner to finish before [`crate::Error::Busy`], telling so once a second as
    /// [`crate::event::Event::Waiting`]; zero leaves at once (`--no-wait`). Default 1 h.
    pub lease_patience: Duration,
}

/// How a backfill shares the server.
#[derive(Clone, Debug, PartialEq)]
pub struct Throttle {
    /// Share of the time spent working, at most, 0 < load <= 1; 1 never pauses by itself. Default 0.5.
    pub load: f64,
    /// Time that the server should work on one batch; batches are sized to it. What clients feel at p99 grows with it.
    /// Default 0.5 ms.
    pub batch: Duration,
    /// Pause while any standby is further behind than this many bytes of WAL (replay). Default 64 MiB; `None` ignores lag.
    pub max_lag_bytes: Option<u64>,
    /// An SQL query that returns one number; work pauses while it is above `slo_max`.
    pub slo_query: Option<String>,
    /// Bound for `slo_query`.
    pub slo_max: f64,
}

/// How it is known what is free on the server's disk, and what is left alone of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Disk {
    /// What the user says.
    pub free: FreeSpace,
    /// An SQL query that returns the free bytes as one number.
    pub query: Option<String>,
    /// A shell command on this machine that prints the free bytes; `query` goes before it.
    pub command: Option<String>,
    /// Bytes that the user says are free in tablespaces, when a command begins.
    pub spaces: BTreeMap<Ident, u64>,
    /// Bytes that no step may take. A step that would is not begun, and one that does is paused or stopped. Default 1 GiB.
    pub reserve: u64,
}

/// What the user says about free space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FreeSpace {
    /// Nothing: it is asked for.
    #[default]
    Ask,
    /// So many bytes are free when a command begins.
    Given(u64),
    /// It is not to be looked at.
    Unchecked,
}

impl Default for Disk {
    fn default() -> Self {
        Self { free: FreeSpace::Ask, query: None, command: None, spaces: BTreeMap::new(), reserve: 1 << 30 }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_stall: Duration::from_millis(250),
            total_stall: Duration::from_secs(30),
            lock_patience: Duration::from_secs(3600),
            throttle: Throttle::default(),
            disk: Disk::default(),
            role: None,
            search_path: None,
            allow_out_of_order: false,
            observe_locks: false,
            lease_ttl: Duration::from_secs(15),
            lease_patience: Duration::from_secs(3600),
        }
    }
}

impl Throttle {
    /// What estimates need to know of it.
    pub fn pace(&self) -> Pace {
        Pace { load: self.load, batch: self.batch.as_secs_f64() }
    }
}

impl Default for Throttle {
    fn default() -> Self {
        Self {
            load: 0.5,
            batch: Duration::from_micros(500),
            max_lag_bytes: Some(64 << 20),
            slo_query: None,
            slo_max: 0.0,
        }
    }
}
