//! Clients that write rows of their own, read them back, and remember what the server acknowledged and how long it took.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use concertina_lab::Server;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Statement};

use super::DATABASE;
use super::book::{Book, Row};

/// Which code a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// Reads and writes the column.
    Old,
    /// Does not know it.
    New,
}

/// What goes on meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Phase {
    OldAlone,
    Expand,
    Both,
    Contract,
    NewAlone,
    Undo,
    After,
}

const PHASES: [(Phase, &str); 7] = [
    (Phase::OldAlone, "old code alone"),
    (Phase::Expand, "expand"),
    (Phase::Both, "old and new code"),
    (Phase::Contract, "contract"),
    (Phase::NewAlone, "new code alone"),
    (Phase::Undo, "undo"),
    (Phase::After, "after undo"),
];

/// No more clients than this: each owns the rows whose number leaves its own when divided by it.
const OWNERS: i64 = 64;

/// All clients.
pub(super) struct Clients<'s> {
    server: &'s Server,
    rows: i64,
    pause: Duration,
    phase: Arc<AtomicU8>,
    taken: Arc<Mutex<BTreeMap<u8, Vec<f64>>>>,
}

/// A client that runs.
pub(super) struct Running {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Result<Book>>,
}

impl<'s> Clients<'s> {
    pub(super) fn new(server: &'s Server, rows: i64, pause: Duration) -> Self {
        Self { server, rows, pause, phase: Arc::default(), taken: Arc::default() }
    }

    pub(super) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::SeqCst);
    }

    /// Starts `number` clients; `first` of all owners are taken.
    pub(super) async fn start(&self, code: Code, number: i64, first: i64) -> Result<Vec<Running>> {
        ensure!(first + number <= OWNERS, "at most {OWNERS} clients");
        let mut running = Vec::new();
        for owner in first..first + number {
            let mut client = OneClient {
                client: self.server.connect(DATABASE).await?,
                code,
                owner,
                rows: self.rows,
                // The first that lies beyond the rows that are there.
                next: (self.rows - owner).div_euclid(OWNERS) + 1,
                random: StdRng::seed_from_u64(owner.unsigned_abs()),
                book: Book::default(),
            };
            let stop = Arc::new(AtomicBool::new(false));
            let (asked, phase, taken) = (Arc::clone(&stop), Arc::clone(&self.phase), Arc::clone(&self.taken));
            let pause = self.pause;
            let task = tokio::spawn(async move {
                let statements = client.prepare().await?;
                while !asked.load(Ordering::SeqCst) {
                    let (during, start) = (phase.load(Ordering::SeqCst), Instant::now());
                    let goes_on = client.transaction(&statements).await?;
                    let took = start.elapsed().as_secs_f64() * 1e3;
                    taken
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .entry(during)
                        .or_default()
                        .push(took);
                    if !goes_on {
                        break;
                    }
                    sleep(pause).await;
                }
                Ok(client.book)
            });
            running.push(Running { stop, task });
        }
        Ok(running)
    }

    /// Prints what clients felt, by phase.
    pub(super) fn report(&self) {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        println!(
            "  {:<18}{:>14}{:>10}{:>10}{:>12}",
            "clients during", "transactions", "p50 ms", "p99 ms", "longest ms"
        );
        for (phase, name) in PHASES {
            let mut times = taken.get(&(phase as u8)).cloned().unwrap_or_default();
            times.sort_by(f64::total_cmp);
            let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
            let longest = times.last().copied().unwrap_or_default();
            println!("  {name:<18}{:>14}{:>10.1}{:>10.1}{longest:>12.1}", times.len(), at(50), at(99));
        }
    }
}

/// Stops clients, and returns their books.
pub(super) async fn stop(running: Vec<Running>) -> Result<Vec<Book>> {
    for client in &running {
        client.stop.store(true, Ordering::SeqCst);
    }
    ended(running).await
}

/// Books of clients that end by themselves.
pub(super) async fn ended(running: Vec<Running>) -> Result<Vec<Book>> {
    let mut books = Vec::new();
    for client in running {
        books.push(client.task.await??);
    }
    Ok(books)
}

struct OneClient {
    client: Client,
    code: Code,
    owner: i64,
    rows: i64,
    /// Rows of ours are numbered `n * OWNERS + owner`; this is the next n that is free.
    next: i64,
    random: StdRng,
    book: Book,
}

