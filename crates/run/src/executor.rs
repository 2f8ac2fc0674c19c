//! Runs the steps of a stored plan: skips what the ledger knows to be done, dispatches on the action, survives lost
//! connections, and leaves every failure in a state that the next command can go on from.
//!
//! ```text
//! steps ─▶ one step ─▶ ddl_step   Transaction: short, under the stall budget
//!                 ├──▶ long_step  Long, Proof: long, in a transaction that hurts nobody
//!                 ├──▶ alone      CONCURRENTLY: outside a transaction, healed and probed
//!                 └──▶ backfill   rows in batches
//! ```
//! A step that runs in transactions commits its ledger row with its effect. After any error around a COMMIT the row is
//! read again: it alone knows whether the commit took place.

use std::sync::Arc;
use std::time::{Duration, Instant};

use concertina_plan::estimate::{StepEstimate, span};
use concertina_plan::plan::{Action, Plan, Step};
use rand::Rng;
use tokio::time::sleep;

use crate::connect::{Session, Target};
use crate::engine::{Engine, Stop};
use crate::error::{Doing, Error, Failure};
use crate::event::{Event, Observer};
use crate::journal::Journal;
use crate::lease::{self, Lease};
use crate::ledger::{self, Direction, StepKey, StepRow};
use crate::obstacle::seconds;
use crate::room::{Level, Watch};
use crate::settings::Settings;
use crate::state::StepState;
use crate::watch::Stalls;
use crate::{alone, backfill, ddl_step, denied, failpoint, long_step, outlook};

/// How long a lost server is waited for.
const RECONNECT_PATIENCE: Duration = Duration::from_secs(60);

/// What a command carries while it runs: its sessions, its lease, its budgets.
pub(crate) struct Run {
    pub(crate) target: Target,
    pub(crate) settings: Settings,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) stop: Stop,
    /// Runs the steps, under the configured role.
    pub(crate) work: Session,
    /// Watches and cancels, under the login's own role. Never inside a transaction.
    pub(crate) control: Session,
    pub(crate) lease: Lease,
    /// Waits of others because of us, since the migration's command began.
    pub(crate) stalled: Duration,
    /// What the step under way spends its time on.
    pub(crate) journal: Journal,
    /// Looks at the server's disk while steps run.
    pub(crate) room: Watch,
    search_path: Option<String>,
}

/// A step to run, with its name in the ledger.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job<'p> {
    pub(crate) migration: &'p str,
    pub(crate) key: StepKey,
    /// Number for people, from 1: of the step itself, or of the one that is undone.
    pub(crate) number: usize,
    pub(crate) step: &'p Step,
    /// What is expected of it; `None` for undo.
    pub(crate) estimate: Option<&'p StepEstimate>,
}

impl Job<'_> {
    /// A server error that trying again does not help, with what it means for the run.
    pub(crate) fn failed(&self, error: &Error) -> Error {
        let Error::Sql { sqlstate, message, .. } = error else {
            return Error::Step {
                step: self.number,
                title: self.step.title.clone(),
                sqlstate: "-----".to_owned(),
                message: error.to_string(),
                hint: self.hint(),
            };
        };
        Error::Step {
            step: self.number,
            title: self.step.title.clone(),
            sqlstate: sqlstate.clone(),
            message: message.clone(),
            hint: self.hint(),
        }
    }

    fn hint(&self) -> String {
        let state = match &self.step.action {
            Action::Backfill(_) => "batches that were committed stay, and are not repeated",
            _ => "nothing of this step was applied; the steps before it stay",
        };
        format!(
            "{state}. Correct the cause and run the same command again, or take the migration back with `undo`"
        )
    }
}

impl Run {
    pub(crate) fn new(engine: &Engine, work: Session, control: Session, lease: Lease) -> Self {
        Self {
            target: engine.target.clone(),
            settings: engine.settings.clone(),
            observer: Arc::clone(&engine.observer),
            stop: engine.stop.clone(),
            work,
            control,
            lease,
            stalled: Duration::ZERO,
            journal: Journal::default(),
            room: Watch::default(),
            search_path: None,
        }
    }

    /// Gives the lease back.
    pub(crate) async fn close(self) {
        self.lease.release().await;
    }

    pub(crate) fn tell(&self, event: &Event) {
        self.journal.hear(event);
        self.observer.event(event);
    }

