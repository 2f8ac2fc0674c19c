//! Runs a migration command on a database, for the tests that kill it: `CONCERTINA_FAILPOINT` says where it dies.
//!
//! `runner URL FILE expand|contract|undo`

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, bail};
use concertina_proof::drive;
use concertina_run::event::Silent;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, path, command] = &arguments[..] else { bail!("usage: runner URL FILE COMMAND") };
    drive::as_victim(url, Path::new(path), command, Arc::new(Silent)).await
}
