//! Runs the engine on a database as a command would, and stops it at a step where an oracle wants to look.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use concertina_plan::plan::{Phase, Plan};
use concertina_plan::policy::Policy;
use concertina_run::connect::Target;
use concertina_run::engine::{Confirm, Outcome, Stop};
use concertina_run::event::{Event, Observer};
use concertina_run::settings::{Settings, Throttle};
use concertina_run::state::MigrationFile;
use concertina_run::{Engine, Error};

/// What is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Expand, backfill and validate.
    Expand,
    /// Switch.
    Switch,
    /// What is left of switch, and contract, destruction confirmed.
    Contract,
    /// Undo.
    Undo,
}

/// What came of it.
#[derive(Debug)]
pub struct Run {
    /// The engine's answer.
    pub outcome: Result<Outcome, Error>,
    /// What it told meanwhile.
    pub events: Vec<Event>,
}

impl Run {
    /// The outcome; a stop that was asked for counts as one.
    ///
    /// # Errors
    /// Any other end.
    pub fn stopped_or_done(&self) -> Result<()> {
        match &self.outcome {
            Ok(_) | Err(Error::Interrupted) => Ok(()),
            Err(error) => bail!("{}", words(error)),
        }
    }

    /// Steps that ran now, as opposed to those that were found done.
    pub fn steps_run(&self) -> usize {
        self.events.iter().filter(|event| matches!(event, Event::StepDone { already: false, .. })).count()
    }
}

/// Listens, and asks for a stop after so many steps.
#[derive(Debug)]
pub struct Recorder {
    events: Mutex<Vec<Event>>,
    left: AtomicUsize,
    stop: Stop,
}

impl Recorder {
    /// Asks for a stop once `steps` steps ran.
    pub fn new(steps: usize) -> Arc<Self> {
        Arc::new(Self { events: Mutex::default(), left: AtomicUsize::new(steps), stop: Stop::default() })
    }

    /// What it asks to stop.
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// What it heard.
    pub fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Observer for Recorder {
    fn event(&self, event: &Event) {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).push(event.clone());
        if matches!(event, Event::StepDone { already: false, .. })
            && self.left.fetch_sub(1, Ordering::SeqCst) == 1
        {
            self.stop.request();
        }
    }
}

/// Settings for tests: no politeness towards clients that are not there, impatience instead of hanging, and a lease that a
/// killed runner does not keep for long.
pub fn settings() -> Settings {
    Settings {
        lock_patience: Duration::from_secs(60),
        throttle: Throttle { load: 1.0, ..Throttle::default() },
        observe_locks: true,
        lease_ttl: Duration::from_secs(2),
        lease_patience: Duration::from_secs(60),
        ..Settings::default()
    }
}

/// Connects the engine.
///
/// # Errors
/// When the server refuses.
pub async fn engine(url: &str, settings: Settings, recorder: &Arc<Recorder>) -> Result<Engine> {
    let target = Target::resolve(Some(url)).map_err(|error| anyhow::anyhow!(words(&error)))?;
    Engine::connect(target, settings, Policy::default(), recorder.clone(), recorder.stop())
        .await
        .map_err(|error| anyhow::anyhow!(words(&error)))
}

/// An engine that only looks.
///
/// # Errors
/// When the server refuses.
pub async fn looking(url: &str) -> Result<Engine> {
    engine(url, settings(), &Recorder::new(usize::MAX)).await
}

/// Runs a command, and stops it after so many steps.
///
/// # Errors
/// When the engine cannot connect; how the command itself ended is in the [`Run`].
pub async fn run(url: &str, command: Command, file: &MigrationFile, steps: usize) -> Result<Run> {
    let recorder = Recorder::new(steps);
    let engine = engine(url, settings(), &recorder).await?;
    let outcome = execute(&engine, command, file).await;
    Ok(Run { outcome, events: recorder.events() })
}

/// Runs a command in this process, for parents that kill it; the lease lapses soon after.
///
/// # Errors
/// An unknown command, a file that cannot be read, and whatever the engine says.
pub async fn as_victim(url: &str, path: &Path, command: &str, observer: Arc<dyn Observer>) -> Result<()> {
    let command = match command {
        "expand" => Command::Expand,
        "switch" => Command::Switch,
        "contract" => Command::Contract,
        "undo" => Command::Undo,
        other => bail!("no command is called {other}"),
    };
    let name = path.file_stem().context("no file name")?.to_string_lossy().into_owned();
    let file = MigrationFile { name, text: std::fs::read_to_string(path).context("reading the migration")? };
    let settings = Settings { lease_ttl: Duration::from_secs(1), observe_locks: false, ..settings() };
    let target = Target::resolve(Some(url))?;
    let engine = Engine::connect(target, settings, Policy::default(), observer, Stop::default()).await?;
    execute(&engine, command, &file).await.map_err(|error| anyhow::anyhow!(words(&error)))?;
    Ok(())
}

/// Runs a command on an engine.
///
/// # Errors
/// The engine's.
pub async fn execute(engine: &Engine, command: Command, file: &MigrationFile) -> Result<Outcome, Error> {
    engine.init().await?;
    let files = std::slice::from_ref(file);
    match command {
        Command::Expand => engine.expand(files, None).await,
        Command::Switch => engine.switch(files, None).await,
        Command::Contract => {
            engine.switch(files, None).await?;
            engine.contract(files, None, Confirm { destroy: true }).await
        }
        Command::Undo => engine.undo(Some(&file.name)).await,
    }
}

/// Plans the file on a database.
///
/// # Errors
/// When there is no answer; a refusal is an answer.
pub async fn plan(url: &str, file: &MigrationFile) -> Result<Result<Plan, Error>> {
    match looking(url).await?.plan(file).await {
        Err(error @ Error::Refused { .. }) => Ok(Err(error)),
        Err(error) => bail!("{}", words(&error)),
        Ok(plan) => Ok(Ok(plan)),
    }
}

/// How many of the plan's steps expand runs.
pub fn of_expand(plan: &Plan) -> usize {
    plan.steps.iter().filter(|step| step.phase < Phase::Switch).count()
}

/// Runs the migration up to a boundary: so many of the plan's steps are done, the next is not begun.
///
/// # Errors
/// When a command fails, or another number of steps ran.
pub async fn to_boundary(url: &str, plan: &Plan, file: &MigrationFile, boundary: usize) -> Result<()> {
    let early = of_expand(plan);
    if boundary == 0 {
        return Ok(());
    }
    let limit = |steps: usize, of: usize| if steps < of { steps } else { usize::MAX };
    let run_now = boundary.min(early);
    let expand = run(url, Command::Expand, file, limit(run_now, early)).await?;
    expand.stopped_or_done().context("expand")?;
    ensure!(expand.steps_run() == run_now, "expand ran {} steps instead of {run_now}", expand.steps_run());
    if boundary > early {
        let (wanted, of) = (boundary - early, plan.steps.len() - early);
        let contract = run(url, Command::Contract, file, limit(wanted, of)).await?;
        contract.stopped_or_done().context("contract")?;
        ensure!(
            contract.steps_run() == wanted,
            "contract ran {} steps instead of {wanted}",
            contract.steps_run()
        );
    }
    Ok(())
}

/// An error with everything it has to say.
pub fn words(error: &Error) -> String {
    match error {
        Error::Refused { diagnostics, text, .. } => crate::oracle::explain::refusal(diagnostics, text),
        Error::Step { hint, .. } | Error::Violated { hint, .. } => format!("{error}\n  {hint}"),
        other => other.to_string(),
    }
}
