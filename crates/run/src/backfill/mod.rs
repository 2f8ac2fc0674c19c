//! Rows in batches: throttled, journaled, resumable.
//!
//! ```text
//! pages    windows of heap pages, strided; for writes with a "pending" predicate
//! keys     ascending batches of a key; for writes that may be repeated
//! row_set  slices of a row set that was fixed at the start; for writes that may not
//! ```
//! Every batch is one transaction: fence, write, cursor. Its COMMIT does not wait for the WAL to reach the disk: should
//! the server crash, the batches that are lost are lost together with their cursor, in order from the last one back, so
//! what is left is a state that was true a moment before, for writes that must not be repeated too. The step's end
//! commits synchronously, and with it everything before it. Source: doc/src/sgml/wal.sgml, "Asynchronous Commit".

mod keys;
mod pages;
mod row_set;

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use concertina_plan::batch;
use concertina_plan::plan::{Backfill, Walk};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::types::Type;

use crate::error::{Doing, Error, Failure};
use crate::event::Event;
use crate::executor::{Backoff, Job, Run};
use crate::ledger::{self, SpanKind, StepRow};
use crate::long_step::{check_patience, is_violation, violated};
use crate::throttle::{Size, Throttle};
use crate::watch::{NOW_AND_THEN, watched};
use crate::{failpoint, observe, obstacle};

/// Runs the backfill from where the ledger says it stands.
pub(crate) async fn run(
    run: &mut Run,
    job: &Job<'_>,
    work: &Backfill,
    known: Option<&StepRow>,
) -> Result<(), Error> {
    run.begin_try(job).await?;
    let mut walker = Walker::new(run, job, work, known).await?;
    match &work.walk {
        Walk::Pages { stride } => pages::run(run, &mut walker, *stride, known).await,
        Walk::Key { columns } => keys::run(run, &mut walker, columns, known).await,
        Walk::RowSet(row_set) => row_set::run(run, &mut walker, row_set, known).await,
    }
}

/// What the walks share: batches as transactions, their retries, their manners, their progress.
pub(crate) struct Walker<'p> {
    pub(crate) job: Job<'p>,
    pub(crate) work: &'p Backfill,
    /// Rows written so far, in all runs.
    pub(crate) rows: i64,
    /// Oid of the table, for watching who waits.
    table: u32,
    settings: String,
    throttle: Throttle,
    progress: Progress,
    observed: bool,
    /// Since when, and after how many tries, batch after batch was given up.
    missing: Option<(Instant, u32, Backoff)>,
}

impl<'p> Walker<'p> {
    async fn new(
        run: &Run,
        job: &Job<'p>,
        work: &'p Backfill,
        known: Option<&StepRow>,
    ) -> Result<Self, Error> {
        let name = work.table.to_string();
        let row = run
            .work
            .client
            .query_typed_one("SELECT $1::regclass::oid", &[(&name, Type::TEXT)])
            .await
            .doing(&format!("look up {name}"))
            .map_err(|error| job.failed(&error))?;
        let mut settings = format!("SET LOCAL synchronous_commit = off; {}", batch::settings(work));
        if !work.fire_triggers && may_skip_triggers(run).await? {
            settings.push_str("; SET LOCAL session_replication_role = replica");
        }
        Ok(Self {
            job: *job,
            work,
            rows: known.and_then(|row| row.rows).unwrap_or_default(),
            table: row.get(0),
            settings,
            throttle: Throttle::new(),
            progress: Progress::new(),
            observed: false,
            missing: None,
        })
    }

