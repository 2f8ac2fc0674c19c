//! Clients, and the book in which they note what the server acknowledged.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use concertina_lab::traffic::{Config, Mix, Traffic, params};
use rand::Rng;
use tokio_postgres::Client;

use super::subject::{OLD_INSERT, OLD_SPEND, Subject};

/// New rows have higher ids.
const FIRST_NEW: i64 = 10_000_000;

/// What was acknowledged.
#[derive(Clone)]
pub(crate) struct Book {
    rows: i64,
    next: Arc<AtomicI64>,
    entries: Arc<Mutex<Entries>>,
}

#[derive(Default)]
struct Entries {
    /// How often each row was touched, and by how much its balance moved.
    changed: BTreeMap<i64, (i32, i64)>,
    inserted: i64,
}

impl Book {
    /// An empty book for a table with so many rows.
    pub(crate) fn new(rows: i64) -> Self {
        Self { rows, next: Arc::new(AtomicI64::new(FIRST_NEW)), entries: Arc::default() }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every acknowledged write is in the table exactly once, and no other.
    pub(crate) async fn check(&self, client: &Client) -> Result<()> {
        let entries = {
            let entries = self.entries();
            (entries.changed.clone(), entries.inserted)
        };
        let (changed, inserted) = entries;
        ensure!(changed.len() > 10 && inserted > 10, "the clients did next to nothing");
        let count: i64 = client.query_one("SELECT count(*) FROM accounts", &[]).await?.get(0);
        ensure!(count == self.rows + inserted, "{count} rows instead of {} + {inserted}", self.rows);
        let found = client
            .query(
                "SELECT id, touches, balance - CASE WHEN id < 10000000 THEN id % 1000 ELSE 0 END FROM accounts
                 WHERE touches <> 0 OR balance <> CASE WHEN id < 10000000 THEN id % 1000 ELSE 0 END",
                &[],
            )
            .await?;
        let found: BTreeMap<i64, (i32, i64)> =
            found.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect();
        let ids = changed.keys().chain(found.keys());
        for id in ids {
            let (wanted, got) = (changed.get(id).copied(), found.get(id).copied());
            if wanted.unwrap_or_default() != got.unwrap_or_default() {
                bail!("account {id}: acknowledged {wanted:?} (touches, balance), found {got:?}");
            }
        }
        Ok(())
    }
}

/// Starts clients: of code that knows the new shape, or does not.
pub(crate) async fn start(
    url: &str,
    subject: &Subject,
    new: bool,
    book: &Book,
    rate: f64,
) -> Result<Traffic> {
    let (insert, spend) = if new { (subject.insert, subject.spend) } else { (OLD_INSERT, OLD_SPEND) };
    let rows = book.rows;
    let (touches, spends, inserts) = (book.clone(), book.clone(), book.clone());
    let mix = Mix::new()
        .statement(4, "read", "SELECT balance FROM accounts WHERE id = $1", move |rng| {
            params![rng.random_range(1..=rows)]
        })
        .action(2, "touch", move |client, rng| {
            let (book, id) = (touches.clone(), rng.random_range(1..=rows));
            Box::pin(async move {
                client.execute("UPDATE accounts SET touches = touches + 1 WHERE id = $1", &[&id]).await?;
                book.entries().changed.entry(id).or_default().0 += 1;
                Ok(())
            })
        })
        .action(2, "spend", move |client, rng| {
            let (book, id, by) = (spends.clone(), rng.random_range(1..=rows), rng.random_range(1..=9i64));
            Box::pin(async move {
                client.execute(spend, &[&id, &by]).await?;
                book.entries().changed.entry(id).or_default().1 += by;
                Ok(())
            })
        })
        .action(2, "insert", move |client, _| {
            let book = inserts.clone();
            Box::pin(async move {
                let id = book.next.fetch_add(1, Ordering::SeqCst);
                client.execute(insert, &[&id]).await?;
                book.entries().inserted += 1;
                Ok(())
            })
        });
    let seed = rand::random();
    Traffic::start(Config::new(url).connections(6).rate(rate).seed(seed), mix)
        .await
        .context("starting clients")
}
