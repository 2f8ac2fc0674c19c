//! Plans made by hand, stored in the ledger and run through the engine.

#![allow(dead_code, clippy::allow_attributes, reason = "each test binary uses its own part")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use concertina_lab::Server;
use concertina_plan::pg::version::Version;
use concertina_plan::plan::{Backfill, FORMAT, Phase, Plan, Step, Walk, Write};
use concertina_plan::policy::Policy;
use concertina_plan::sql::ident::{Ident, Name};
use concertina_run::connect::Target;
use concertina_run::engine::{Engine, Stop};
use concertina_run::event::{Event, Observer};
use concertina_run::ledger::{self, NewMigration};
use concertina_run::settings::Settings;
use concertina_run::state::MigrationFile;

/// Keeps every event.
#[derive(Default)]
pub(crate) struct Heard(Mutex<Vec<Event>>);

impl Observer for Heard {
    fn event(&self, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}

impl Heard {
    pub(crate) fn all(&self) -> Vec<Event> {
        self.0.lock().unwrap().clone()
    }

    /// Reasons of waits and retries.
    pub(crate) fn reasons(&self) -> Vec<String> {
        let reason = |event: Event| match event {
            Event::Waiting { reason, .. } | Event::Retry { reason, .. } => Some(reason),
            _ => None,
        };
        self.all().into_iter().filter_map(reason).collect()
    }

    pub(crate) fn waited_for(&self, words: &str) -> bool {
        self.reasons().iter().any(|reason| reason.contains(words))
    }
}

/// Impatient enough for a test.
pub(crate) fn settings() -> Settings {
    let mut settings = Settings { lock_patience: Duration::from_secs(60), ..Settings::default() };
    settings.throttle.load = 1.0;
    settings
}

pub(crate) struct Runner {
    pub(crate) engine: Engine,
    pub(crate) heard: Arc<Heard>,
    pub(crate) stop: Stop,
}

pub(crate) async fn runner(server: &Server, settings: Settings) -> Runner {
    runner_at(&server.url("postgres"), settings).await
}

pub(crate) async fn runner_at(url: &str, settings: Settings) -> Runner {
    let (heard, stop) = (Arc::new(Heard::default()), Stop::default());
    let target = Target::resolve(Some(url)).unwrap();
    let observer: Arc<dyn Observer> = heard.clone();
    let engine = Engine::connect(target, settings, Policy::default(), observer, stop.clone()).await.unwrap();
    Runner { engine, heard, stop }
}

/// A plan of these steps for a file that nobody reads.
pub(crate) fn plan(name: &str, steps: Vec<Step>) -> Plan {
    Plan {
        format: FORMAT,
        migration: name.to_owned(),
        checksum: concertina_plan::checksum(&file(name).text),
        server_version: Version(150_000),
        search_path: vec![Ident::new("public")],
        statements: Vec::new(),
        steps,
        notices: Vec::new(),
        claims: Vec::new(),
    }
}

pub(crate) fn file(name: &str) -> MigrationFile {
    MigrationFile { name: name.to_owned(), text: format!("-- {name}") }
}

/// Puts a plan into the ledger, as if a run had been killed right after that; returns its file.
pub(crate) async fn store(server: &Server, plan: &Plan) -> MigrationFile {
    store_in(server, "postgres", plan).await
}

pub(crate) async fn store_in(server: &Server, database: &str, plan: &Plan) -> MigrationFile {
    let client = server.connect(database).await.unwrap();
    ledger::ensure(&client).await.unwrap();
    ledger::insert_migration(&client, NewMigration::planned(plan), "test").await.unwrap();
    file(&plan.migration)
}

pub(crate) fn table(name: &str) -> Name {
    Name::new("public", name)
}

pub(crate) fn transaction(title: &str, sql: &[&str]) -> Step {
    Step::transaction(Phase::Expand, title, "because", sql.iter().map(|sql| (*sql).to_owned()).collect())
}

/// `UPDATE t SET column = expr WHERE pending`.
pub(crate) fn update(column: &str, expr: &str, pending: &str, walk: Walk) -> Backfill {
    Backfill {
        table: table("t"),
        write: Write::Update {
            alias: Ident::new("t"),
            set: vec![(Ident::new(column), expr.to_owned())],
            unchanged: Vec::new(),
            pending: pending.to_owned(),
        },
        walk,
        fire_triggers: true,
        rows: 1000,
    }
}
