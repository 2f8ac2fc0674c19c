//! What is done inside a server: connect, create and drop databases, load SQL, dump a schema.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio_postgres::{Client, NoTls};

use crate::{Server, Tools};

impl Server {
    /// A connection to this database; its background task ends with the client.
    pub async fn connect(&self, database: &str) -> Result<Client> {
        connect(&self.url(database)).await
    }

    /// Creates an empty database.
    pub async fn create_database(&self, name: &str) -> Result<()> {
        self.create_database_from("template1", name).await
    }

    /// Creates a database as a copy of another one, to which nobody may be connected.
    pub async fn create_database_from(&self, template: &str, name: &str) -> Result<()> {
        let sql = format!("CREATE DATABASE {} TEMPLATE {}", quote_ident(name), quote_ident(template));
        self.administer(&sql).await
    }

    /// Drops a database if it is there, and ends its connections.
    pub async fn drop_database(&self, name: &str) -> Result<()> {
        self.administer(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quote_ident(name))).await
    }

    async fn administer(&self, sql: &str) -> Result<()> {
        let client = self.connect("postgres").await?;
        client.batch_execute(sql).await.with_context(|| sql.to_owned())
    }

    /// Runs SQL text through `psql`, stopping at the first error; what it printed is returned.
    pub async fn psql(&self, database: &str, sql: &str) -> Result<String> {
        let mut command = self.client_program("psql")?;
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database, "-f", "-"]);
        output(command, sql).await
    }

    /// Runs a SQL file through `psql`, stopping at the first error; what it printed is returned.
    pub async fn psql_file(&self, database: &str, file: &Path) -> Result<String> {
        let mut command = self.client_program("psql")?;
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database, "-f"]).arg(file);
        output(command, "").await
    }

    /// The schema as SQL, without what differs from one dump to the next (version comments, `\restrict` keys).
    pub async fn pg_dump_schema(&self, database: &str) -> Result<String> {
        let mut command = self.client_program("pg_dump")?;
        command.args(["--schema-only", "--dbname", database]);
        let dump = output(command, "").await?;
        let noise = ["\\restrict ", "\\unrestrict ", "-- Dumped "];
        let lines = dump.lines().filter(|line| !noise.iter().any(|start| line.starts_with(start)));
        Ok(lines.flat_map(|line| [line, "\n"]).collect())
    }

    /// A client program such as `pg_dump` or `pgbench`, with the environment that leads it to this server.
    pub fn client_program(&self, name: &str) -> Result<Command> {
        let tools = Tools::for_server(self.installation())?;
        let mut command = Command::new(tools.program(name));
        command.envs(self.env()).env_remove("PGOPTIONS").env_remove("PGSERVICE").kill_on_drop(true);
        Ok(command)
    }
}

pub(crate) async fn connect(url: &str) -> Result<Client> {
    let (client, connection) =
        tokio_postgres::connect(url, NoTls).await.with_context(|| format!("connecting to {url}"))?;
    // A broken connection shows itself at the client's next call.
    tokio::spawn(connection);
    Ok(client)
}

async fn output(mut command: Command, input: &str) -> Result<String> {
    let name = command.as_std().get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("starting {name}"))?;
    let mut stdin = child.stdin.take().context("no standard input")?;
    let write = async move {
        // A program that stops at an error does not read the rest.
        let _ = stdin.write_all(input.as_bytes()).await;
    };
    let ((), finished) = tokio::join!(write, child.wait_with_output());
    let finished = finished.with_context(|| format!("running {name}"))?;
    let complaint = String::from_utf8_lossy(&finished.stderr);
    ensure!(finished.status.success(), "{name} failed ({}): {}", finished.status, complaint.trim());
    Ok(String::from_utf8_lossy(&finished.stdout).into_owned())
}

/// An SQL identifier, quoted.
pub fn quote_ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// An SQL string, quoted.
pub fn quote_literal(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}
