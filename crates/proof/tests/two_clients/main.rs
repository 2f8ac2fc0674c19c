//! Old and new code through a renaming, each writing in every way there is, each keeping its own ledger of what the server
//! acknowledged. At the end every row is what its last acknowledged write says, and nobody met an error.
//!
//! A writer owns its rows, so its ledger says what they hold. What writers do to the same rows (upserts on either unique key from
//! many connections, updates of many rows in random order) is counted instead: every acknowledged write adds one.

mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use concertina_proof::compare;
use concertina_proof::drive::{self, Command};
use concertina_proof::world::{Database, World};
use concertina_run::state::MigrationFile;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use writer::{Names, Writer};

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

/// How long writers of both sorts run beside each other.
const TOGETHER: Duration = Duration::from_secs(3);

#[test]
fn through_contract() {
    run(|| async move {
        let scene = Scene::open().await?;
        let old = scene.start(5, 0, Names::OLD);
        scene.command(Command::Expand).await?;
        let new = scene.start(5, 100, Names::NEW);
        let both = scene.start(2, 200, Names::BOTH);
        tokio::time::sleep(TOGETHER).await;
        let mut done = stop(old).await?;
        done.extend(stop(both).await?);
        scene.command(Command::Contract).await?;
        done.extend(stop(new).await?);
        scene.judge(&done, &Names::NEW).await
    });
}

#[test]
fn back_from_expand() {
    run(|| async move {
        let scene = Scene::open().await?;
        let old = scene.start(4, 0, Names::OLD);
        scene.command(Command::Expand).await?;
        let new = scene.start(4, 100, Names::NEW);
        let both = scene.start(2, 200, Names::BOTH);
        tokio::time::sleep(TOGETHER).await;
        let mut done = stop(new).await?;
        done.extend(stop(both).await?);
        scene.command(Command::Undo).await?;
        done.extend(stop(old).await?);
        scene.judge(&done, &Names::OLD).await
    });
}

#[test]
fn back_from_contract() {
    run(|| async move {
        let scene = Scene::open().await?;
        scene.command(Command::Expand).await?;
        let new = scene.start(4, 100, Names::NEW);
        scene.command(Command::Contract).await?;
        tokio::time::sleep(TOGETHER / 3).await;
        let mut done = stop(new).await?;
        scene.command(Command::Undo).await?;
        let old = scene.start(4, 0, Names::OLD);
        tokio::time::sleep(TOGETHER / 3).await;
        done.extend(stop(old).await?);
        scene.judge(&done, &Names::OLD).await
    });
}

fn run<F: Future<Output = Result<()>>>(test: impl FnOnce() -> F) {
    let runtime = Runtime::new().expect("a runtime");
    if let Err(error) = runtime.block_on(test()) {
        panic!("{error:?}");
    }
}

/// A server with the tables.
struct Scene {
    world: &'static World,
    database: Database<'static>,
    file: MigrationFile,
}

impl Scene {
    async fn open() -> Result<Self> {
        // The world is needed as long as the process.
        let world: &'static World = Box::leak(Box::new(World::start().await?));
        let database = world.database(SCHEMA).await?;
        database.psql(ROLES).await?;
        database.psql(&format!("GRANT CREATE ON DATABASE {} TO deploy", database.name())).await?;
        let file = MigrationFile { name: "0001_rename".to_owned(), text: MIGRATION.to_owned() };
        Ok(Self { world, database, file })
    }

    /// Runs a command to its end.
    async fn command(&self, command: Command) -> Result<()> {
        let url = self.world.server.url_as("deploy", self.database.name());
        let run = drive::run(&url, command, &self.file, usize::MAX).await?;
        run.outcome.map(|_| ()).map_err(|error| anyhow::anyhow!(drive::words(&error)))
    }

    /// So many writers, each with rows of its own from `first` millions on.
    fn start(&self, writers: u64, first: u64, names: Names) -> Vec<Running> {
        let running = (0..writers).map(|at| {
            let stop = Arc::new(AtomicBool::new(false));
            let url = self.world.server.url_as("app", self.database.name());
            let (stopped, major) = (stop.clone(), self.world.major());
            let task = tokio::spawn(async move {
                let mut writer = Writer::connect(&url, first + at, names, major).await?;
                while !stopped.load(Ordering::SeqCst) {
                    writer.write().await?;
                }
                ensure!(writer.acknowledged > 20, "only {} writes", writer.acknowledged);
                Ok(writer)
            });
            Running { stop, task }
        });
        running.collect()
    }

    async fn judge(&self, writers: &[Writer], names: &Names) -> Result<()> {
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
struct Running {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Result<Writer>>,
}

async fn stop(running: Vec<Running>) -> Result<Vec<Writer>> {
    for running in &running {
        running.stop.store(true, Ordering::SeqCst);
    }
    let mut writers = Vec::new();
    for running in running {
        writers.push(running.task.await.context("a writer panicked")??);
    }
    Ok(writers)
}
