//! A client holds a transaction open on the table while a migration needs its strongest lock. Nobody else waits for us longer
//! than `max_stall`, and once the client is done the migration is too. And: two runners at once.
//!
//! `CONCERTINA_HOLD` is how long the client holds on, in seconds (5).
#![expect(clippy::unwrap_used, reason = "a failed setup is a failed test, in helpers too")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use concertina_lab::traffic::{Config, Mix, Traffic, params};
use concertina_proof::compare;
use concertina_proof::drive::{self, Command, Recorder};
use concertina_proof::world::World;
use concertina_run::Error;
use concertina_run::settings::Settings;
use concertina_run::state::MigrationFile;
use rand::Rng;

const ROWS: i64 = 20_000;
const SCHEMA: &str = "
    CREATE TABLE owners (id bigint PRIMARY KEY);
    INSERT INTO owners SELECT generate_series(1, 100);
    CREATE TABLE accounts (id bigint PRIMARY KEY, owner bigint NOT NULL, balance int NOT NULL, note text);
    INSERT INTO accounts SELECT i, 1 + i % 100, i % 1000, 'n' FROM generate_series(1, 20000) AS i;";
const MIGRATION: &str = "
    ALTER TABLE accounts ADD COLUMN level int NOT NULL DEFAULT 0;
    CREATE INDEX accounts_owner_idx ON accounts (owner);
    -- concertina: enforce-now reason: the writers were checked
    ALTER TABLE accounts ADD CONSTRAINT accounts_owner_fkey FOREIGN KEY (owner) REFERENCES owners (id);
    ALTER TABLE accounts ADD CONSTRAINT balance_sane CHECK (balance < 1000000);";

fn file(name: &str, text: &str) -> MigrationFile {
    MigrationFile { name: name.to_owned(), text: text.to_owned() }
}

fn mix() -> Mix {
    Mix::new()
        .statement(3, "read", "SELECT balance FROM accounts WHERE id = $1", |rng| {
            params![rng.random_range(2..=ROWS)]
        })
        .statement(1, "write", "UPDATE accounts SET balance = balance + 1 WHERE id = $1", |rng| {
            params![rng.random_range(2..=ROWS)]
        })
}

