//! `concertina demo`: one migration file, run naively and with Concertina, on equal databases under equal traffic.
//!
//! ```text
//! shop  a throw-away server, loaded once, copied twice      clients  what the application does
//! run   traffic, migration, deploy, what came of it         naive, online  the two ways to apply the file
//! stage what is being done, while it is done                chart, screen, comparison  what came of it
//! document  the same for programs, and for the page that crate::report draws
//! ```
//! Nothing is staged but the traffic: both runs have the same files to begin with, the same clients with the same seed,
//! the same deploy, and Concertina runs with its default settings, as a role that owns its database and nothing else.

use std::time::Duration;

use anyhow::{Context, Result};
use concertina_lab::{Installation, Server};
use concertina_run::settings::Settings;
use concertina_run::state::MigrationFile;

mod chart;
mod clients;
pub(crate) mod comparison;
mod document;
mod naive;
mod online;
mod run;
mod screen;
mod shop;
mod stage;

pub use document::document;
pub use screen::text;
pub use stage::Stage;

use naive::Naive;
use online::{Online, Stalls};
use run::Outcome;
use shop::{MIGRATION, MIGRATION_NAME, ROLE, Size};

use crate::wire::ReportStep;

/// The two databases.
const DATABASES: [&str; 2] = ["naive", "concertina"];

/// What is shown.
#[derive(Clone, Debug)]
pub struct Options {
    /// Rows of the table that is migrated.
    pub rows: u64,
    /// Operations that fall due each second.
    pub rate: f64,
    /// Connections that share them.
    pub connections: usize,
    /// How long clients run before the migration.
    pub before: Duration,
    /// Both databases are wanted afterwards.
    pub keep: bool,
    /// How hard Concertina pushes.
    pub settings: Settings,
}

/// Everything that was seen.
#[derive(Debug)]
pub struct Seen {
    options: Options,
    machine: Machine,
    size: Size,
    bytes: u64,
    naive: Outcome,
    online: Outcome,
    stalls: Stalls,
    steps: Vec<ReportStep>,
}

#[derive(Debug)]
struct Machine {
    version: String,
    cores: usize,
}

/// Starts the server.
///
/// # Errors
/// No PostgreSQL is installed, or it does not start.
pub async fn start(stage: &Stage) -> Result<Server> {
    let installation = Installation::find()?;
    stage.begin(format!("Starting a throw-away PostgreSQL {}", installation.version));
    let server = Server::start(&installation, shop::options()).await?;
    stage.done(&format!("in {}", server.directory().display()));
    Ok(server)
}

/// Loads it, runs both ways, and looks at what came of it.
///
/// # Errors
/// Something failed that was not to be shown: loading, a migration.
pub async fn show(server: &Server, options: &Options, stage: &Stage) -> Result<Seen> {
    let size = Size::of(options.rows);
    stage.begin(format!(
        "Loading {} orders, with indexes and a foreign key",
        crate::render::count(size.orders)
    ));
    let bytes = shop::load(server, size).await?;
    stage.done(&crate::render::bytes(bytes));

    stage.begin("Copying the database: one for each way");
    for database in DATABASES {
        shop::copy(server, database).await?;
    }
    shop::drop_template(server).await?;
    stage.done("equal, file by file");

    let [first, second] = DATABASES;
    stage.begin("Naively: the file in one transaction, under traffic");
    let mut migrate = Naive::new(shop::connect(server, first).await?, MIGRATION);
    let naive = run::run(server, first, options, stage, &mut migrate).await.context("the naive run")?;
    stage.done(&screen::summary(&naive));
    retire(server, first, options.keep).await?;

    stage.begin("With Concertina: the same file, under the same traffic");
    let file = MigrationFile { name: MIGRATION_NAME.to_owned(), text: MIGRATION.to_owned() };
    let mut migrate = Online::new(server.url_as(ROLE, second), options.settings.clone(), file);
    let online =
        run::run(server, second, options, stage, &mut migrate).await.context("the run with Concertina")?;
    stage.done(&screen::summary(&online));

    let machine = Machine {
        version: server.installation().version.clone(),
        cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
    };
    let (stalls, steps) = (migrate.stalls(), migrate.steps().to_vec());
    Ok(Seen { options: options.clone(), machine, size, bytes, naive, online, stalls, steps })
}

/// The first run's database is not to disturb the second run: autovacuum would soon tidy up behind the big UPDATE.
async fn retire(server: &Server, database: &str, keep: bool) -> Result<()> {
    if !keep {
        return server.drop_database(database).await;
    }
    let client = server.connect(database).await?;
    client
        .batch_execute("ALTER TABLE orders SET (autovacuum_enabled = off)")
        .await
        .context("autovacuum_enabled")
}

impl Seen {
    /// What must not be: each in a sentence. The demo fails on it, after it has shown everything.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        // Naively there may be some: old code changes `total`, and knows nothing of `total_cents`.
        let wrong = self.online.state.rows - self.online.state.right;
        if wrong > 0 {
            faults.push(format!("concertina: {wrong} orders have a wrong total_cents"));
        }
        for (name, outcome) in [("naive", &self.naive), ("concertina", &self.online)] {
            let state = &outcome.state;
            let lost = state.lost(outcome.acknowledged);
            if lost > 0 {
                faults.push(format!("{name}: {lost} acknowledged writes are not there"));
            }
            if outcome.report.unanswered() > 0 {
                faults
                    .push(format!("{name}: {} operations were never answered", outcome.report.unanswered()));
            }
        }
        for (line, here) in self.difference() {
            faults.push(format!("only in {here}: {line}"));
        }
        faults
    }

    /// Lines of the schema that only one of the databases has, with its name.
    fn difference(&self) -> Vec<(&str, &'static str)> {
        let [naive, online] = [&self.naive.state.schema, &self.online.state.schema];
        let only_naive =
            naive.iter().filter(|line| !online.contains(line)).map(|line| (line.as_str(), DATABASES[0]));
        let only_online =
            online.iter().filter(|line| !naive.contains(line)).map(|line| (line.as_str(), DATABASES[1]));
        only_naive.chain(only_online).collect()
    }
}