    /// [`Error::Interrupted`] once a stop was asked for, [`Error::Fenced`] once another runner took over. Called wherever
    /// stopping is safe.
    pub(crate) fn check_stop(&self) -> Result<(), Error> {
        // What it was stopped for is said where the step ends.
        if self.stop.requested() || self.room.is_stopped() {
            return Err(Error::Interrupted);
        }
        if self.lease.is_lost() { Err(Error::Fenced) } else { Ok(()) }
    }

    /// A statement that was ended because room ran out says so instead of what the server made of it.
    fn for_room(&self, job: &Job<'_>, error: Error) -> Error {
        match self.room.take_stopped() {
            Some(Level::Below { have, reason })
                if !self.stop.requested() && !matches!(error, Error::Fenced) =>
            {
                self.no_room(job, have, reason)
            }
            _ => error,
        }
    }

    /// The step stops because the server's disk fills up.
    pub(crate) fn no_room(&self, job: &Job<'_>, have: u64, message: String) -> Error {
        Error::NoRoom {
            migration: job.migration.to_owned(),
            step: job.number,
            title: job.step.title.clone(),
            need: self.settings.disk.reserve,
            have,
            message,
            hint: outlook::hint(),
        }
    }

    /// Sleeps, but no longer than until a stop is asked for.
    pub(crate) async fn pause(&self, time: Duration) -> Result<(), Error> {
        let until = Instant::now() + time;
        loop {
            self.check_stop()?;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            sleep(left.min(Duration::from_millis(50))).await;
        }
    }

    /// Backends of this run: never obstacles, never victims.
    pub(crate) fn backends(&self) -> [i32; 2] {
        [self.work.pid, self.control.pid]
    }

    /// Runs statements under the plan's `search_path`, from now on and after every reconnect.
    pub(crate) async fn use_search_path(&mut self, plan: &Plan) -> Result<(), Error> {
        let path: Vec<String> = plan.search_path.iter().map(ToString::to_string).collect();
        let path = if path.is_empty() { "''".to_owned() } else { path.join(", ") };
        self.search_path = Some(format!("SET search_path = {path}"));
        self.set_search_path().await
    }

    async fn set_search_path(&self) -> Result<(), Error> {
        match &self.search_path {
            Some(sql) => self.work.client.batch_execute(sql).await.doing("set the search_path"),
            None => Ok(()),
        }
    }

    /// Where every row counts, one that a row security policy hides is an error of the server's, and never a row left out.
    /// Source: "row_security" in doc/src/sgml/config.sgml.
    async fn see_all_rows(&self, all: bool) -> Result<(), Error> {
        let sql = if all { "SET row_security = off" } else { "RESET row_security" };
        self.work.client.batch_execute(sql).await.doing("choose how row security applies")
    }

    /// Begins a transaction that only the holder of the lease can commit.
    pub(crate) async fn begin(&self, settings: &str) -> Result<(), Error> {
        self.work.client.batch_execute(&format!("BEGIN; {settings}")).await.doing("begin a transaction")?;
        self.fence().await
    }

    /// Locks the lease row against takeover until the transaction ends, and checks that it is ours.
    pub(crate) async fn fence(&self) -> Result<(), Error> {
        lease::fence(&self.work.client, self.lease.token()).await
    }

    pub(crate) async fn commit(&self) -> Result<(), Error> {
        self.work.client.batch_execute("COMMIT").await.doing("commit")
    }

    /// Ends a failed transaction. If the session is gone there is nothing to end.
    pub(crate) async fn rollback(&self) {
        let _ = self.work.client.batch_execute("ROLLBACK").await;
    }

    /// Runs ledger statements of the work session in a fenced transaction of their own.
    pub(crate) async fn in_ledger<T>(
        &self,
        write: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let result = async {
            self.begin("SET LOCAL lock_timeout = '10s'").await?;
            let value = write.await?;
            self.commit().await?;
            Ok(value)
        }
        .await;
        if result.is_err() {
            self.rollback().await;
        }
        result
    }

    /// Notes that a try begins on the work session.
    pub(crate) async fn begin_try(&self, job: &Job<'_>) -> Result<i32, Error> {
        let work = &self.work;
        let attempts =
            self.in_ledger(ledger::begin_step(&work.client, job.key, work.pid, &work.backend_start)).await?;
        failpoint::reach("step_begun");
        Ok(attempts)
    }

    /// Notes that the step is done, outside of any transaction of the step.
    pub(crate) async fn finish(&self, job: &Job<'_>, rows: Option<i64>) -> Result<(), Error> {
        self.in_ledger(ledger::finish_step(&self.work.client, job.key, rows)).await
    }

