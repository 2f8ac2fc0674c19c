//! The clients of the shop: prepared statements with column lists, as an ordinary application has them.
//!
//! Old code does not know `orders.total_cents`; new code writes it. A rolling deploy moves connection after connection
//! from one to the other. Writes that the server acknowledged are counted, so that none can be lost unseen.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use concertina_lab::traffic::{Failure, Kind, Params, Workload, params};
use rand::Rng;
use rand::rngs::StdRng;
use tokio::time::sleep;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement};

use super::shop::Size;

/// What one client does, how often (in percent), and how old and new code say it.
struct Operation {
    kind: Kind,
    percent: u32,
    old: &'static str,
    new: &'static str,
}

const ORDER: &str = "SELECT id, customer_id, product_id, quantity, total, status FROM orders WHERE id = $1";
const ORDERS_OF: &str =
    "SELECT id, total, status, created_at FROM orders WHERE customer_id = $1 ORDER BY id DESC LIMIT 20";
const CUSTOMER: &str = "SELECT id, name, email FROM customers WHERE id = $1";
const PAY: &str = "UPDATE orders SET status = 'paid', version = version + 1 WHERE id = $1";

const OPERATIONS: [Operation; 6] = [
    Operation { kind: "read order", percent: 45, old: ORDER, new: ORDER },
    Operation { kind: "list orders", percent: 20, old: ORDERS_OF, new: ORDERS_OF },
    Operation { kind: "read customer", percent: 10, old: CUSTOMER, new: CUSTOMER },
    Operation {
        kind: INSERT,
        percent: 10,
        old: "INSERT INTO orders (customer_id, product_id, quantity, total) VALUES ($1, $2, $3, $4::bigint / 100.0)",
        new: "INSERT INTO orders (customer_id, product_id, quantity, total, total_cents) \
              VALUES ($1, $2, $3, $4::bigint / 100.0, $4)",
    },
    Operation { kind: "pay order", percent: 10, old: PAY, new: PAY },
    Operation {
        kind: REPRICE,
        percent: 5,
        old: "UPDATE orders SET total = $2::bigint / 100.0, version = version + 1 WHERE id = $1",
        new: "UPDATE orders SET total = $2::bigint / 100.0, total_cents = $2, version = version + 1 WHERE id = $1",
    },
];
const INSERT: Kind = "insert order";
const REPRICE: Kind = "reprice order";

/// Part of the operations that only read, in percent.
pub(crate) fn reads() -> u32 {
    OPERATIONS.iter().filter(|does| does.old.starts_with("SELECT")).map(|does| does.percent).sum()
}

/// The clients of one run. Clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct Shop {
    size: Size,
    connections: usize,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    sessions: AtomicUsize,
    on_new_code: AtomicUsize,
    old_in_flight: AtomicUsize,
    inserted: AtomicU64,
    updated: AtomicU64,
}

/// Writes that the server acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Acknowledged {
    /// Rows inserted.
    pub(crate) inserted: u64,
    /// Updates of one row; each adds 1 to the row's `version`.
    pub(crate) updated: u64,
}

impl Shop {
    /// Clients that all run old code.
    pub(crate) fn new(size: Size, connections: usize) -> Shop {
        Shop { size, connections, shared: Arc::default() }
    }

