//! The process that is killed: runs one command of the engine and says on standard output what it is at.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use concertina_plan::policy::Policy;
use concertina_proof::drive::{self, Command};
use concertina_run::Engine;
use concertina_run::connect::Target;
use concertina_run::engine::Stop;
use concertina_run::event::{Event, Observer};
use concertina_run::settings::Settings;
use concertina_run::state::MigrationFile;

/// What to run, and where.
#[derive(clap::Args)]
pub(crate) struct Args {
    url: String,
    file: PathBuf,
    command: String,
}

struct Teller;

impl Observer for Teller {
    fn event(&self, event: &Event) {
        let line = match event {
            Event::StepStarted { title, .. } => format!("begin {title}\n"),
            Event::StepDone { .. } => "done\n".to_owned(),
            Event::Waiting { .. } | Event::Retry { .. } | Event::Progress { .. } => "alive\n".to_owned(),
            _ => return,
        };
        // Whoever listens may be gone; the work goes on.
        let _ = std::io::stdout().lock().write_all(line.as_bytes());
    }
}

/// Runs it.
pub(crate) async fn run(args: &Args) -> Result<()> {
    let command = match args.command.as_str() {
        "expand" => Command::Expand,
        "contract" => Command::Contract,
        other => bail!("no command is called {other}"),
    };
    let name = args.file.file_stem().context("no file name")?.to_string_lossy().into_owned();
    let file = MigrationFile { name, text: std::fs::read_to_string(&args.file)? };
    let settings = Settings { lease_ttl: Duration::from_secs(1), observe_locks: false, ..drive::settings() };
    let target = Target::resolve(Some(&args.url))?;
    let engine =
        Engine::connect(target, settings, Policy::default(), Arc::new(Teller), Stop::default()).await?;
    drive::execute(&engine, command, &file).await.map_err(|error| anyhow!(drive::words(&error)))?;
    Ok(())
}