struct Statements {
    read: Statement,
    insert: Statement,
    update: Statement,
    delete: Statement,
}

impl OneClient {
    async fn prepare(&self) -> Result<Statements> {
        let prepare = |old, new| {
            let sql = if self.code == Code::Old { old } else { new };
            self.client.prepare(sql)
        };
        Ok(Statements {
            read: prepare(
                "SELECT stock, note FROM items WHERE id = $1",
                "SELECT stock FROM items WHERE id = $1",
            )
            .await?,
            insert: prepare(
                "INSERT INTO items (id, stock, note) VALUES ($1, $2, $3)",
                "INSERT INTO items (id, stock) VALUES ($1, $2)",
            )
            .await?,
            update: prepare(
                "UPDATE items SET stock = $2, note = $3 WHERE id = $1",
                "UPDATE items SET stock = $2 WHERE id = $1",
            )
            .await?,
            delete: prepare("DELETE FROM items WHERE id = $1", "DELETE FROM items WHERE id = $1").await?,
        })
    }

    /// A row of ours that is there.
    fn pick(&mut self) -> Option<i64> {
        (0..20).find_map(|_| {
            let id = self.random.random_range(0..self.next) * OWNERS + self.owner;
            let there = id >= 1 && (id <= self.rows || self.book.knows(id));
            (there && self.book.row(id).is_some()).then_some(id)
        })
    }

    /// One transaction. Returns false once the server says that the column is gone.
    async fn transaction(&mut self, statements: &Statements) -> Result<bool> {
        let what = self.random.random_range(0..10);
        let picked = self.pick();
        match (what, picked) {
            (0..=2, Some(id)) => self.read(statements, id).await,
            (3..=5, Some(id)) => {
                let before = self.book.row(id).context("it was picked because it is there")?;
                let row = self.written(id, before);
                self.write(&statements.update, id, row).await
            }
            (6, Some(id)) => {
                let done = self.client.execute(&statements.delete, &[&id]).await;
                let row = Row { deleted: true, ..Row::first(id) };
                self.judge(done, id, row)
            }
            _ => {
                let id = self.next * OWNERS + self.owner;
                self.next += 1;
                let row = self.written(id, Row { stock: 0, note: None, deleted: false });
                self.write(&statements.insert, id, row).await
            }
        }
    }

    /// The row as this code writes it.
    fn written(&mut self, id: i64, before: Row) -> Row {
        let stock = self.random.random_range(1..1_000_000);
        match self.code {
            Code::Old if self.random.random_range(0..10) == 0 => Row { stock, note: None, ..before },
            Code::Old => Row { stock, note: Some(format!("old {id} {stock}")), ..before },
            Code::New => Row { stock, ..before },
        }
    }

    async fn write(&mut self, statement: &Statement, id: i64, row: Row) -> Result<bool> {
        let done = match self.code {
            Code::Old => self.client.execute(statement, &[&id, &row.stock, &row.note]).await,
            Code::New => self.client.execute(statement, &[&id, &row.stock]).await,
        };
        self.judge(done, id, row)
    }

    /// Writes down what was acknowledged.
    fn judge(&mut self, done: Result<u64, tokio_postgres::Error>, id: i64, row: Row) -> Result<bool> {
        match done {
            Ok(1) => {
                self.book.acknowledged(id, row);
                Ok(true)
            }
            Ok(rows) => bail!("a write of row {id} met {rows} rows"),
            Err(error) => self.gone(error),
        }
    }

    async fn read(&self, statements: &Statements, id: i64) -> Result<bool> {
        let row = match self.client.query_one(&statements.read, &[&id]).await {
            Ok(row) => row,
            Err(error) => return self.gone(error),
        };
        let wanted = self.book.row(id).context("it was picked because it is there")?;
        ensure!(row.get::<_, i32>(0) == wanted.stock, "row {id} has not the stock that was acknowledged");
        if self.code == Code::Old {
            let note: Option<String> = row.get(1);
            ensure!(note == wanted.note, "row {id} has note {note:?} instead of {:?}", wanted.note);
        }
        Ok(true)
    }

    /// The one error that the plan announced, for old code only.
    fn gone(&self, error: tokio_postgres::Error) -> Result<bool> {
        if self.code == Code::Old && error.code() == Some(&SqlState::UNDEFINED_COLUMN) {
            return Ok(false);
        }
        Err(error).with_context(|| format!("a client of {:?} code", self.code))
    }
}
