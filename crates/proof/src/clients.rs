//! Clients that write while a migration runs: what failed, and which numbers the server acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::task::JoinHandle;
use tokio_postgres::Client;

use crate::case::Statement;

/// Between two statements of one client.
const PAUSE: Duration = Duration::from_millis(1);

/// A running client.
#[derive(Debug)]
pub struct Running {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Heard>,
}

/// What one client's server told it.
#[derive(Clone, Debug)]
pub struct Heard {
    /// What it ran.
    pub statement: Statement,
    /// Numbers whose statement succeeded.
    pub acknowledged: BTreeSet<i64>,
    /// Messages by SQLSTATE, with the first number that failed.
    pub errors: BTreeMap<String, (i64, String)>,
}

/// Starts a client; its numbers count from `first`.
pub fn start(client: Client, statement: Statement, first: i64) -> Running {
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let task = tokio::spawn(async move {
        let mut heard = Heard { statement, acknowledged: BTreeSet::new(), errors: BTreeMap::new() };
        let mut n = first;
        while !stopped.load(Ordering::SeqCst) {
            let sql = heard.statement.sql.replace("{n}", &n.to_string());
            match client.batch_execute(&sql).await {
                Ok(()) => {
                    heard.acknowledged.insert(n);
                }
                Err(error) => {
                    let code = error.code().map_or("connection", |code| code.code()).to_owned();
                    let words =
                        error.as_db_error().map_or_else(|| error.to_string(), |e| e.message().to_owned());
                    heard.errors.entry(code).or_insert((n, words));
                }
            }
            n += 1;
            tokio::time::sleep(PAUSE).await;
        }
        heard
    });
    Running { stop, task }
}

/// Stops clients after what they are doing.
///
/// # Errors
/// When one panicked.
pub async fn stop(clients: Vec<Running>) -> Result<Vec<Heard>> {
    for client in &clients {
        client.stop.store(true, Ordering::SeqCst);
    }
    let mut all = Vec::new();
    for client in clients {
        all.push(client.task.await.context("a client panicked")?);
    }
    Ok(all)
}
