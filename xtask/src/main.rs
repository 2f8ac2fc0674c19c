//! Developer commands. `./dev` calls them; `cargo run -p xtask -- help` lists them.

use anyhow::Result;
use clap::{Parser, Subcommand};

mod bench;
mod drop_column;
mod install_postgres;
mod kill;
mod lemmy;
mod matrix;
mod upgrade;

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
    /// Drop a column of a large table under traffic, undo after contract, and look for lost writes
    DropColumn(drop_column::Args),
    /// Run and plan a real project's migrations (a directory of NAME/up.sql)
    Lemmy(lemmy::Args),
    /// Run the proof suite on every supported major version
    Matrix(matrix::Args),
    /// Kill the runner again and again under traffic; every migration resumes to the naive result
    Kill(kill::Args),
    /// Take migrations to the end that earlier versions of the program began, and keep those from this one's ledger
    Upgrade(upgrade::Args),
    /// The process that `kill` kills
    #[command(hide = true)]
    Victim(kill::victim::Args),
}

#[tokio::main]
async fn main() -> Result<()> {
    match Args::parse().command {
        Task::InstallPostgres(args) => install_postgres::run(&args),
        Task::Bench(args) => bench::run(&args).await,
        Task::DropColumn(args) => drop_column::run(&args).await,
        Task::Lemmy(args) => lemmy::run(&args).await,
        Task::Matrix(args) => matrix::run(&args),
        Task::Upgrade(args) => upgrade::run(&args).await,
        Task::Kill(args) => kill::run(&args).await,
        Task::Victim(args) => kill::victim::run(&args).await,
    }
}
