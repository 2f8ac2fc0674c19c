//! One of the two runs: traffic, quiet seconds, the migration, a rolling deploy, quiet seconds, and a look at the result.
//!
//! ```text
//! naive       ── before ──▶ the file in one transaction ──▶ deploy ──────────────▶ after ─▶ inspect
//! concertina  ── before ──▶ expand ──────────────────────▶ deploy ──▶ contract ──▶ after ─▶ inspect
//! ```
//! Everything but the migration is the same function with the same seed for both.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use concertina_lab::Server;
use concertina_lab::traffic::{Config, Live, Report, Traffic, Window};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::Options;
use super::clients::{Acknowledged, Shop};
use super::shop::{self, ROLE, State};
use super::stage::Stage;
use crate::wire::HeldLock;

/// How long the rolling deploy takes. Real ones take minutes; the longer, the more errors after a naive migration.
pub(crate) const DEPLOY: Duration = Duration::from_secs(3);
/// How long clients are watched after the last statement.
pub(crate) const AFTER: Duration = Duration::from_secs(3);
/// Clients that queued up behind a migration get this long to catch up.
const CATCH_UP_LIMIT: Duration = Duration::from_secs(60);
/// Connections fill their caches and prepare their statements: that is nobody's normal.
const WARM_UP: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(250);
const SEED: u64 = 20_261_121;

/// What a run showed.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// What the clients felt.
    pub(crate) report: Report,
    /// What happened when, in order; without gaps between the first and the last.
    pub(crate) spans: Vec<Span>,
    /// When the migration's first statement began.
    pub(crate) began: Duration,
    /// When it was through and the clients had been watched for a while.
    pub(crate) ended: Duration,
    /// Time that the migration took, without the deploy.
    pub(crate) took: Duration,
    /// Rows that the migration itself wrote.
    pub(crate) written: u64,
    /// What the server acknowledged to clients.
    pub(crate) acknowledged: Acknowledged,
    /// What is in the database.
    pub(crate) state: State,
    /// Locks of the migration that keep others waiting.
    pub(crate) locks: Vec<HeldLock>,
}

impl Outcome {
    /// What clients felt before the migration.
    pub(crate) fn before(&self) -> Window {
        self.report.between(WARM_UP, self.began.saturating_sub(Duration::from_millis(100)))
    }

    /// What they felt from its first statement until [`AFTER`] its last.
    pub(crate) fn during(&self) -> Window {
        self.report.between(self.began, self.ended)
    }
}

/// Something that took a while; times count from the start of the traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// Its mark in the chart.
    pub(crate) letter: char,
    /// What it was.
    pub(crate) what: String,
    /// Beginning.
    pub(crate) from: Duration,
    /// End.
    pub(crate) to: Duration,
}

/// The clock and the notes of a run. Clones share everything; the engine's observer has one.
#[derive(Clone, Debug)]
pub(crate) struct Notes {
    start: Instant,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    spans: Vec<Span>,
    now: String,
    done: Option<f64>,
    /// What that means for the clients, in a sentence.
    meaning: &'static str,
}

