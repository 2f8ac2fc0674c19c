//! Benchmarks: what a backfill costs against one plain UPDATE, what clients feel of it, and what keeping two columns in step adds to
//! their writes.

mod clients;
mod cost;
mod writes;

use std::time::Duration;

use anyhow::Result;
use concertina_lab::{Installation, Options, Server};
use concertina_run::settings::Settings;

/// Arguments.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Rows of the table for the cost benchmark
    #[arg(long, default_value_t = 5_000_000)]
    rows: u64,
    /// Runs, of which the median counts
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Scale of the pgbench tables for the client benchmark (100,000 rows each)
    #[arg(long, default_value_t = 50)]
    scale: u32,
    /// Seconds per window of the client benchmark
    #[arg(long, default_value_t = 20)]
    window: u64,
    /// Pairs of windows
    #[arg(long, default_value_t = 5)]
    windows: usize,
    /// Milliseconds of a batch in the client benchmark; the default of Concertina when left out
    #[arg(long)]
    batch: Option<f64>,
    /// Share of the time spent working in the client benchmark; the default of Concertina when left out
    #[arg(long)]
    load: Option<f64>,
    /// Pairs of runs of the write benchmark
    #[arg(long, default_value_t = 15)]
    pairs: usize,
    /// Writes per run of the write benchmark
    #[arg(long, default_value_t = 2000)]
    writes: usize,
    /// Run only one part
    #[arg(long, value_enum)]
    only: Option<Part>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Backfill of a derived column, strided
    Stride,
    /// UPDATE … SET v = v + 1, by key
    Key,
    /// Client latency at the default throttle
    Clients,
    /// Single-row writes while two columns are kept in step
    Writes,
}

impl Args {
    fn settings(&self) -> Settings {
        let mut settings = Settings::default();
        let throttle = &mut settings.throttle;
        throttle.batch = self.batch.map_or(throttle.batch, |ms| Duration::from_secs_f64(ms / 1e3));
        throttle.load = self.load.unwrap_or(throttle.load);
        settings
    }
}

/// Runs the benchmarks and prints their figures beside the goals.
pub(crate) async fn run(args: &Args) -> Result<()> {
    let wants = |part| args.only.is_none_or(|only| only == part);
    let installation = Installation::find()?;
    println!("PostgreSQL {}, {} cores", installation.version, std::thread::available_parallelism()?);
    if wants(Part::Stride) || wants(Part::Key) {
        let server = server(&installation).await?;
        cost::prepare(&server, args.rows).await?;
        if wants(Part::Stride) {
            cost::compare(&server, &cost::STRIDE, args.runs).await?;
        }
        if wants(Part::Key) {
            cost::compare(&server, &cost::KEY, args.runs).await?;
        }
    }
    if wants(Part::Clients) {
        let server = server(&installation).await?;
        clients::compare(&server, args).await?;
    }
    if wants(Part::Writes) {
        let server = server(&installation).await?;
        writes::compare(&server, args.pairs, args.writes).await?;
    }
    Ok(())
}

/// A server with production-like durability, large enough that checkpoints do not decide the result.
pub(crate) async fn server(installation: &Installation) -> Result<Server> {
    let options = Options::new()
        .durable()
        .set("shared_buffers", "2GB")
        .set("max_wal_size", "16GB")
        .set("checkpoint_timeout", "1h")
        // A server in steady state recycles its WAL segments; making new ones stops every COMMIT for as long.
        .set("min_wal_size", "8GB")
        .set("autovacuum", "off");
    Server::start(installation, options).await
}

/// The middle value; of an even number the upper one.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
