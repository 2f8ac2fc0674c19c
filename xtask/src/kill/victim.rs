//! The process that is killed: runs one command of the engine and says on standard output what it is at.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use concertina_proof::drive;
use concertina_run::event::{Event, Observer};

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
    drive::as_victim(&args.url, &args.file, &args.command, Arc::new(Teller)).await
}
