//! `install-postgres`: fetches other major versions into the cache.

use std::time::Instant;

use anyhow::{Context, Result};
use concertina_lab::{cache, install};

/// Which versions to fetch.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Major versions, such as `14 18`; all that we test with when none is named
    majors: Vec<u32>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let majors = if args.majors.is_empty() { &install::MAJORS[..] } else { &args.majors };
    println!("PostgreSQL versions are kept in {}", cache::postgres().display());
    for &major in majors {
        let begun = Instant::now();
        let server = install::server(major).with_context(|| format!("fetching PostgreSQL {major}"))?;
        println!(
            "PostgreSQL {}: {} ({:.1} s)",
            server.version,
            server.bin.display(),
            begun.elapsed().as_secs_f64()
        );
    }
    let begun = Instant::now();
    let tools = install::client_tools().context("fetching pg_dump and psql")?;
    println!("client programs: {} ({:.1} s)", tools.display(), begun.elapsed().as_secs_f64());
    Ok(())
}
