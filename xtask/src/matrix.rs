//! The proof suite on every supported major version of PostgreSQL.

use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use concertina_lab::{Installation, install};

/// Which versions, and how thoroughly.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Major versions; all that we support when none is named
    #[arg(long, value_delimiter = ',')]
    majors: Vec<u32>,
    /// Undo and kill at every step boundary, not at a sample
    #[arg(long)]
    all_boundaries: bool,
    /// Only tests whose name contains one of these
    filter: Vec<String>,
}

/// Fetches what is missing, runs the suite on each version, and prints a line for each.
pub(crate) fn run(args: &Args) -> Result<()> {
    let majors = if args.majors.is_empty() { &install::MAJORS[..] } else { &args.majors };
    install::client_tools().context("fetching pg_dump and psql")?;
    let mut lines = Vec::new();
    let mut failed = false;
    for &major in majors {
        let installation = match Installation::major(major) {
            Ok(found) => found,
            Err(_) => install::server(major).with_context(|| format!("fetching PostgreSQL {major}"))?,
        };
        println!("=== PostgreSQL {}", installation.version);
        let begun = Instant::now();
        let passed = suite(&installation, args)?;
        failed |= !passed;
        let verdict = if passed { "passed" } else { "FAILED" };
        lines.push(format!(
            "PostgreSQL {:8} {verdict} in {} s",
            installation.version,
            begun.elapsed().as_secs()
        ));
    }
    println!("\n{}", lines.join("\n"));
    ensure!(!failed, "the matrix failed");
    Ok(())
}

fn suite(installation: &Installation, args: &Args) -> Result<bool> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let nextest = Command::new(&cargo).args(["nextest", "--version"]).output();
    let mut command = Command::new(&cargo);
    if nextest.is_ok_and(|output| output.status.success()) {
        command
            .args(["nextest", "run", "--no-fail-fast", "--status-level", "fail", "-p", "concertina-proof"])
            .args(&args.filter);
    } else {
        command.args(["test", "--no-fail-fast", "-p", "concertina-proof", "--"]).args(&args.filter);
    }
    command.env("CONCERTINA_PG_BIN", &installation.bin);
    if args.all_boundaries {
        command.env("CONCERTINA_BOUNDARIES", "all");
    }
    Ok(command.status().context("running cargo")?.success())
}
