//! The file as most tools run it: statement after statement, in one transaction.

use std::time::Duration;

use anyhow::{Context, Result};
use concertina_plan::pg::lock::LockMode;
use tokio_postgres::{Client, Transaction};

use super::run::{Migrate, Notes};
use crate::wire::{HeldLock, Lock};

/// See the module.
#[derive(Debug)]
pub(crate) struct Naive {
    client: Client,
    sql: &'static str,
    written: u64,
    locks: Vec<HeldLock>,
}

impl Naive {
    /// Runs this file over this connection.
    pub(crate) fn new(client: Client, sql: &'static str) -> Naive {
        Naive { client, sql, written: 0, locks: Vec::new() }
    }
}

/// The file's statements. It holds no semicolon but those at their ends, and a test sees to that.
fn statements(sql: &str) -> impl Iterator<Item = String> {
    let code: Vec<&str> = sql.lines().filter(|line| !line.starts_with("--")).collect();
    let code = code.join("\n");
    code.split(';')
        .map(|statement| statement.trim().to_owned())
        .filter(|statement| !statement.is_empty())
        .collect::<Vec<_>>()
        .into_iter()
}

/// What the clients feel of it.
fn meaning(number: u32) -> &'static str {
    match number {
        1 => {
            "the first ALTER TABLE locks orders against every read and write, and a transaction keeps its locks until COMMIT"
        }
        _ => {
            "the lock of the first statement is still held: every read and write of orders waits until COMMIT"
        }
    }
}

impl Migrate for Naive {
    async fn before_deploy(&mut self, notes: &Notes) -> Result<()> {
        let transaction = self.client.transaction().await.context("BEGIN")?;
        for (number, statement) in (1_u32..).zip(statements(self.sql)) {
            let letter = char::from_digit(number, 10).unwrap_or('+');
            notes.begin(letter, statement.clone(), meaning(number));
            self.written += transaction.execute(&statement, &[]).await.with_context(|| statement.clone())?;
            note_locks(&transaction, &mut self.locks, notes.elapsed()).await?;
        }
        transaction.commit().await.context("COMMIT")?;
        for lock in &mut self.locks {
            lock.to_seconds = notes.elapsed().as_secs_f64();
        }
        Ok(())
    }

    async fn after_deploy(&mut self, _: &Notes) -> Result<()> {
        Ok(())
    }

    fn written(&self) -> u64 {
        self.written
    }

    fn locks(&self) -> Vec<HeldLock> {
        self.locks.clone()
    }
}

/// Locks that the transaction holds since its last statement, as the server says.
async fn note_locks(transaction: &Transaction<'_>, known: &mut Vec<HeldLock>, now: Duration) -> Result<()> {
    for row in transaction.query(LOCKS, &[]).await.context("looking at the locks")? {
        let (relation, mode): (String, String) = (row.get(0), row.get(1));
        let Some(mode) = LockMode::from_pg_locks(&mode).filter(|mode| mode.blocks_writes()) else { continue };
        let lock = Lock {
            relation,
            mode: mode.sql().to_owned(),
            blocks_reads: mode.blocks_reads(),
            blocks_writes: mode.blocks_writes(),
        };
        if !known.iter().any(|held| held.lock.relation == lock.relation && held.lock.mode == lock.mode) {
            let (from_seconds, to_seconds) = (now.as_secs_f64(), now.as_secs_f64());
            known.push(HeldLock { lock, from_seconds, to_seconds });
        }
    }
    Ok(())
}

const LOCKS: &str = "
SELECT format('%I.%I', n.nspname, c.relname), l.mode
FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE l.pid = pg_backend_pid() AND l.granted AND c.relkind = 'r' AND n.nspname = 'public'
ORDER BY 1, 2";

#[cfg(test)]
mod tests {
    use super::statements;

    #[test]
    fn the_demo_s_migration_is_six_statements() {
        let found: Vec<String> = statements(super::super::shop::MIGRATION).collect();
        assert_eq!(found.len(), 6, "{found:#?}");
        assert!(found.iter().all(|sql| sql.starts_with("ALTER TABLE ")
            || sql.starts_with("UPDATE ")
            || sql.starts_with("CREATE INDEX ")));
        assert!(!super::super::shop::MIGRATION.contains('\''), "a string could hold a semicolon");
    }
}
