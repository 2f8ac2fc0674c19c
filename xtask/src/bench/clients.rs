//! Client latency while a backfill runs at the default throttle, as a ratio to idle: pgbench at 30 % of the measured
//! capacity, latency from schedule time, windows in turn.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use concertina_lab::Server;
use concertina_plan::policy::Policy;
use concertina_run::connect::Target;
use concertina_run::engine::Stop;
use concertina_run::event::Silent;
use concertina_run::settings::Settings;
use concertina_run::state::MigrationFile;
use concertina_run::{Engine, Error};

use super::{Args, median};

const DATABASE: &str = "clients";
const CLIENTS: &str = "8";
const SQL: &str = "ALTER TABLE pgbench_accounts ADD COLUMN cents bigint;
UPDATE pgbench_accounts SET cents = abalance * 100;
";

/// Runs it and prints p99 per pair of windows and the median ratio.
pub(super) async fn compare(server: &Server, args: &Args) -> Result<()> {
    let (scale, window) = (args.scale, args.window);
    let settings = args.settings();
    println!("\nclients beside a backfill at the default throttle: pgbench, scale {scale}");
    server.create_database(DATABASE).await?;
    pgbench(server, &["-i", "-q", "-s", &scale.to_string(), DATABASE]).await?;
    let capacity =
        tps(&pgbench(server, &["-c", CLIENTS, "-j", "2", "-T", &window.to_string(), DATABASE]).await?)?;
    let rate = (capacity * 0.3).max(1.0);
    println!("  capacity {capacity:.0} transactions/s, clients run at {rate:.0}/s");

    let client = server.connect(DATABASE).await?;
    let mut ratios = Vec::new();
    for pair in 1..=args.windows {
        client.batch_execute("CHECKPOINT").await?;
        let idle = percentile(server, rate, window).await?;
        let rows_before = filled(&client).await;
        let stop = Stop::default();
        let backfill = tokio::spawn(expand(server.url(DATABASE), settings.clone(), stop.clone()));
        // The sync trigger and the first windows of the walk belong to the measured time only once the walk is under way.
        while filled(&client).await.unwrap_or(0) <= rows_before.unwrap_or(0) && !backfill.is_finished() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let busy = percentile(server, rate, window).await?;
        let finished = backfill.is_finished();
        stop.request();
        backfill.await??;
        let rows = filled(&client).await.unwrap_or(0) - rows_before.unwrap_or(0);
        ensure!(
            !finished,
            "the backfill ended within the window: use a larger --scale or a shorter --window"
        );
        println!(
            "  pair {pair}: p99 idle {idle:.1} ms, during backfill {busy:.1} ms, {} rows/s",
            rows / window as i64
        );
        ratios.push(busy / idle);
    }
    println!("  median ratio of p99: {:.2} (goal 1.5)", median(&mut ratios));
    Ok(())
}

/// Rows written so far, as the journal says; `None` before the ledger knows the migration.
async fn filled(client: &tokio_postgres::Client) -> Option<i64> {
    let row = client.query_one("SELECT coalesce(sum(rows), 0)::int8 FROM concertina.step", &[]).await.ok()?;
    row.get(0)
}

async fn expand(url: String, settings: Settings, stop: Stop) -> Result<()> {
    let target = Target::resolve(Some(&url))?;
    let engine = Engine::connect(target, settings, Policy::default(), Arc::new(Silent), stop).await?;
    engine.init().await?;
    let file = MigrationFile { name: "0001_cents".to_owned(), text: SQL.to_owned() };
    match engine.expand(&[file], None).await {
        Ok(_) | Err(Error::Interrupted) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn pgbench(server: &Server, args: &[&str]) -> Result<String> {
    let output = server.client_program("pgbench")?.args(args).output().await?;
    if !output.status.success() {
        bail!("pgbench failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn tps(output: &str) -> Result<f64> {
    let line = output.lines().find(|line| line.starts_with("tps = ")).context("pgbench printed no tps")?;
    line.split_whitespace().nth(2).context("no figure")?.parse().context("not a number")
}

/// 99th percentile of latency from schedule time, in milliseconds, over one window.
async fn percentile(server: &Server, rate: f64, window: u64) -> Result<f64> {
    let directory = tempfile::tempdir()?;
    let prefix = directory.path().join("log");
    let prefix = prefix.to_str().context("path is not UTF-8")?;
    let (rate, window) = (format!("{rate:.0}"), window.to_string());
    pgbench(
        server,
        &["-c", CLIENTS, "-j", "2", "-n", "-R", &rate, "-T", &window, "-l", "--log-prefix", prefix, DATABASE],
    )
    .await?;
    let latencies = latencies(directory.path())?;
    Ok(latencies[latencies.len() * 99 / 100])
}

/// Latencies in milliseconds, ascending. Reads pgbench's per-transaction logs; the third field is the latency in µs, under `-R` from the scheduled start.
/// Source: doc/src/sgml/ref/pgbench.sgml, "Per-Transaction Logging"; processXactStats in src/bin/pgbench/pgbench.c.
pub(super) fn latencies(directory: &Path) -> Result<Vec<f64>> {
    let mut latencies = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        for line in std::fs::read_to_string(entry?.path())?.lines() {
            let field = line.split(' ').nth(2).context("short log line")?;
            latencies.push(field.parse::<f64>().with_context(|| format!("latency {field}"))? / 1000.0);
        }
    }
    ensure!(latencies.len() > 100, "only {} transactions", latencies.len());
    latencies.sort_by(f64::total_cmp);
    Ok(latencies)
}
