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

/// See the module.
pub(crate) struct Online {
    url: String,
    settings: Settings,
    files: Vec<MigrationFile>,
    engine: Option<Engine>,
    written: u64,
    stalls: Counted,
}

/// Where the observer counts; read when the run is over.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counted(Arc<Mutex<Stalls>>);

impl Counted {
    /// So far.
    pub(crate) fn get(&self) -> Stalls {
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
}

impl Online {
    /// Runs this file on the database behind this connection string.
    pub(crate) fn new(url: String, settings: Settings, file: MigrationFile) -> Online {
        Online { url, settings, files: vec![file], engine: None, written: 0, stalls: Counted::default() }
    }

    /// What it will have counted.
    pub(crate) fn stalls(&self) -> Counted {
        self.stalls.clone()
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
}

impl Migrate for Online {
    async fn before_deploy(&mut self, notes: &Notes) -> Result<()> {
        notes.begin('e', "expand");
        let files = self.files.clone();
        let engine = self.engine(notes).await?;
        engine.init().await?;
        engine.expand(&files, None).await?;
        Ok(())
    }

    async fn after_deploy(&mut self, notes: &Notes) -> Result<()> {
        notes.begin('c', "contract");
        let files = self.files.clone();
        let engine = self.engine(notes).await?;
        // Nothing in this file removes data: if it did, this would fail.
        engine.contract(&files, None, Confirm { destroy: false }).await?;
        let status = engine.status(&files).await?;
        self.written =
            status.iter().flat_map(|migration| &migration.steps).filter_map(|step| step.rows).sum();
        Ok(())
    }

    fn written(&self) -> u64 {
        self.written
    }
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
                let mut known = lock(&self.phase);
                if *known != Some(*phase) {
                    *known = Some(*phase);
                    self.notes.begin(letter(*phase), phase.as_str());
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