    /// Books what others waited because of a try that began at `tried`, and says so; [`Error::GaveWay`] once the sum is over the budget.
    pub(crate) async fn account(
        &mut self,
        job: &Job<'_>,
        tried: Instant,
        stalls: &Stalls,
        lock_wait: Duration,
    ) -> Result<(), Error> {
        self.stalled += stalls.sum();
        self.journal.stalled(tried, stalls);
        if stalls.victims() > 0 {
            self.tell(&Event::Stalled {
                step: job.number,
                victims: stalls.victims(),
                worst: stalls.worst(),
                sum: stalls.sum(),
            });
        }
        if stalls.victims() > 0 || lock_wait > Duration::from_millis(1) {
            let (victims, wait) = (stalls.sum().as_secs_f64() * 1e3, lock_wait.as_secs_f64() * 1e3);
            self.in_ledger(ledger::add_victim_ms(&self.work.client, job.key, victims, wait)).await?;
        }
        Ok(())
    }

    /// Whether the sum of stalls still allows another try.
    pub(crate) fn check_total_stall(&self, job: &Job<'_>, reason: &str) -> Result<(), Error> {
        if self.stalled < self.settings.total_stall {
            return Ok(());
        }
        Err(Error::GaveWay {
            message: format!(
                "step {} \"{}\": other sessions have waited {} in all because of our tries (total_stall is {}); last: \
                 {reason}. Nothing of this step was applied. Run the same command again at a quieter time, or raise \
                 total_stall",
                job.number,
                job.step.title,
                seconds(self.stalled),
                seconds(self.settings.total_stall)
            ),
        })
    }

