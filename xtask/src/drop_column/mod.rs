//! Drops a column of a large table under traffic, contracts, undoes after contract, and compares every acknowledged write with
//! the column that is back. The clients keep their own book of what the server acknowledged; Concertina's is not asked.

mod book;
mod clients;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use concertina_lab::{Installation, Server};
use concertina_plan::policy::Policy;
use concertina_run::Engine;
use concertina_run::connect::Target;
use concertina_run::engine::{Confirm, Stop};
use concertina_run::event::Silent;
use concertina_run::settings::Settings;
use concertina_run::state::MigrationFile;
use tokio::time::sleep;

use book::Book;
use clients::{Clients, Code, Phase};

/// Arguments.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Rows of the table
    #[arg(long, default_value_t = 5_000_000)]
    rows: i64,
    /// Clients of each code
    #[arg(long, default_value_t = 6)]
    clients: i64,
    /// Milliseconds that a client rests between two transactions
    #[arg(long, default_value_t = 10)]
    pause: u64,
    /// Seconds of traffic before, between and after the commands
    #[arg(long, default_value_t = 15)]
    window: u64,
    /// Milliseconds of a batch; the default of Concertina when left out
    #[arg(long)]
    batch: Option<f64>,
    /// Share of the time spent working; the default of Concertina when left out
    #[arg(long)]
    load: Option<f64>,
}

const DATABASE: &str = "shop";
const SQL: &str = "ALTER TABLE items DROP COLUMN note;\n";

/// Runs it; an error when anything was lost.
pub(crate) async fn run(args: &Args) -> Result<()> {
    let installation = Installation::find()?;
    println!("PostgreSQL {}, {} cores", installation.version, std::thread::available_parallelism()?);
    let server = crate::bench::server(&installation).await?;
    println!("making {} rows …", args.rows);
    server.create_database(DATABASE).await?;
    server
        .psql(
            DATABASE,
            &format!(
                "CREATE TABLE items (id bigint PRIMARY KEY, stock int NOT NULL, note text);
                 INSERT INTO items SELECT i, 0, {} FROM generate_series(1, {}) AS i;
                 CREATE INDEX ON items (stock);
                 VACUUM (FREEZE, ANALYZE) items;",
                book::FIRST_NOTE_SQL,
                args.rows
            ),
        )
        .await?;
    let file = [MigrationFile { name: "0001_drop".to_owned(), text: SQL.to_owned() }];
    let engine = engine(&server, args).await?;
    engine.init().await?;

    let window = Duration::from_secs(args.window);
    let clients = Clients::new(&server, args.rows, Duration::from_millis(args.pause));
    let old = clients.start(Code::Old, args.clients, 0).await?;
    // An instance of old code that was forgotten: it writes the column until the server says that there is none.
    let late = clients.start(Code::Old, 1, args.clients).await?;
    clients.enter(Phase::OldAlone);
    sleep(window).await;

    clients.enter(Phase::Expand);
    let expand = timed("expand", engine.expand(&file, None)).await?;
    ensure!(expand.moved.len() == 1, "the migration did not run");
    let new = clients.start(Code::New, args.clients, args.clients + 1).await?;
    clients.enter(Phase::Both);
    sleep(window).await;

    let mut books = clients::stop(old).await?;
    clients.enter(Phase::Contract);
    timed("contract", engine.contract(&file, None, Confirm { destroy: true })).await?;
    books.extend(clients::ended(late).await?);
    clients.enter(Phase::NewAlone);
    sleep(window).await;

    clients.enter(Phase::Undo);
    timed("undo", engine.undo(Some("0001_drop"))).await?;
    clients.enter(Phase::After);
    sleep(window).await;
    books.extend(clients::stop(new).await?);

    clients.report();
    locks(&server).await?;
    compare(&server, args.rows, books).await
}

async fn engine(server: &Server, args: &Args) -> Result<Engine> {
    let target = Target::resolve(Some(&server.url(DATABASE)))?;
    let mut settings = Settings::default();
    let throttle = &mut settings.throttle;
    throttle.batch = args.batch.map_or(throttle.batch, |ms| Duration::from_secs_f64(ms / 1e3));
    throttle.load = args.load.unwrap_or(throttle.load);
    Ok(Engine::connect(target, settings, Policy::default(), Arc::new(Silent), Stop::default()).await?)
}

async fn timed<T, E>(what: &str, run: impl Future<Output = Result<T, E>>) -> Result<T>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let start = Instant::now();
    let result = run.await.with_context(|| what.to_owned())?;
    println!("  {what}: {:.1} s", start.elapsed().as_secs_f64());
    Ok(result)
}

/// The longest time for which a step held its strong locks, as the ledger has it.
async fn locks(server: &Server) -> Result<()> {
    let client = server.connect(DATABASE).await?;
    let longest = "SELECT kind, (extract(epoch FROM max(ended_at - began_at)) * 1000)::float8, max(worst_ms), sum(victims)::int8
                   FROM concertina.span WHERE kind IN ('locks', 'stall') GROUP BY kind ORDER BY kind";
    for row in client.query(longest, &[]).await? {
        match row.get::<_, &str>(0) {
            "locks" => {
                println!("  longest time that a step held strong locks: {:.1} ms", row.get::<_, f64>(1))
            }
            _ => println!(
                "  sessions seen waiting for us: {}, the longest {:.1} ms",
                row.get::<_, i64>(3),
                row.get::<_, f64>(2)
            ),
        }
    }
    Ok(())
}

/// Every row of the table against the books; the books of two clients never speak of one row.
async fn compare(server: &Server, rows: i64, books: Vec<Book>) -> Result<()> {
    const PORTION: i64 = 200_000;
    let book = Book::all(books);
    let client = server.connect(DATABASE).await?;
    let last: i64 = client.query_one("SELECT coalesce(max(id), 0) FROM items", &[]).await?.get(0);
    let statement =
        client.prepare("SELECT id, stock, note FROM items WHERE id > $1 AND id <= $2 ORDER BY id").await?;
    let (mut wrong, mut from) = (Vec::new(), 0);
    let end = last.max(rows).max(book.greatest());
    while from < end {
        let upto = (from + PORTION).min(end);
        let found = client.query(&statement, &[&from, &upto]).await?;
        let found: Vec<(i64, i32, Option<String>)> =
            found.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
        wrong.extend(book.differences(rows, from, upto, &found));
        from = upto;
    }
    println!("  acknowledged writes: {} of {} rows; lost: {}", book.writes(), book.rows(), wrong.len());
    ensure!(wrong.is_empty(), "{} rows are not as acknowledged, such as {}", wrong.len(), wrong[0]);
    Ok(())
}
