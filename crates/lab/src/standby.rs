//! A streaming standby that answers queries.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::time::sleep;

use crate::{Options, Server, Tools, template};

impl Server {
    /// Starts a hot standby of this server by `pg_basebackup`; it streams until one of the two is dropped.
    pub async fn standby(&self, options: Options) -> Result<Server> {
        let mut standby = Server::prepare(self.installation(), &options)?;
        let tools = Tools::for_server(self.installation())?;
        let mut backup = self.account().command(&tools.program("pg_basebackup"));
        backup
            .args(["--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "--no-sync"])
            .arg("--pgdata")
            .arg(standby.data())
            .envs(self.env());
        template::run(backup).await.context("copying the primary")?;
        standby.configure(&options)?;
        standby.launch().await?;
        Ok(standby)
    }

    /// Waits until this standby has replayed everything that `primary` has written so far.
    pub async fn wait_for_replay_of(&self, primary: &Server, limit: Duration) -> Result<()> {
        let source = primary.connect("postgres").await?;
        let written: String = source.query_one("SELECT pg_current_wal_insert_lsn()::text", &[]).await?.get(0);
        let replica = self.connect("postgres").await?;
        let replayed = "SELECT coalesce(pg_last_wal_replay_lsn() >= $1::text::pg_lsn, false)";
        let deadline = Instant::now() + limit;
        while !replica.query_one(replayed, &[&written]).await?.get::<_, bool>(0) {
            ensure!(Instant::now() < deadline, "the standby has not replayed {written} within {limit:?}");
            sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// Makes this standby a primary and waits until it is one.
    pub async fn promote(&self) -> Result<()> {
        let client = self.connect("postgres").await?;
        let promoted: bool = client.query_one("SELECT pg_promote()", &[]).await?.get(0);
        ensure!(promoted, "the standby was not promoted; see {}", Path::display(&self.log()));
        Ok(())
    }
}