    /// The rolling deploy: within this time one connection after the other goes over to new code. It is through when the
    /// last operation of old code has been answered, as a deploy that drains its old instances.
    pub(crate) async fn deploy(&self, within: Duration) {
        for done in 1..=self.connections {
            sleep(within / self.connections as u32).await;
            self.shared.on_new_code.store(done, Ordering::SeqCst);
        }
        while self.shared.old_in_flight.load(Ordering::SeqCst) > 0 {
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Writes acknowledged so far.
    pub(crate) fn acknowledged(&self) -> Acknowledged {
        Acknowledged {
            inserted: self.shared.inserted.load(Ordering::SeqCst),
            updated: self.shared.updated.load(Ordering::SeqCst),
        }
    }

    fn params(&self, kind: Kind, rng: &mut StdRng) -> Params {
        let order = rng.random_range(1..=self.size.orders as i64);
        let customer = rng.random_range(1..=self.size.customers as i64);
        let cents = rng.random_range(100..=100_000_i64);
        match kind {
            "list orders" | "read customer" => params![customer],
            INSERT => {
                let product = rng.random_range(1..=self.size.products as i64);
                params![customer, product, rng.random_range(1..=3_i32), cents]
            }
            REPRICE => params![order, cents],
            _ => params![order],
        }
    }
}

/// Counts for as long as it lives.
struct InFlight<'a>(&'a AtomicUsize);

impl InFlight<'_> {
    fn new(counter: &AtomicUsize) -> InFlight<'_> {
        counter.fetch_add(1, Ordering::SeqCst);
        InFlight(counter)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What a connection keeps: its place in the deploy, and prepared statements of old and new code.
#[derive(Default)]
pub(crate) struct Session {
    place: Option<usize>,
    prepared: [[Option<Statement>; 2]; OPERATIONS.len()],
}

impl Workload for Shop {
    type Session = Session;

    fn pick(&self, rng: &mut StdRng) -> Kind {
        let mut ticket = rng.random_range(0..OPERATIONS.iter().map(|does| does.percent).sum());
        for does in &OPERATIONS {
            if ticket < does.percent {
                return does.kind;
            }
            ticket -= does.percent;
        }
        OPERATIONS[0].kind
    }

    async fn once(
        &self,
        kind: Kind,
        client: &mut Client,
        session: &mut Session,
        rng: &mut StdRng,
    ) -> Result<(), Failure> {
        let Some(number) = OPERATIONS.iter().position(|does| does.kind == kind) else {
            return Err(Failure::Wrong(format!("no operation is called {kind}")));
        };
        // A connection that was lost and opened again takes the place of another one.
        let place = session
            .place
            .get_or_insert_with(|| self.shared.sessions.fetch_add(1, Ordering::Relaxed) % self.connections);
        // Counted before it is decided: the deploy cannot overlook it.
        let in_flight = InFlight::new(&self.shared.old_in_flight);
        let new = *place < self.shared.on_new_code.load(Ordering::SeqCst);
        let _old = (!new).then_some(in_flight);
        let params = self.params(kind, rng);
        let params: Vec<&(dyn ToSql + Sync)> =
            params.iter().map(|value| value.as_ref() as &(dyn ToSql + Sync)).collect();

        // Taken out while it is in use: a statement that fails is prepared anew, as drivers do.
        let slot = &mut session.prepared[number][usize::from(new)];
        let statement = match slot.take() {
            Some(statement) => statement,
            None => client.prepare(if new { OPERATIONS[number].new } else { OPERATIONS[number].old }).await?,
        };
        let rows = if statement.columns().is_empty() {
            client.execute(&statement, &params).await?
        } else {
            client.query(&statement, &params).await?.len() as u64
        };
        *slot = Some(statement);

        match kind {
            "list orders" => return Ok(()),
            _ if rows != 1 => return Err(Failure::Wrong(format!("{kind}: {rows} rows instead of one"))),
            INSERT => self.shared.inserted.fetch_add(1, Ordering::SeqCst),
            "pay order" | REPRICE => self.shared.updated.fetch_add(1, Ordering::SeqCst),
            _ => return Ok(()),
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_code_does_not_know_the_new_column_and_nothing_is_positional() {
        assert_eq!(OPERATIONS.iter().map(|does| does.percent).sum::<u32>(), 100);
        for does in &OPERATIONS {
            assert!(!does.old.contains("total_cents"), "{}", does.old);
            assert!(!does.old.contains('*') && !does.new.contains('*'));
            assert_eq!(does.kind == INSERT || does.kind == REPRICE, does.new.contains("total_cents"));
        }
    }
}
