//! The file as Concertina runs it: `expand`, and after the deploy `contract`, with the settings that everybody gets.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use concertina_plan::plan::Phase;
use concertina_plan::policy::Policy;
use concertina_run::connect::Target;
use concertina_run::engine::{Confirm, Engine, Stop};
use concertina_run::event::{Event, Observer};
use concertina_run::settings::Settings;
use concertina_run::state::MigrationFile;

use super::run::{Migrate, Notes};
use crate::render::count;
use crate::wire::{HeldLock, ReportStep, Spent};

/// See the module.
pub(crate) struct Online {
    url: String,
    settings: Settings,
    files: Vec<MigrationFile>,
    engine: Option<Engine>,
    written: u64,
    stalls: Counted,
    steps: Vec<ReportStep>,
}

/// Where the observer counts; read when the run is over.
#[derive(Clone, Debug, Default)]
struct Counted(Arc<Mutex<Stalls>>);

impl Counted {
    /// So far.
    fn get(&self) -> Stalls {
        *lock(&self.0)
    }
}

/// What Concertina itself counted: waits that it caused, by `pg_locks`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stalls {
    /// The longest.
    pub(crate) worst: Duration,
    /// All together.
    pub(crate) sum: Duration,
    /// Lock tries that were given up and repeated.
    pub(crate) retries: u32,
    /// When the first step began: what the ledger's clock and the traffic's have in common.
    began: Option<Duration>,
}

impl Online {
    /// Runs this file on the database behind this connection string.
    pub(crate) fn new(url: String, settings: Settings, file: MigrationFile) -> Online {
        let (files, stalls, steps) = (vec![file], Counted::default(), Vec::new());
        Online { url, settings, files, engine: None, written: 0, stalls, steps }
    }

    /// What it counted.
    pub(crate) fn stalls(&self) -> Stalls {
        self.stalls.get()
    }

    /// Its steps, and what came of them, on the traffic's clock.
    pub(crate) fn steps(&self) -> &[ReportStep] {
        &self.steps
    }

    async fn engine(&mut self, notes: &Notes) -> Result<&Engine> {
        let engine = match self.engine.take() {
            Some(engine) => engine,
            None => {
                let observer =
                    Marks { notes: notes.clone(), phase: Mutex::default(), stalls: self.stalls.clone() };
                let target = Target::resolve(Some(&self.url))?;
                // Ctrl-C drops the whole demo, server included: nobody asks this run to stop.
                Engine::connect(
                    target,
                    self.settings.clone(),
                    Policy::default(),
                    Arc::new(observer),
                    Stop::default(),
                )
                .await?
            }
        };
        Ok(self.engine.insert(engine))
    }

    /// What the ledger holds of the run.
    async fn reported(&self) -> Result<Vec<ReportStep>> {
        let (Some(engine), Some(file)) = (&self.engine, self.files.first()) else { return Ok(Vec::new()) };
        let Some(report) = engine.report(&file.name).await? else { return Ok(Vec::new()) };
        let steps: Vec<ReportStep> = report.steps.iter().map(ReportStep::from).collect();
        let first = steps.first().and_then(|step| step.began_seconds).unwrap_or_default();
        let began = self.stalls.get().began.unwrap_or_default().as_secs_f64();
        Ok(steps.into_iter().map(|step| step.later(began - first)).collect())
    }
}

impl Migrate for Online {
    async fn before_deploy(&mut self, notes: &Notes) -> Result<()> {
        notes.begin('e', "expand", meaning(Phase::Expand));
        let files = self.files.clone();
        let engine = self.engine(notes).await?;
        engine.init().await?;
        engine.expand(&files, None).await?;
        Ok(())
    }

    async fn after_deploy(&mut self, notes: &Notes) -> Result<()> {
        notes.begin('c', "contract", meaning(Phase::Contract));
        let files = self.files.clone();
        let engine = self.engine(notes).await?;
        // Nothing in this file removes data: if it did, this would fail.
        engine.contract(&files, None, Confirm { destroy: false }).await?;
        let status = engine.status(&files).await?;
        self.written =
            status.iter().flat_map(|migration| &migration.steps).filter_map(|step| step.rows).sum();
        self.steps = self.reported().await?;
        Ok(())
    }

    fn written(&self) -> u64 {
        self.written
    }

    fn locks(&self) -> Vec<HeldLock> {
        let mut locks: Vec<HeldLock> = self.steps.iter().flat_map(held).collect();
        locks.sort_by(|one, other| one.from_seconds.total_cmp(&other.from_seconds));
        locks
    }
}

/// The locks of a step that keep readers or writers waiting, as often as they were held.
fn held(step: &ReportStep) -> impl Iterator<Item = HeldLock> {
    let spans = step.spans.iter().filter(|span| span.kind == Spent::Locks);
    spans.flat_map(|span| {
        let blocking = step.locks.iter().filter(|lock| lock.blocks_writes);
        blocking.map(|lock| HeldLock {
            lock: lock.clone(),
            from_seconds: span.from_seconds,
            to_seconds: span.to_seconds,
        })
    })
}

/// Notes the beginning of each phase.
struct Marks {
    notes: Notes,
    phase: Mutex<Option<Phase>>,
    stalls: Counted,
}

impl Observer for Marks {
    fn event(&self, event: &Event) {
        match event {
            Event::StepStarted { phase, title, .. } => {
                lock(&self.stalls.0).began.get_or_insert_with(|| self.notes.elapsed());
                let mut known = lock(&self.phase);
                if *known != Some(*phase) {
                    *known = Some(*phase);
                    self.notes.begin(letter(*phase), phase.as_str(), meaning(*phase));
                }
                self.notes.progress(title.clone(), None);
            }
            Event::Progress { rows, done, rate, .. } => {
                let text = format!("backfill: {} rows, {} rows/s", count(*rows), count(rate.round() as u64));
                self.notes.progress(text, Some(*done));
            }
            Event::Waiting { reason, .. } => self.notes.progress(format!("waiting: {reason}"), None),
            Event::Retry { .. } => lock(&self.stalls.0).retries += 1,
            Event::Stalled { worst, sum, .. } => {
                let mut stalls = lock(&self.stalls.0);
                stalls.worst = stalls.worst.max(*worst);
                stalls.sum += *sum;
            }
            _ => {}
        }
    }
}

fn letter(phase: Phase) -> char {
    match phase {
        Phase::Expand => 'e',
        Phase::Backfill => 'b',
        Phase::Validate => 'v',
        Phase::Switch => 's',
        Phase::Contract => 'c',
    }
}

/// What clients feel of a phase, or do not.
fn meaning(phase: Phase) -> &'static str {
    match phase {
        Phase::Expand => {
            "the column and the trigger that fills it for new rows arrive in one transaction of milliseconds"
        }
        Phase::Backfill => {
            "old rows are filled in batches of milliseconds, with pauses for the clients between them"
        }
        Phase::Validate => {
            "proofs and the index run beside reads and writes; only their last instants need a strong lock"
        }
        Phase::Switch => "old and new shape change places in one short transaction",
        Phase::Contract => "no old code runs any more: the trigger goes, in one transaction of milliseconds",
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
