//! Servers and databases: one server a test process, a template database a case, a copy of it whenever one is changed.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use concertina_lab::{Installation, Options, Server};
use tokio_postgres::Client;

/// A server for many cases.
#[derive(Debug)]
pub struct World {
    /// The server.
    pub server: Server,
    next: AtomicU64,
}

impl World {
    /// Starts a server: `$CONCERTINA_PG_BIN`, else the one that is installed.
    ///
    /// # Errors
    /// When there is none, or it does not start.
    pub async fn start() -> Result<Self> {
        // A background ANALYZE between two looks would change the estimates that plans show; tests that want autovacuum
        // turn it on for their table.
        let options = Options::new().set("autovacuum", "off").set("max_connections", "60");
        Self::with(&Installation::find()?, options).await
    }

    /// Starts this server.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn with(installation: &Installation, options: Options) -> Result<Self> {
        Ok(Self { server: Server::start(installation, options).await?, next: AtomicU64::new(0) })
    }

    /// Major version of the server.
    pub fn major(&self) -> u32 {
        self.server.installation().major
    }

    /// A database with this schema and fresh statistics.
    ///
    /// # Errors
    /// When the SQL fails.
    pub async fn database(&self, schema: &str) -> Result<Database<'_>> {
        let database = self.named();
        self.server.create_database(&database.name).await?;
        database.psql(schema).await.context("schema.sql")?;
        database.psql("ANALYZE").await?;
        Ok(database)
    }

    /// The same, belonging in everything to a role without any further right, by which [`Database::url_of`] connects. `None`
    /// where the schema cannot be made without a superuser.
    ///
    /// # Errors
    /// When the server fails.
    pub async fn database_of_owner(&self, schema: &str) -> Result<Option<Database<'_>>> {
        let database = self.named();
        let role = "DO $$ BEGIN CREATE ROLE plain LOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN END $$";
        self.server.psql("postgres", role).await?;
        self.server.create_database(&database.name).await?;
        self.server.psql("postgres", &format!("ALTER DATABASE {} OWNER TO plain", database.name)).await?;
        if database.psql(&format!("SET ROLE plain; {schema}")).await.is_err() {
            database.remove().await?;
            return Ok(None);
        }
        database.psql("ANALYZE").await?;
        Ok(Some(database))
    }

    fn named(&self) -> Database<'_> {
        Database { world: self, name: format!("d{}", self.next.fetch_add(1, Ordering::SeqCst)) }
    }
}

/// A database of a [`World`].
#[derive(Debug)]
pub struct Database<'w> {
    world: &'w World,
    name: String,
}

impl<'w> Database<'w> {
    /// The server's world.
    pub fn world(&self) -> &'w World {
        self.world
    }

    /// Connection string.
    pub fn url(&self) -> String {
        self.world.server.url(&self.name)
    }

    /// The same as this role.
    pub fn url_of(&self, role: &str) -> String {
        self.world.server.url_as(role, &self.name)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A connection.
    ///
    /// # Errors
    /// When the server does not let us in.
    pub async fn connect(&self) -> Result<Client> {
        self.world.server.connect(&self.name).await
    }

    /// Runs SQL through `psql`, up to the first error.
    ///
    /// # Errors
    /// The first error.
    pub async fn psql(&self, sql: &str) -> Result<String> {
        self.world.server.psql(&self.name, sql).await
    }

    /// An equal database.
    ///
    /// # Errors
    /// When somebody stays connected to this one.
    pub async fn copy(&self) -> Result<Database<'w>> {
        let copy = self.world.named();
        self.world.server.create_database_from(&self.name, &copy.name).await?;
        Ok(copy)
    }

    /// Removes it. One that is not removed goes with the server.
    ///
    /// # Errors
    /// When the server is gone.
    pub async fn remove(self) -> Result<()> {
        self.world.server.drop_database(&self.name).await
    }
}