    /// Runs a statement and saves the cursor in one transaction, then rests. `None` when it was given up, because a client had
    /// waited too long or a lock was not to be had: nothing happened then, `size` is smaller, and the caller asks again.
    pub(crate) async fn batch<C: Serialize>(
        &mut self,
        run: &mut Run,
        size: &mut Size,
        statement: &str,
        cursor: &C,
    ) -> Result<Option<Duration>, Error> {
        let tried = Instant::now();
        let (limit, unbounded) = (run.settings.max_stall.mul_f64(0.6), AtomicBool::new(false));
        let (control, table) = (&run.control, [self.table]);
        let (result, stalls) = watched(control, &run.work, &table, limit, NOW_AND_THEN, &unbounded, async {
            let result = self.transaction(run, statement, cursor).await;
            if result.is_err() {
                run.rollback().await;
            }
            result
        })
        .await;
        if stalls.victims() > 0 {
            size.halve();
            run.account(&self.job, tried, &stalls, Duration::ZERO).await?;
        }
        run.journal.keep(&run.work.client).await;
        match result {
            Ok((rows, took)) => {
                failpoint::reach("batch_after_commit");
                self.rows += rows;
                self.observed = true;
                self.missing = None;
                self.throttle.rest(run, &self.job, took).await?;
                Ok(Some(took))
            }
            Err(error) if error.failure().is_transient() => {
                run.check_stop()?;
                let reason = stalls.withdrawn.clone().unwrap_or_else(|| error.to_string());
                size.halve();
                run.journal.note(SpanKind::GivenUp, tried, reason.clone());
                self.missed(run, &reason).await?;
                Ok(None)
            }
            Err(error) if error.sqlstate().is_some_and(is_violation) => Err(violated(&self.job, &error)),
            Err(error @ Error::Sql { .. }) => Err(self.job.failed(&error)),
            Err(error) => Err(error),
        }
    }

    async fn missed(&mut self, run: &Run, reason: &str) -> Result<(), Error> {
        let new = || (Instant::now(), 0, Backoff::new(Duration::from_millis(50), Duration::from_secs(5)));
        let (since, attempts, backoff) = self.missing.get_or_insert_with(new);
        *attempts += 1;
        run.tell(&Event::Retry { step: self.job.number, attempt: *attempts, reason: reason.to_owned() });
        run.check_total_stall(&self.job, reason)?;
        check_patience(run, &self.job, *since, reason)?;
        let delay = backoff.next();
        run.pause(delay).await
    }

    /// Returns the rows written, and the time that the server worked: the way there and back burdens nobody, so that
    /// batches are as long from afar as from nearby.
    async fn transaction<C: Serialize>(
        &self,
        run: &Run,
        statement: &str,
        cursor: &C,
    ) -> Result<(i64, Duration), Error> {
        // Sent together, answered in order: a batch costs two round trips. Whether the fence held is known before COMMIT.
        let client = &run.work.client;
        let begin = format!("BEGIN; {}", self.settings);
        let (begun, fenced, done, worked) = tokio::join!(
            client.batch_execute(&begin),
            run.fence(),
            client.simple_query(statement),
            client.query_typed_one(WORKED, &[])
        );
        begun.doing("begin a batch")?;
        fenced?;
        let rows = done.doing(&self.job.step.title)?.iter().map(written).sum::<i64>();
        let worked: f64 = worked.doing("look at the server's clock")?.get(0);
        let cursor = to_json(cursor)?;
        if run.settings.observe_locks && !self.observed {
            let claims = obstacle::claimed(&run.control, &self.job.step.locks).await?;
            let before = observe::Before::look(&run.control, &claims).await?;
            before.report(&run.control, &run.work, &self.job, &*run.observer).await?;
        }
        failpoint::reach("batch_before_commit");
        // After a failed statement COMMIT is a ROLLBACK.
        let save = ledger::save_cursor(client, self.job.key, &cursor, self.rows + rows);
        let (saved, committed) = tokio::join!(save, run.commit());
        saved?;
        committed?;
        Ok((rows, Duration::from_secs_f64(worked.max(0.0))))
    }

    pub(crate) async fn rest(&mut self, run: &Run, worked: Duration) -> Result<(), Error> {
        self.throttle.rest(run, &self.job, worked).await
    }

    pub(crate) fn tell(&mut self, run: &Run, done: f64) {
        self.progress.tell(run, &self.job, self.rows, done);
    }