impl Notes {
    fn new(start: Instant) -> Notes {
        Notes { start, inner: Arc::default() }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Time since the start of the traffic.
    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// A part begins, which means this for the clients; the one before it ends, unless it is the same.
    pub(crate) fn begin(&self, letter: char, what: impl Into<String>, meaning: &'static str) {
        let at = self.start.elapsed();
        let mut inner = self.inner();
        let what = what.into();
        if let Some(last) = inner.spans.last_mut() {
            last.to = at;
            if last.letter == letter && last.what == what {
                return;
            }
        }
        inner.now.clone_from(&what);
        (inner.done, inner.meaning) = (None, meaning);
        inner.spans.push(Span { letter, what, from: at, to: at });
    }

    /// What is being done, for the display; a share of it is done.
    pub(crate) fn progress(&self, what: impl Into<String>, done: Option<f64>) {
        let mut inner = self.inner();
        (inner.now, inner.done) = (what.into(), done);
    }

    fn end(&self) -> Vec<Span> {
        let mut inner = self.inner();
        if let Some(last) = inner.spans.last_mut() {
            last.to = self.start.elapsed();
        }
        std::mem::take(&mut inner.spans)
    }

    fn now(&self) -> (String, Option<f64>, &'static str) {
        let inner = self.inner();
        (inner.now.clone(), inner.done, inner.meaning)
    }
}

/// How the file is applied.
pub(crate) trait Migrate {
    /// Up to the deploy. Answers with the rows written, as far as they are known.
    fn before_deploy(&mut self, notes: &Notes) -> impl Future<Output = Result<()>>;
    /// After the deploy.
    fn after_deploy(&mut self, notes: &Notes) -> impl Future<Output = Result<()>>;
    /// Rows that it wrote.
    fn written(&self) -> u64;
    /// Locks that it held and that keep others waiting.
    fn locks(&self) -> Vec<HeldLock>;
}

/// Runs it.
pub(crate) async fn run(
    server: &Server,
    database: &str,
    options: &Options,
    stage: &Stage,
    migrate: &mut impl Migrate,
) -> Result<Outcome> {
    let size = shop::Size::of(options.rows);
    // Dirty pages that one run leaves are not to be written during the other.
    let admin = server.connect("postgres").await?;
    admin.batch_execute("CHECKPOINT").await.context("CHECKPOINT")?;
    let clients = Shop::new(size, options.connections);
    let config = Config::new(server.url_as(ROLE, database))
        .connections(options.connections)
        .rate(options.rate)
        .seed(SEED);
    let traffic = Traffic::start(config, clients.clone()).await?;
    let notes = Notes::new(Instant::now() - traffic.elapsed());
    let watch = Watch { stage, traffic: &traffic, notes: &notes };

    notes.begin(
        '.',
        "clients only",
        "what the clients feel while nothing else goes on: the measure for the rest",
    );
    watch.until(quiet(WARM_UP + options.before)).await?;

    let began = traffic.elapsed();
    watch.until(migrate.before_deploy(&notes)).await?;
    let mut took = traffic.elapsed() - began;

    notes.begin(
        'd',
        "rolling deploy of the new code",
        "connection after connection goes over to code that writes the new column; old code runs beside it meanwhile",
    );
    watch.until(deploy(&clients)).await?;

    let again = traffic.elapsed();
    watch.until(migrate.after_deploy(&notes)).await?;
    took += traffic.elapsed() - again;

    notes.begin('.', "clients only", "the migration is over; whoever still waits is answered now");
    watch.until(quiet(AFTER)).await?;
    let limit = traffic.elapsed() + CATCH_UP_LIMIT;
    while traffic.live().waiting > Duration::from_secs(1) && traffic.elapsed() < limit {
        watch.until(quiet(TICK)).await?;
    }
    let ended = traffic.elapsed();
    let report = traffic.stop().await;
    let spans = notes.end();

    stage.live("looking at every row");
    let state = shop::inspect(server, database, size).await?;
    let acknowledged = clients.acknowledged();
    let (written, locks) = (migrate.written(), migrate.locks());
    Ok(Outcome { report, spans, began, ended, took, written, acknowledged, state, locks })
}

async fn quiet(time: Duration) -> Result<()> {
    sleep(time).await;
    Ok(())
}

async fn deploy(clients: &Shop) -> Result<()> {
    clients.deploy(DEPLOY).await;
    Ok(())
}

/// Shows what goes on while something is awaited.
struct Watch<'a> {
    stage: &'a Stage,
    traffic: &'a Traffic,
    notes: &'a Notes,
}

impl Watch<'_> {
    async fn until<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let mut work = pin!(work);
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                result = &mut work => return result,
                _ = ticks.tick() => {
                    let (now, done, meaning) = self.notes.now();
                    self.stage.working(&now, done, &felt(&self.traffic.live()), meaning);
                }
            }
        }
    }
}

/// `400/s, worst 31 ms`
fn felt(live: &Live) -> String {
    use crate::render::duration;
    let mut text = format!("clients: {}/s answered", live.last_second);
    if live.waiting > Duration::from_millis(500) {
        text.push_str(&format!(", waiting for {}", duration(live.waiting)));
    } else {
        text.push_str(&format!(", worst {}", duration(live.max)));
    }
    if live.failed > 0 {
        text.push_str(&format!(", {} failed", crate::render::count(live.failed)));
    }
    text
}
