//! Developer commands. `./dev` calls them; `cargo run -p xtask -- help` lists them.

use anyhow::Result;
use clap::{Parser, Subcommand};

mod bench;
mod install_postgres;
mod lemmy;

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
    /// Cost of a backfill, and what clients feel of it, as ratios
    Bench(bench::Args),
    /// Run and plan a real project's migrations (a directory of NAME/up.sql)
    Lemmy(lemmy::Args),
}

#[tokio::main]
async fn main() -> Result<()> {
    match Args::parse().command {
        Task::InstallPostgres(args) => install_postgres::run(&args),
        Task::Bench(args) => bench::run(&args).await,
        Task::Lemmy(args) => lemmy::run(&args).await,
    }
}
