//! Runs a migration command on a database, for the tests that kill it: `CONCERTINA_FAILPOINT` says where it dies.
//!
//! `runner URL FILE expand|contract|undo`

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use concertina_plan::policy::Policy;
use concertina_proof::drive::{self, Command};
use concertina_run::Engine;
use concertina_run::connect::Target;
use concertina_run::engine::Stop;
use concertina_run::event::Silent;
use concertina_run::settings::Settings;
use concertina_run::state::MigrationFile;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, path, command] = &arguments[..] else { bail!("usage: runner URL FILE COMMAND") };
    let command = match command.as_str() {
        "expand" => Command::Expand,
        "contract" => Command::Contract,
        "undo" => Command::Undo,
        other => bail!("no command is called {other}"),
    };
    let path = Path::new(path);
    let name = path.file_stem().context("no file name")?.to_string_lossy().into_owned();
    let file = MigrationFile { name, text: std::fs::read_to_string(path).context("reading the migration")? };
    let settings = Settings { lease_ttl: Duration::from_secs(1), observe_locks: false, ..drive::settings() };
    let engine = Engine::connect(
        Target::resolve(Some(url))?,
        settings,
        Policy::default(),
        Arc::new(Silent),
        Stop::default(),
    )
    .await?;
    drive::execute(&engine, command, &file).await.map_err(|error| anyhow::anyhow!(drive::words(&error)))?;
    Ok(())
}
