//! `concertina demo`

use std::time::Duration;

use concertina_lab::Server;
use tokio::signal::unix::{SignalKind, signal};

use crate::args::{Format, Global};
use crate::config::{self, Config};
use crate::demo::{self, Options, Seen, Stage};
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::{render, wire};

/// Shows what it is good for: one migration file, run naively and with Concertina, under the same traffic.
///
/// Starts a throw-away PostgreSQL with two million orders, and clients that read and write them at a fixed rate. Runs
/// the same migration file twice, on equal databases: in one transaction, as most tools do, and with Concertina. Ends
/// with one screen: what clients felt, what failed, and whether all data is right. Takes two to three minutes and some
/// 6 GB of disk; your own databases are not touched.
#[derive(Debug, clap::Args)]
pub struct Demo {
    /// Orders in the table that is migrated.
    #[arg(long, value_name = "ROWS", default_value_t = 2_000_000, value_parser = clap::value_parser!(u64).range(1000..))]
    rows: u64,

    /// Operations that fall due each second, whether or not earlier ones were answered.
    #[arg(long, value_name = "PER SECOND", default_value_t = 400, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,

    /// Connections that share them.
    #[arg(long, value_name = "NUMBER", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=90))]
    connections: u32,

    /// How long clients run before each migration, to see what is normal.
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,

    /// Time that the server works on one batch of the backfill: longer than the default elsewhere, so that the demo is over
    /// within three minutes.
    #[arg(long, value_name = "DURATION", default_value = "4ms", value_parser = config::parse_duration)]
    batch: Duration,

    /// Keep the server and both databases until Ctrl-C, and say how to connect.
    #[arg(long)]
    keep: bool,
}

impl Demo {
    pub(crate) async fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let stage = Stage::new(global);
        let mut settings = Config::load(global)?.settings;
        settings.throttle.batch = self.batch;
        let options = Options {
            rows: self.rows,
            rate: f64::from(self.rate),
            connections: self.connections as usize,
            before: Duration::from_secs(self.seconds),
            keep: self.keep,
            settings,
        };
        // Whoever interrupts it wants it gone: dropping the future stops the server and removes its directory.
        let interrupted = interrupted()?;
        let result = tokio::select! {
            result = seen(global.format, &options, &stage) => result,
            () = interrupted => Err(Failure::new(
                ExitCode::Interrupted,
                "interrupted; the throw-away server is stopped and removed",
            )),
        };
        stage.finish();
        let (server, seen) = result?;
        if self.keep {
            kept(&server).await?;
        }
        // The faults are in the answer already, and stdout carries one document.
        Ok(if seen.faults().is_empty() { ExitCode::Ok } else { ExitCode::Unexpected })
    }
}

/// Runs it and answers on stdout.
async fn seen(format: Format, options: &Options, stage: &Stage) -> Result<(Server, Seen), Failure> {
    let server = demo::start(stage).await.map_err(missing)?;
    let seen = demo::show(&server, options, stage).await.map_err(failed)?;
    stage.finish();
    match format {
        Format::Text => render::answer(&demo::text(&seen)),
        Format::Json => render::answer(&wire::to_json(&demo::document(&seen))),
    }
    Ok((server, seen))
}

/// Says how to look around, and waits.
async fn kept(server: &Server) -> Result<(), Failure> {
    render::say(&format!(
        "The server is kept, with the databases naive and concertina:\n  psql '{}'\nCtrl-C stops it and removes {}",
        server.url("concertina"),
        server.directory().display(),
    ));
    interrupted()?.await;
    Ok(())
}

/// Ctrl-C, SIGTERM, or the terminal is gone.
fn interrupted() -> Result<impl Future<Output = ()>, Failure> {
    let listen = |kind| {
        signal(kind).map_err(|error| Failure::unexpected(format!("cannot listen for signals: {error}")))
    };
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hangup = listen(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}

fn missing(error: anyhow::Error) -> Failure {
    Failure::new(ExitCode::Unsupported, format!("{error:#}")).hint(
        "The demo starts a PostgreSQL server of its own, 14 or newer. Debian, Ubuntu: apt-get install postgresql. \
         Fedora: dnf install postgresql-server. Arch: pacman -S postgresql. macOS: brew install postgresql@17. \
         Elsewhere: CONCERTINA_PG_BIN=/path/to/bin names the directory of `postgres` and `initdb`.",
    )
}

/// Concertina's own errors keep their kind and their hint.
fn failed(error: anyhow::Error) -> Failure {
    match error.downcast::<concertina_run::Error>() {
        Ok(error) => error.into(),
        Err(error) => error.into(),
    }
}