    /// Ends the step, with `last` in the same transaction, durably.
    pub(crate) async fn finish(&mut self, run: &Run, last: Option<&str>) -> Result<(), Error> {
        let (key, rows) = (self.job.key, self.rows);
        let client = &run.work.client;
        run.in_ledger(async {
            if let Some(statement) = last {
                client.batch_execute(statement).await.doing("remove the row set")?;
            }
            ledger::finish_step(client, key, Some(rows)).await?;
            failpoint::reach("before_commit");
            Ok(())
        })
        .await?;
        self.progress.told = None;
        self.progress.tell(run, &self.job, rows, 1.0);
        Ok(())
    }
}

/// Seconds since BEGIN. Source: doc/src/sgml/func.sgml, "Current Date/Time".
const WORKED: &str = "SELECT extract(epoch FROM clock_timestamp() - transaction_timestamp())::float8";

fn written(message: &SimpleQueryMessage) -> i64 {
    match message {
        SimpleQueryMessage::CommandComplete(rows) => i64::try_from(*rows).unwrap_or(i64::MAX),
        _ => 0,
    }
}

/// A cursor for the ledger.
pub(crate) fn to_json<C: Serialize>(cursor: &C) -> Result<serde_json::Value, Error> {
    serde_json::to_value(cursor)
        .map_err(|error| Error::Ledger { message: format!("the cursor cannot be written: {error}") })
}

/// The cursor of an earlier run, if it is of this walk.
pub(crate) fn cursor<C: DeserializeOwned>(known: Option<&StepRow>) -> Result<Option<C>, Error> {
    let Some(value) = known.and_then(|row| row.cursor.clone()) else { return Ok(None) };
    serde_json::from_value(value).map(Some).map_err(|error| Error::Ledger {
        message: format!("the ledger cannot be read: the cursor of a backfill: {error}"),
    })
}

/// Whether the role may keep triggers silent: superusers, and since 15 whoever was granted the parameter.
/// Source: doc/src/sgml/ddl.sgml, "Privileges" (SET on parameters).
async fn may_skip_triggers(run: &Run) -> Result<bool, Error> {
    let set = run.work.client.batch_execute("BEGIN; SET LOCAL session_replication_role = replica").await;
    run.rollback().await;
    match set {
        Ok(()) => Ok(true),
        Err(error) if Failure::of(&error) == Failure::Privilege => Ok(false),
        Err(error) => Err(error).doing("ask whether triggers may be kept silent"),
    }
}

/// Tells how far the walk is, at most five times a second.
struct Progress {
    began: Instant,
    /// Where this run began, 0 to 1.
    from: Option<f64>,
    told: Option<Instant>,
    /// Rows and time at the last telling, and the rate since, smoothed.
    last: Option<(i64, Instant)>,
    rate: f64,
}

impl Progress {
    fn new() -> Self {
        Self { began: Instant::now(), from: None, told: None, last: None, rate: 0.0 }
    }

    fn tell(&mut self, run: &Run, job: &Job<'_>, rows: i64, done: f64) {
        let from = *self.from.get_or_insert(done);
        if self.told.is_some_and(|told| told.elapsed() < Duration::from_millis(200)) {
            return;
        }
        let now = Instant::now();
        self.told = Some(now);
        if let Some((before, at)) = self.last {
            let latest = (rows - before) as f64 / (now - at).as_secs_f64().max(0.001);
            self.rate = if self.rate == 0.0 { latest } else { 0.8 * self.rate + 0.2 * latest };
        }
        self.last = Some((rows, now));
        let walked = done - from;
        let eta = (walked > 0.0).then(|| self.began.elapsed().mul_f64((1.0 - done).max(0.0) / walked));
        let rows = u64::try_from(rows).unwrap_or_default();
        run.tell(&Event::Progress {
            step: job.number,
            rows,
            done: done.clamp(0.0, 1.0),
            rate: self.rate,
            eta,
        });
    }
}