/// The longest that anybody was seen waiting behind one of our sessions, as the server tells it.
async fn watch(client: tokio_postgres::Client, stop: Arc<AtomicBool>) -> Duration {
    const WAITING: &str = "
        SELECT coalesce(max(extract(epoch FROM clock_timestamp() - l.waitstart)), 0)::float8
        FROM pg_locks AS l
        JOIN pg_stat_activity AS victim ON victim.pid = l.pid AND victim.application_name NOT LIKE 'concertina%'
        WHERE NOT l.granted AND EXISTS (
            SELECT FROM pg_stat_activity AS us
            WHERE us.pid = ANY (pg_blocking_pids(l.pid)) AND us.application_name LIKE 'concertina%')";
    let mut worst: f64 = 0.0;
    while !stop.load(Ordering::SeqCst) {
        let row = client.query_one(WAITING, &[]).await.unwrap();
        worst = worst.max(row.get(0));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Duration::from_secs_f64(worst)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_waits_for_us_behind_a_long_transaction() {
    let hold: u64 = std::env::var("CONCERTINA_HOLD").ok().and_then(|s| s.parse().ok()).unwrap_or(5);
    let hold = Duration::from_secs(hold);
    let settings = Settings::default();
    let world = World::start().await.unwrap();
    let database = world.database(SCHEMA).await.unwrap();
    let migration = file("0001_levels", MIGRATION);

    let holder = database.connect().await.unwrap();
    holder.batch_execute("BEGIN; UPDATE accounts SET note = 'held' WHERE id = 1").await.unwrap();
    let traffic =
        Traffic::start(Config::new(database.url()).connections(8).rate(200.0), mix()).await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let watcher = tokio::spawn(watch(database.connect().await.unwrap(), stop.clone()));

    let recorder = Recorder::new(usize::MAX);
    let engine = drive::engine(&database.url(), settings.clone(), &recorder).await.unwrap();
    let begun = Instant::now();
    let run = tokio::spawn(async move {
        let expanded = drive::execute(&engine, Command::Expand, &migration).await;
        (expanded, drive::execute(&engine, Command::Contract, &migration).await)
    });
    tokio::time::sleep(hold).await;
    assert!(!run.is_finished(), "nothing had to wait, so nothing was shown");
    holder.batch_execute("COMMIT").await.unwrap();
    let (expanded, contracted) = run.await.unwrap();
    let took = begun.elapsed();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let report = traffic.stop().await;
    stop.store(true, Ordering::SeqCst);
    let worst = watcher.await.unwrap();

    println!(
        "held {hold:?}, migrated in {took:?}; longest wait behind us {worst:?}, \
         clients p50 {:?} p99 {:?} max {:?} of {} operations, {} failed",
        report.p50, report.p99, report.max, report.ops, report.failed
    );
    expanded.unwrap();
    contracted.unwrap();
    assert_eq!((report.failed, report.unanswered()), (0, 0), "{:?}", report.errors);
    // The clock of a busy test machine is coarse, and the budget is for one victim; twice the budget is far from the hold.
    assert!(worst <= settings.max_stall * 2, "somebody waited {worst:?} behind us");
    let client = database.connect().await.unwrap();
    let rows = compare::query(&client, "SELECT count(*) FROM accounts WHERE level = 0").await.unwrap();
    assert_eq!(rows, [[Some(ROWS.to_string())]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_runners_one_works_and_the_other_waits_or_leaves() {
    let world = World::start().await.unwrap();
    let database = world.database(SCHEMA).await.unwrap();
    let slow = file("0001_note", "UPDATE accounts SET note = note || balance;\n");
    let throttled = || {
        let mut settings = drive::settings();
        settings.throttle.load = 0.02;
        settings
    };

    let holder = database.connect().await.unwrap();
    // The first runner cannot finish before we let it.
    holder.batch_execute("BEGIN; SELECT FROM accounts WHERE id = 10000 FOR UPDATE").await.unwrap();
    let first = drive::engine(&database.url(), throttled(), &Recorder::new(usize::MAX)).await.unwrap();
    let work = slow.clone();
    let working = tokio::spawn(async move { drive::execute(&first, Command::Expand, &work).await });
    let client = database.connect().await.unwrap();
    let running = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'concertina%' AND wait_event_type = 'Lock'";
    while compare::query(&client, running).await.unwrap() != [[Some("1".to_owned())]] {
        assert!(!working.is_finished(), "{:?}", working.await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    let mut hasty = drive::settings();
    hasty.lease_patience = Duration::ZERO;
    let engine = drive::engine(&database.url(), hasty, &Recorder::new(usize::MAX)).await.unwrap();
    let left = drive::execute(&engine, Command::Expand, &slow).await;
    assert!(matches!(left, Err(Error::Busy { .. })), "{left:?}");

    let patient =
        drive::engine(&database.url(), drive::settings(), &Recorder::new(usize::MAX)).await.unwrap();
    let second = slow.clone();
    let waiting = tokio::spawn(async move { drive::execute(&patient, Command::Expand, &second).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!waiting.is_finished(), "{:?}", waiting.await);
    holder.batch_execute("ROLLBACK").await.unwrap();

    let (worked, waited) = (working.await.unwrap().unwrap(), waiting.await.unwrap().unwrap());
    assert!(worked.steps > 0);
    assert_eq!(waited.steps, 0, "both worked: {waited:?}");
    let wrong = "SELECT count(*) FROM accounts WHERE note <> 'n' || balance";
    assert_eq!(compare::query(&client, wrong).await.unwrap(), [[Some("0".to_owned())]]);
}
