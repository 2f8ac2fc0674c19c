//! Upserts of new keys on either unique column from many connections at once. The old column and its second one are both unique, and
//! PostgreSQL forgives only the index that ON CONFLICT names: without turns, writers of one new key fail on the other index.
//!
//! One row at a time nobody meets an error. Many rows in an order of their own deadlock, and fail to serialize, on a table without a
//! migration just as much; that they never fail on an index is what is to be shown.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use concertina_proof::drive::{self, Command};
use concertina_proof::world::{Database, World};
use concertina_run::state::MigrationFile;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use tokio_postgres::NoTls;

use crate::run;

const SCHEMA: &str = "
    CREATE TABLE hot (id bigserial PRIMARY KEY, a text UNIQUE, n bigint NOT NULL DEFAULT 0);
    CREATE TABLE pairs (k int, a text, n bigint NOT NULL DEFAULT 0, UNIQUE (k, a));
    CREATE ROLE app LOGIN;
    ALTER ROLE app SET deadlock_timeout = '20ms';
    GRANT SELECT, INSERT, UPDATE ON hot, pairs TO app;
    GRANT USAGE ON SEQUENCE hot_id_seq TO app;";

const MIGRATION: &str = "ALTER TABLE hot RENAME a TO b; ALTER TABLE pairs RENAME a TO b;";

const WRITERS: u64 = 12;

/// How a writer upserts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// One row.
    One,
    /// Several rows by one statement.
    Statement,
    /// Several statements of one row in a transaction.
    Transaction,
    /// The same, in one snapshot.
    RepeatableRead,
}

#[test]
fn one_row_at_a_time_nobody_meets_an_error() {
    run(|| async move {
        let met = all_at_once(&[Manner::One]).await?;
        ensure!(met.keys().collect::<Vec<_>>() == ["done"], "{met:?}");
        Ok(())
    });
}

#[test]
fn many_rows_in_any_order_never_fail_on_an_index() {
    run(|| async move {
        let met = all_at_once(&[Manner::Statement, Manner::Transaction, Manner::RepeatableRead]).await?;
        // 40P01 and 40001 are met without a migration, too.
        let announced = |code: &String| ["done", "40P01", "40001"].contains(&code.as_str());
        ensure!(met.keys().all(announced) && met.contains_key("done"), "{met:?}");
        Ok(())
    });
}

/// What writers meet, by SQLSTATE, while they use old and new names beside each other.
async fn all_at_once(manners: &'static [Manner]) -> Result<BTreeMap<String, u64>> {
    let world = World::start().await?;
    let database = world.database(SCHEMA).await?;
    let file = MigrationFile { name: "0001_rename".to_owned(), text: MIGRATION.to_owned() };
    let outcome = drive::run(&database.url(), Command::Expand, &file, usize::MAX).await?.outcome;
    outcome.map_err(|error| anyhow::anyhow!(drive::words(&error)))?;
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..WRITERS)
        .map(|number| tokio::spawn(write(database.url_of("app"), number, manners, stop.clone())))
        .collect();
    tokio::time::sleep(Duration::from_secs(4)).await;
    stop.store(true, Ordering::SeqCst);
    let (mut met, mut rows) = (BTreeMap::new(), 0);
    for writer in writers {
        let (codes, wrote) = writer.await.context("a writer panicked")??;
        rows += wrote;
        for (code, times) in codes {
            *met.entry(code).or_default() += times;
        }
    }
    counted(&database, rows).await?;
    println!("{manners:?}: {met:?}");
    Ok(met)
}

/// Every acknowledged upsert counts once, whatever name it used.
async fn counted(database: &Database<'_>, rows: i64) -> Result<()> {
    let client = database.connect().await?;
    let sql = "SELECT (SELECT sum(n) FROM hot)::bigint + (SELECT sum(n) FROM pairs)::bigint,
               (SELECT count(*) FROM hot WHERE a IS DISTINCT FROM b) + (SELECT count(*) FROM pairs WHERE a IS DISTINCT FROM b)";
    let row = client.query_one(sql, &[]).await?;
    ensure!(row.get::<_, i64>(0) == rows, "{rows} upserts, counted {}", row.get::<_, i64>(0));
    ensure!(row.get::<_, i64>(1) == 0, "{} rows are out of step", row.get::<_, i64>(1));
    Ok(())
}

async fn write(
    url: String,
    number: u64,
    manners: &'static [Manner],
    stop: Arc<AtomicBool>,
) -> Result<(BTreeMap<String, u64>, i64)> {
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
    tokio::spawn(connection);
    let mut random = StdRng::seed_from_u64(number);
    let (mut met, mut rows) = (BTreeMap::new(), 0);
    let begun = Instant::now();
    while !stop.load(Ordering::SeqCst) {
        ensure!(begun.elapsed() < Duration::from_secs(600), "writers are not stopped");
        let manner = *manners.choose(&mut random).unwrap_or(&Manner::One);
        let keys = keys(manner, &mut random)?;
        let sql = sql(manner, &keys, &mut random);
        let code = match client.batch_execute(&sql).await {
            Ok(()) => {
                rows += i64::try_from(keys.len())?;
                "done".to_owned()
            }
            Err(error) => {
                client.batch_execute("ROLLBACK").await?;
                let code = error.code().with_context(|| format!("{sql}: {error}"))?.code().to_owned();
                if code != "40P01" && code != "40001" { format!("{code} of {sql}: {error:?}") } else { code }
            }
        };
        *met.entry(code).or_default() += 1;
    }
    Ok((met, rows))
}

/// Keys that come anew all the time, so that writers meet at those that are not there yet.
fn keys(manner: Manner, random: &mut StdRng) -> Result<Vec<u128>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() / 2;
    let mut keys: Vec<u128> = (0..8).map(|at| now - at).collect();
    keys.shuffle(random);
    keys.truncate(if manner == Manner::One { 1 } else { random.random_range(2..8) });
    Ok(keys)
}

fn sql(manner: Manner, keys: &[u128], random: &mut StdRng) -> String {
    let column = if random.random() { "a" } else { "b" };
    let row =
        |key: &u128, pairs: bool| if pairs { format!("(1, '{key}', 1)") } else { format!("('{key}', 1)") };
    let upsert = |rows: &str, pairs: bool| match pairs {
        true => format!(
            "INSERT INTO pairs (k, {column}, n) VALUES {rows} ON CONFLICT (k, {column}) DO UPDATE SET n = pairs.n + 1; "
        ),
        false => format!(
            "INSERT INTO hot ({column}, n) VALUES {rows} ON CONFLICT ({column}) DO UPDATE SET n = hot.n + 1; "
        ),
    };
    let pairs = random.random();
    let each = || keys.iter().map(|key| upsert(&row(key, pairs), pairs)).collect::<String>();
    match manner {
        Manner::One | Manner::Statement => {
            upsert(&keys.iter().map(|key| row(key, pairs)).collect::<Vec<_>>().join(", "), pairs)
        }
        Manner::Transaction => format!("BEGIN; {}COMMIT", each()),
        Manner::RepeatableRead => format!("BEGIN ISOLATION LEVEL REPEATABLE READ; {}COMMIT", each()),
    }
}
