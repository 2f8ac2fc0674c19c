//! Runs a migration command on a database and dies by SIGKILL at a given moment, for the tests that resume it.
//!
//! `runner URL FILE expand|contract|undo [begun|done N]`

use std::path::Path;
use std::process::Command as Process;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, bail, ensure};
use concertina_plan::policy::Policy;
use concertina_proof::drive::{self, Command};
use concertina_run::Engine;
use concertina_run::connect::Target;
use concertina_run::engine::Stop;
use concertina_run::event::{Event, Observer};
use concertina_run::state::MigrationFile;

/// Dies with the Nth step that begins, or that is done.
#[derive(Debug)]
struct Doomed {
    begun: Option<usize>,
    done: Option<usize>,
    seen: AtomicUsize,
}

impl Observer for Doomed {
    fn event(&self, event: &Event) {
        let nth = match event {
            Event::StepStarted { .. } => self.begun,
            Event::StepDone { already: false, .. } => self.done,
            _ => None,
        };
        if let Some(nth) = nth
            && self.seen.fetch_add(1, Ordering::SeqCst) + 1 == nth
        {
            die();
        }
    }
}

fn die() {
    // Nothing runs after this, no destructor and no goodbye to the server.
    let _ = Process::new("kill").args(["-KILL", &std::process::id().to_string()]).status();
    std::process::abort();
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, path, command, rest @ ..] = &arguments[..] else { bail!("URL FILE COMMAND [begun|done N]") };
    let nth = rest.get(1).map(|nth| nth.parse()).transpose().context("N")?;
    let doomed = match rest.first().map(String::as_str) {
        None => Doomed { begun: None, done: None, seen: AtomicUsize::new(0) },
        Some("begun") => Doomed { begun: nth, done: None, seen: AtomicUsize::new(0) },
        Some("done") => Doomed { begun: None, done: nth, seen: AtomicUsize::new(0) },
        Some(other) => bail!("no moment is called {other}"),
    };
    let command = match command.as_str() {
        "expand" => Command::Expand,
        "contract" => Command::Contract,
        "undo" => Command::Undo,
        other => bail!("no command is called {other}"),
    };
    let path = Path::new(path);
    let name = path.file_stem().context("no file name")?.to_string_lossy().into_owned();
    ensure!(!name.is_empty(), "no file name");
    let file = MigrationFile { name, text: std::fs::read_to_string(path).context("reading the migration")? };
    let target = Target::resolve(Some(url))?;
    let engine =
        Engine::connect(target, drive::settings(), Policy::default(), Arc::new(doomed), Stop::default())
            .await?;
    let outcome =
        drive::execute(&engine, command, &file).await.map_err(|e| anyhow::anyhow!(drive::words(&e)))?;
    println!("{} steps", outcome.steps);
    Ok(())
}
