//! Developer commands. `./dev` calls them; `cargo run -p xtask -- help` lists them.

use anyhow::Result;
use clap::{Parser, Subcommand};

mod install_postgres;

#[derive(Parser)]
#[command(name = "xtask", about = "Developer commands for Concertina")]
struct Args {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Fetch other major versions of PostgreSQL into the cache
    InstallPostgres(install_postgres::Args),
}

fn main() -> Result<()> {
    match Args::parse().command {
        Task::InstallPostgres(args) => install_postgres::run(&args),
    }
}
