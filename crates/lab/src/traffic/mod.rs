//! Client traffic at a fixed rate, and what the clients felt.
//!
//! The schedule is open-loop: operation *i* is due at `start + i / rate`, whether or not earlier ones have been
//! answered. Connections take the next due operation when they are free, and a late start counts as latency,
//! so a stall of one second is felt by every operation that was due in it and not only by the few that were
//! in flight (no coordinated omission). What does not count is the timer's own lag: a connection that was
//! idle when its operation fell due measures from the instant it woke up.

mod record;
mod workload;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until, timeout};
use tokio_postgres::Client;

use crate::database::connect;
use record::Recorder;

pub use record::{BUCKET, Bucket, FailedOperation, KindReport, Live, Report, Window};
pub use workload::{Failure, Kind, Mix, Params, Work, Workload, params};

/// How long [`Traffic::stop`] waits for operations that were due.
const DRAIN_LIMIT: Duration = Duration::from_secs(30);
const RECONNECT_PAUSE: Duration = Duration::from_millis(20);
const NOT_BUSY: u64 = u64::MAX;

/// Where the traffic goes and how much of it there is.
#[derive(Debug, Clone)]
pub struct Config {
    /// A connection string, such as from [`Server::url`](crate::Server::url).
    pub url: String,
    /// How many connections share the work.
    pub connections: usize,
    /// Operations a second, over all connections.
    pub rate: f64,
    /// Makes the choice of operations and their parameters repeatable.
    pub seed: u64,
}

impl Config {
    /// Eight connections, 200 operations a second.
    pub fn new(url: impl Into<String>) -> Config {
        Config { url: url.into(), connections: 8, rate: 200.0, seed: 1 }
    }

    /// Sets the number of connections.
    pub fn connections(mut self, connections: usize) -> Config {
        self.connections = connections;
        self
    }

    /// Sets the operations a second, over all connections.
    pub fn rate(mut self, rate: f64) -> Config {
        self.rate = rate;
        self
    }

    /// Sets the seed.
    pub fn seed(mut self, seed: u64) -> Config {
        self.seed = seed;
        self
    }
}

/// Running traffic. Dropping it ends it at once; [`stop`](Traffic::stop) ends it in order.
#[derive(Debug)]
pub struct Traffic {
    shared: Arc<Shared>,
    clients: JoinSet<()>,
}

/// What the clients of one run share.
#[derive(Debug)]
struct Shared {
    url: String,
    rate: f64,
    start: Instant,
    /// Number of the next operation that nobody has taken.
    next: AtomicU64,
    /// Operations with this number and higher are not taken any more.
    end: AtomicU64,
    /// For each connection, the due time of what it is doing, in microseconds since `start`.
    busy: Vec<AtomicU64>,
    recorder: Mutex<Recorder>,
}

impl Traffic {
    /// Opens the connections, then starts the clock. Fails when the first connections do.
    pub async fn start<W: Workload>(config: Config, workload: W) -> Result<Traffic> {
        ensure!(config.connections > 0, "traffic needs a connection");
        ensure!(config.rate.is_finite() && config.rate > 0.0, "traffic needs a rate above zero");
        let mut connected = Vec::new();
        for _ in 0..config.connections {
            connected.push(connect(&config.url).await?);
        }
        let shared = Arc::new(Shared {
            url: config.url,
            rate: config.rate,
            start: Instant::now(),
            next: AtomicU64::new(0),
            end: AtomicU64::new(u64::MAX),
            busy: connected.iter().map(|_| AtomicU64::new(NOT_BUSY)).collect(),
            recorder: Mutex::new(Recorder::default()),
        });
        let workload = Arc::new(workload);
        let mut clients = JoinSet::new();
        for (number, client) in connected.into_iter().enumerate() {
            let rng = StdRng::seed_from_u64(config.seed.wrapping_add(number as u64));
            clients.spawn(serve(shared.clone(), workload.clone(), number, client, rng));
        }
        Ok(Traffic { shared, clients })
    }

    /// Everything so far.
    pub fn snapshot(&self) -> Report {
        let elapsed = self.shared.start.elapsed();
        self.shared.recorder().report(elapsed, self.shared.due_by(elapsed))
    }

    /// The last second, and how long the oldest unanswered operation has been waiting; cheap.
    pub fn live(&self) -> Live {
        let elapsed = self.shared.start.elapsed();
        let oldest = self.shared.busy.iter().map(|due| due.load(Ordering::Relaxed)).min();
        let waiting = oldest.filter(|&due| due != NOT_BUSY).map(Duration::from_micros);
        self.shared
            .recorder()
            .live(elapsed, waiting.map_or(Duration::ZERO, |due| elapsed.saturating_sub(due)))
    }

    /// Time since the traffic began; the clock of [`Bucket::at`] and [`FailedOperation::at`].
    pub fn elapsed(&self) -> Duration {
        self.shared.start.elapsed()
    }

    /// Lets no further operation fall due, waits for those that were (half a minute at most), and reports.
    pub async fn stop(mut self) -> Report {
        let end = self.shared.due_by(self.shared.start.elapsed());
        self.shared.end.store(end, Ordering::SeqCst);
        let finished = async { while self.clients.join_next().await.is_some() {} };
        let _ = timeout(DRAIN_LIMIT, finished).await;
        self.clients.abort_all();
        // A connection that slept until a later operation has taken it already, and has served it too.
        let scheduled = self.shared.next.load(Ordering::SeqCst).max(end);
        self.shared.recorder().report(self.shared.start.elapsed(), scheduled)
    }
}

impl Shared {
    fn recorder(&self) -> MutexGuard<'_, Recorder> {
        // Numbers stay usable when a client's task has panicked.
        self.recorder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn due(&self, operation: u64) -> Duration {
        Duration::from_secs_f64(operation as f64 / self.rate)
    }

    /// How many operations are due at this time.
    fn due_by(&self, elapsed: Duration) -> u64 {
        (elapsed.as_secs_f64() * self.rate).ceil() as u64
    }

    /// The next operation, unless the traffic has ended.
    fn take(&self) -> Option<u64> {
        let end = self.end.load(Ordering::SeqCst);
        let increment = |next: u64| (next < end).then_some(next + 1);
        self.next.fetch_update(Ordering::SeqCst, Ordering::SeqCst, increment).ok()
    }
}

/// One connection: takes what is due, does it, and writes down how long it took.
async fn serve<W: Workload>(
    shared: Arc<Shared>,
    workload: Arc<W>,
    number: usize,
    mut client: Client,
    mut rng: StdRng,
) {
    let mut session = W::Session::default();
    while let Some(operation) = shared.take() {
        let due = shared.due(operation);
        let mut begun = shared.start + due;
        if Instant::now() < begun {
            sleep_until(begun.into()).await;
            begun = Instant::now();
        }
        shared.busy[number].store(due.as_micros() as u64, Ordering::Relaxed);
        let kind = workload.pick(&mut rng);
        let outcome = workload.once(kind, &mut client, &mut session, &mut rng).await;
        shared.recorder().operation(due, kind, begun.elapsed(), outcome);
        if client.is_closed() {
            client = reconnect(&shared).await;
            session = W::Session::default();
        }
        shared.busy[number].store(NOT_BUSY, Ordering::Relaxed);
    }
}

/// Tries until it works; meanwhile operations fall due and wait.
async fn reconnect(shared: &Shared) -> Client {
    loop {
        if let Ok(client) = connect(&shared.url).await {
            shared.recorder().reconnected();
            return client;
        }
        sleep(RECONNECT_PAUSE).await;
    }
}
