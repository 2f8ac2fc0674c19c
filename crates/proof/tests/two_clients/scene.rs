//! A server with tables, a migration, and writers beside it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use concertina_lab::Pooler;
use concertina_plan::plan::Plan;
use concertina_proof::compare;
use concertina_proof::drive::{self, Command};
use concertina_proof::world::{Database, World};
use concertina_run::state::MigrationFile;
use tokio::task::JoinHandle;

use crate::By;
use crate::writer::{Names, Way, Writer};

const SCHEMA: &str = "
    CREATE TABLE items (
        id bigint PRIMARY KEY,
        a text,
        code text UNIQUE,
        extra int NOT NULL DEFAULT 0
    );
    CREATE TABLE counters (a text PRIMARY KEY, n bigint NOT NULL DEFAULT 0);
    CREATE TABLE shared (id int PRIMARY KEY, a bigint NOT NULL);
    CREATE TABLE seen (rows bigint);
    INSERT INTO items (id, a) SELECT i, 'start ' || i FROM generate_series(1, 3000) AS i;
    INSERT INTO shared SELECT i, 0 FROM generate_series(1, 20) AS i;
    CREATE FUNCTION tidy() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN IF to_jsonb(NEW) ? 'a' THEN NEW.a := trim(NEW.a); ELSE NEW.b := trim(NEW.b); END IF; RETURN NEW; END$$;
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN INSERT INTO seen SELECT count(*) FROM written; RETURN NULL; END$$;
    CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
    CREATE TRIGGER tidy BEFORE INSERT OR UPDATE ON items FOR EACH ROW EXECUTE FUNCTION tidy();
    CREATE TRIGGER note AFTER INSERT ON items REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION note();
    CREATE TRIGGER pass AFTER UPDATE ON items FOR EACH ROW EXECUTE FUNCTION pass();";

/// The migration is run by a plain owner, who cannot keep users' triggers silent; the writers may touch the tables and nothing else.
const ROLES: &str = "
    CREATE ROLE deploy LOGIN;
    CREATE ROLE app LOGIN;
    GRANT pg_execute_server_program TO app;
    GRANT CREATE ON SCHEMA public TO deploy;
    ALTER TABLE items OWNER TO deploy;
    ALTER TABLE counters OWNER TO deploy;
    ALTER TABLE shared OWNER TO deploy;
    GRANT SELECT, INSERT, UPDATE, DELETE ON items, counters, shared TO app;
    GRANT INSERT ON seen TO app, deploy;";

const MIGRATION: &str = "ALTER TABLE items RENAME a TO b;
    ALTER TABLE items RENAME code TO sku;
    ALTER TABLE counters RENAME a TO b;
    ALTER TABLE shared RENAME a TO b;";

/// A writer that is stopped earlier goes on up to here.
const ENOUGH: u64 = 20;

/// Server connections that the pooler has for all writers.
const POOL: u32 = 5;

/// A server with the tables.
pub(crate) struct Scene {
    world: &'static World,
    pub(crate) database: Database<'static>,
    pooler: Option<Pooler>,
    pub(crate) file: MigrationFile,
}

impl Scene {
    /// `None` where there is no pooler to come by.
    pub(crate) async fn open(by: By) -> Result<Option<Self>> {
        // The world is needed as long as the process.
        let world: &'static World = Box::leak(Box::new(World::start().await?));
        let database = world.database(SCHEMA).await?;
        database.psql(ROLES).await?;
        database.psql(&format!("GRANT CREATE ON DATABASE {} TO deploy", database.name())).await?;
        let file = MigrationFile { name: "0001_rename".to_owned(), text: MIGRATION.to_owned() };
        let pooler = match by {
            By::Themselves => None,
            By::Pooler => match Pooler::start(&world.server, "transaction", POOL, &["app"]).await? {
                None => return Ok(None),
                some => some,
            },
        };
        Ok(Some(Self { world, database, pooler, file }))
    }

    /// As whom the migration runs.
    pub(crate) fn deploy(&self) -> String {
        self.database.url_of("deploy")
    }

    /// What the migration will do.
    pub(crate) async fn plan(&self) -> Result<Plan> {
        let plan = drive::plan(&self.deploy(), &self.file).await?;
        plan.map_err(|error| anyhow::anyhow!(drive::words(&error)))
    }

    /// Runs a command to its end.
    pub(crate) async fn command(&self, command: Command) -> Result<()> {
        let run = drive::run(&self.deploy(), command, &self.file, usize::MAX).await?;
        run.outcome.map(|_| ()).map_err(|error| anyhow::anyhow!(drive::words(&error)))
    }

    /// So many writers, each with rows of its own from `first` millions on.
    pub(crate) fn start(&self, writers: u64, first: u64, names: Names) -> Vec<Running> {
        self.start_slow(writers, first, names, Duration::ZERO)
    }

    /// The same with a rest after each write, for what takes long.
    pub(crate) fn start_slow(&self, writers: u64, first: u64, names: Names, rest: Duration) -> Vec<Running> {
        let way = Way {
            url: match &self.pooler {
                Some(pooler) => pooler.url_as("app", self.database.name()),
                None => self.database.url_of("app"),
            },
            pooled: self.pooler.is_some(),
            major: self.world.major(),
        };
        let running = (0..writers).map(|at| {
            let stop = Arc::new(AtomicBool::new(false));
            let (stopped, way) = (stop.clone(), way.clone());
            let task = tokio::spawn(async move {
                let mut writer = Writer::connect(way, first + at, names).await?;
                while !stopped.load(Ordering::SeqCst) || writer.acknowledged <= ENOUGH {
                    writer.write().await?;
                    tokio::time::sleep(rest).await;
                }
                Ok(writer)
            });
            Running { stop, task }
        });
        running.collect()
    }

    pub(crate) async fn judge(&self, writers: &[Writer], names: &Names) -> Result<()> {
        let client = self.database.connect().await?;
        let (a, code) = (names.a[0], names.code[0]);
        for writer in writers {
            let (from, to) = writer.range();
            let sql = format!(
                "SELECT id, {a}, {code}, extra FROM items WHERE id >= {from} AND id < {to} ORDER BY id"
            );
            let rows = compare::query(&client, &sql).await?;
            let found: Vec<Vec<Option<String>>> = rows;
            let expected = writer.expected();
            let wrong = found.iter().zip(&expected).find(|(found, expected)| found != expected);
            ensure!(found.len() == expected.len() && wrong.is_none(), "{}: {wrong:?}", writer.who());
        }
        let upserts: u64 = writers.iter().map(|writer| writer.upserts).sum();
        let counted = compare::query(&client, "SELECT sum(n) FROM counters").await?.concat();
        ensure!(counted == [Some(upserts.to_string())], "{upserts} upserts, counted {counted:?}");
        let touched: u64 = writers.iter().map(|writer| writer.touched).sum();
        let counted = compare::query(&client, &format!("SELECT sum({a}) FROM shared")).await?.concat();
        ensure!(counted == [Some(touched.to_string())], "{touched} rows touched, counted {counted:?}");
        ensure!(upserts > 0 && touched > 0, "nobody met anybody");
        Ok(())
    }
}

/// A writer in a task of its own.
pub(crate) struct Running {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Result<Writer>>,
}

pub(crate) async fn stop(running: Vec<Running>) -> Result<Vec<Writer>> {
    for running in &running {
        running.stop.store(true, Ordering::SeqCst);
    }
    let mut writers = Vec::new();
    for running in running {
        writers.push(running.task.await.context("a writer panicked")??);
    }
    Ok(writers)
}
