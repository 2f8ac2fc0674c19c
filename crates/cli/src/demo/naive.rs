//! The file as most tools run it: statement after statement, in one transaction.

use anyhow::{Context, Result};
use tokio_postgres::Client;

use super::run::{Migrate, Notes};

/// See the module.
#[derive(Debug)]
pub(crate) struct Naive {
    client: Client,
    sql: &'static str,
    written: u64,
}

impl Naive {
    /// Runs this file over this connection.
    pub(crate) fn new(client: Client, sql: &'static str) -> Naive {
        Naive { client, sql, written: 0 }
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

impl Migrate for Naive {
    async fn before_deploy(&mut self, notes: &Notes) -> Result<()> {
        let transaction = self.client.transaction().await.context("BEGIN")?;
        for (number, statement) in (1_u32..).zip(statements(self.sql)) {
            let letter = char::from_digit(number, 10).unwrap_or('+');
            notes.begin(letter, statement.clone());
            self.written += transaction.execute(&statement, &[]).await.with_context(|| statement.clone())?;
        }
        transaction.commit().await.context("COMMIT")
    }

    async fn after_deploy(&mut self, _: &Notes) -> Result<()> {
        Ok(())
    }

    fn written(&self) -> u64 {
        self.written
    }
}

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