    /// Opens both sessions anew after a connection was lost, and ends what the old backend may still be running.
    pub(crate) async fn reconnect(&mut self, number: usize, lost: &Error) -> Result<(), Error> {
        let old = (self.work.pid, self.work.backend_start.clone());
        let since = Instant::now();
        let mut delay = Duration::from_millis(100);
        loop {
            self.tell(&Event::Waiting {
                step: number,
                reason: format!("the connection was lost ({lost}); connecting again"),
                since: since.elapsed(),
            });
            self.pause(delay).await?;
            match self.connect_again(&old).await {
                Ok(()) => return Ok(()),
                Err(error)
                    if error.failure() == Failure::ConnectionLost && since.elapsed() < RECONNECT_PATIENCE =>
                {
                    delay = (delay * 2).min(Duration::from_secs(5));
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn connect_again(&mut self, old: &(i32, String)) -> Result<(), Error> {
        let work = self.target.connect("work", &self.settings).await?;
        let control = self.target.connect_control("control", &self.settings).await?;
        lease::end_orphans(&control.client, std::slice::from_ref(old)).await?;
        self.work = work;
        self.control = control;
        self.set_search_path().await?;
        self.fence().await
    }
}

/// Runs jobs in order, and returns how many were executed. `rows` is what the ledger knows.
pub(crate) async fn run(run: &mut Run, jobs: &[Job<'_>], rows: &[StepRow]) -> Result<usize, Error> {
    let mut executed = 0;
    for job in jobs {
        let known = find(rows, job.key);
        if known.is_some_and(|row| row.state == StepState::Done) {
            continue;
        }
        run.check_stop()?;
        run.room.begin(job.estimate);
        if let Some(estimate) = job.estimate {
            outlook::require_again(run, job.migration, job.number - 1, &job.step.title, estimate).await?;
        }
        executed += usize::from(one(run, job, known.cloned()).await?);
    }
    Ok(executed)
}

pub(crate) fn find(rows: &[StepRow], key: StepKey) -> Option<&StepRow> {
    rows.iter().find(|row| (row.direction, row.ordinal, row.sub) == (key.direction, key.ordinal, key.sub))
}

/// Runs one step to its end. Returns whether anything was executed.
async fn one(run: &mut Run, job: &Job<'_>, mut known: Option<StepRow>) -> Result<bool, Error> {
    let started = Instant::now();
    let resumed = known.is_some();
    run.journal.begin(job.key);
    run.tell(&Event::StepStarted {
        step: job.number,
        phase: job.step.phase,
        title: job.step.title.clone(),
        resumed,
        expected: job.estimate.map(|estimate| estimate.expected),
    });
    let mut lost = false;
    let already = loop {
        let result = dispatch(run, job, known.as_ref()).await;
        let Err(error) = result else { break result? };
        run.rollback().await;
        let error = run.for_room(job, error);
        let error = denied::explained(&run.work, error, &text(&job.step.action)).await;
        if error.failure() != Failure::ConnectionLost || !run.work.is_closed() && !run.control.is_closed() {
            run.journal.end(&run.work.client).await;
            return Err(note_failure(run, job, error).await);
        }
        run.reconnect(job.number, &error).await?;
        run.journal.waited();
        lost = true;
        // The connection may have gone before, in, or after a COMMIT.
        known = ledger::steps(&run.work.client, job.key.migration).await?.into_iter().find(|row| {
            (row.direction, row.ordinal, row.sub) == (job.key.direction, job.key.ordinal, job.key.sub)
        });
        if known.as_ref().is_some_and(|row| row.state == StepState::Done) {
            break false;
        }
    };
    failpoint::reach("after_commit");
    let took = started.elapsed();
    run.journal.end(&run.work.client).await;
    // One that was interrupted does not tell how fast it is.
    settle(run, job, !resumed && !already && !lost).await;
    run.tell(&Event::StepDone { step: job.number, took, already });
    let kind = match job.key.direction {
        Direction::Forward => "step_done",
        Direction::Undo => "step_undone",
    };
    let expected = match job.estimate {
        Some(estimate) => format!("; expected were {}", span(&estimate.expected)),
        None => String::new(),
    };
    let how =
        if already { "was done already".to_owned() } else { format!("took {}{expected}", seconds(took)) };
    run.log(job.migration, kind, &format!("step {} \"{}\" {how}", job.number, job.step.title)).await?;
    Ok(!already)
}

/// Notes what the step took beside what was expected of it. As with the journal, nothing depends on it.
async fn settle(run: &Run, job: &Job<'_>, tells: bool) {
    let Some(estimate) = job.estimate else { return };
    let lesson = tells.then(|| (estimate.load, run.settings.throttle.pace()));
    if let Err(unwritten) = ledger::settle(&run.work.client, job.key, lesson).await {
        tracing::warn!(%unwritten, "what a step took could not be written beside its estimate");
    }
}

/// Returns whether the step was done already.
async fn dispatch(run: &mut Run, job: &Job<'_>, known: Option<&StepRow>) -> Result<bool, Error> {
    run.see_all_rows(matches!(job.step.action, Action::Proof { .. } | Action::Backfill(_))).await?;
    match &job.step.action {
        Action::Transaction { sql } => ddl_step::run(run, job, sql).await.map(|()| false),
        Action::Long { sql } => long_step::long(run, job, sql).await.map(|()| false),
        Action::Proof { query, violation } => {
            long_step::proof(run, job, query, violation).await.map(|()| false)
        }
        Action::Alone { sql, heal } => alone::run(run, job, sql, heal.as_deref(), known).await,
        Action::Backfill(work) => backfill::run(run, job, work, known).await.map(|()| false),
    }
}

/// What the server is given of a step as it stands in the plan.
fn text(action: &Action) -> String {
    match action {
        Action::Transaction { sql } => sql.join("\n"),
        Action::Long { sql } | Action::Alone { sql, .. } => sql.clone(),
        Action::Proof { query, .. } => query.clone(),
        // The table is our own, and what else it uses is only read.
        Action::Backfill(_) => String::new(),
    }
}

/// Writes down why the step stopped. What cannot be written down must not hide the reason.
async fn note_failure(run: &Run, job: &Job<'_>, error: Error) -> Error {
    if matches!(error, Error::Interrupted | Error::Fenced | Error::Connection { .. }) {
        return error;
    }
    let text = error.to_string();
    let noted = run.in_ledger(ledger::fail_step(&run.work.client, job.key, &text)).await;
    if let Err(unwritten) = noted {
        tracing::warn!(%unwritten, "the failure of a step could not be written down");
    }
    error
}

/// Waiting time between tries: grows by half, and jitters so that two runners or a periodic client never keep step.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
    max: Duration,
}

impl Backoff {
    pub(crate) fn new(first: Duration, max: Duration) -> Self {
        Self { next: first, max }
    }

    pub(crate) fn next(&mut self) -> Duration {
        let delay = self.next.mul_f64(rand::rng().random_range(0.5..1.5));
        self.next = self.next.mul_f64(1.5).min(self.max);
        delay
    }
}
