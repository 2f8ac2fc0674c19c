//! `concertina demo`

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::time::Duration;

use concertina_lab::Server;
use tokio::signal::unix::{SignalKind, signal};

use crate::args::{Format, Global};
use crate::config::{self, Config};
use crate::demo::{self, Options, Seen, Stage};
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::{render, report, wire};

/// Shows what it is good for: one migration file, run naively and with Concertina, under the same traffic.
///
/// Starts a throw-away PostgreSQL with two million orders, and clients that read and write them at a fixed rate. Runs
/// the same migration file twice, on equal databases: in one transaction, as most tools do, and with Concertina. Ends
/// with one screen: what clients felt, what failed, and whether all data is right; and writes it with both runs over time
/// into an HTML file that needs no network. Takes two to three minutes and some 6 GB of disk; your own databases are not
/// touched.
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

    /// File for the page [default: concertina-demo.html here; with --format json no page is written].
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    /// Write no page.
    #[arg(long, conflicts_with = "html")]
    no_html: bool,

    /// Keep the server and both databases until Ctrl-C, and say how to connect.
    #[arg(long)]
    keep: bool,
}

impl Demo {
    pub(crate) async fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let page = self.page(global.format);
        if let Some(page) = &page {
            writable(page)?;
        }
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
        if let Some(page) = &page {
            write(page, &report::demo_page(&demo::document(&seen)))?;
            if !global.quiet {
                render::say(&format!("{}: both runs over time, for a browser", page.display()));
            }
        }
        if self.keep {
            kept(&server).await?;
        }
        // The faults are in the answer already, and stdout carries one document.
        Ok(if seen.faults().is_empty() { ExitCode::Ok } else { ExitCode::Unexpected })
    }
}

impl Demo {
    fn page(&self, format: Format) -> Option<PathBuf> {
        match (&self.html, format) {
            _ if self.no_html => None,
            (Some(path), _) => Some(path.clone()),
            (None, Format::Text) => Some(PathBuf::from("concertina-demo.html")),
            (None, Format::Json) => None,
        }
    }
}

/// It is known at once, and not after two minutes, that the page cannot be written.
fn writable(page: &Path) -> Result<(), Failure> {
    let there = page.exists();
    let opened = OpenOptions::new().append(true).create(true).open(page);
    opened.map_err(|error| {
        Failure::file(format!("{}: {error}", page.display()))
            .hint("--html FILE writes the page elsewhere, --no-html writes none")
    })?;
    if !there {
        // Whatever happens until then, no empty file is left.
        let _ = std::fs::remove_file(page);
    }
    Ok(())
}

fn write(page: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(page, text).map_err(|error| Failure::file(format!("{}: {error}", page.display())))
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
