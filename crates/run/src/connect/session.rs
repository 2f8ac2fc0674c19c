//! One connection: named, set up, checked, and with a handle that cancels what it runs.

use std::fmt;
use std::time::Duration;

use concertina_plan::pg::version::Version;
use concertina_plan::sql::ident::Ident;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, SimpleQueryMessage};

use super::Target;
use super::open::{Canceller, Opened};
use crate::error::{Doing, Error, Failure};
use crate::settings::Settings;

/// The newest major version that was tested.
const NEWEST_TESTED: u32 = 18;

/// A session of ours. Dropping it closes the connection; a statement under way is ended by the server within a second
/// (`client_connection_check_interval`), or at once by [`Session::cancel`].
pub struct Session {
    /// The driver's client.
    pub client: Client,
    /// `pg_backend_pid()`.
    pub pid: i32,
    /// `pg_stat_activity.backend_start` in UTC, RFC 3339 with microseconds: with the pid it tells backends apart.
    pub backend_start: String,
    /// Who we are, for the ledger: `session_user@host pid`.
    pub who: String,
    /// Version of the server.
    pub version: Version,
    /// Worth telling: a version newer than tested, a database encoding that does not convert.
    pub notes: Vec<String>,
    canceller: Canceller,
    connection: JoinHandle<()>,
}

impl Target {
    /// Opens a session named `concertina: <purpose>` with `settings` applied: `lock_timeout` is the stall budget, no statement
    /// timeout, `SET ROLE` and `search_path` as configured.
    ///
    /// # Errors
    /// [`Error::Connection`], [`Error::Unsupported`] for an old server, a standby or a transaction pooler, [`Error::Privilege`] when
    /// the role may not be taken.
    pub async fn connect(&self, purpose: &str, settings: &Settings) -> Result<Session, Error> {
        let mut session = self.connect_control(purpose, settings).await?;
        if let Some(role) = &settings.role {
            session.set_role(role).await?;
        }
        session.same_backend().await?;
        Ok(session)
    }

    /// The same without `SET ROLE`: for sessions that look at other sessions. `pg_stat_activity` and `pg_terminate_backend` go by the
    /// current role, so that a session which has taken another role no longer sees or ends those of its own login.
    /// Source: `HAS_PGSTAT_PERMISSIONS` in src/backend/utils/adt/pgstatfuncs.c, `pg_signal_backend` in signalfuncs.c.
    ///
    /// # Errors
    /// As [`Target::connect`].
    pub async fn connect_control(&self, purpose: &str, settings: &Settings) -> Result<Session, Error> {
        let session = self.greeted(purpose).await?;
        session.set(settings).await?;
        Ok(session)
    }

    /// A session that has been asked who it is, and told nothing.
    async fn greeted(&self, purpose: &str) -> Result<Session, Error> {
        // Boxed: it holds the state of TLS handshakes, and every command's future would hold that several times over.
        let Opened { client, connection, canceller } = Box::pin(self.open(purpose)).await?;
        let mut session = Session {
            client,
            pid: 0,
            backend_start: String::new(),
            who: String::new(),
            version: Version::default(),
            notes: self.notes.clone(),
            canceller,
            connection,
        };
        session.greet().await?;
        Ok(session)
    }

    /// Finds a pooler in transaction or statement mode: there a second client in a transaction gets the server session that the first
    /// one, still connected, was just served by. Opens two connections, and sets nothing in them: what is set in a pooled session
    /// stays there for the application.
    ///
    /// # Errors
    /// [`Error::Unsupported`] with the way out.
    pub async fn refuse_pooler(&self) -> Result<(), Error> {
        let (session, other) = (self.greeted("check").await?, self.greeted("check").await?);
        let mut ours = session.backend_pid().await?;
        match other.client.batch_execute("BEGIN").await {
            // PgBouncer in statement mode takes no transactions at all.
            Err(error) if error.code().is_some_and(|code| code.code() == "08P01") => return Err(pooled()),
            result => result.doing("check for a transaction pooler")?,
        }
        let theirs = other.backend_pid().await?;
        // While the other one is inside its transaction a pooler of one server session would keep us waiting; but then
        // that session is the same already.
        if ours != theirs {
            ours = match tokio::time::timeout(Duration::from_secs(5), session.backend_pid()).await {
                Ok(pid) => pid?,
                Err(_) => theirs,
            };
        }
        other.client.batch_execute("ROLLBACK").await.doing("check for a transaction pooler")?;
        if ours == theirs || ours != session.pid { Err(pooled()) } else { Ok(()) }
    }
}

impl Session {
    /// Cancels the running statement.
    ///
    /// # Errors
    /// [`Error::Connection`] when the server cannot be reached.
    pub async fn cancel(&self) -> Result<(), Error> {
        self.canceller.cancel().await
    }

    /// A handle that cancels from elsewhere.
    pub fn canceller(&self) -> Canceller {
        self.canceller.clone()
    }

    /// Whether the connection is known to be gone.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Learns who the server is and who we are, and refuses what cannot work.
    async fn greet(&mut self) -> Result<(), Error> {
        // Simple queries throughout: a transaction pooler may not know prepared statements, and is to be told apart, not to fail.
        let row = self.row(GREETING).await?;
        let field = |at: usize| row.get(at).cloned().flatten().unwrap_or_default();
        let number = field(0).parse().unwrap_or_default();
        self.version = Version(number);
        let major = self.version.major();
        if major < Version::MIN_MAJOR {
            return Err(Error::Unsupported {
                message: format!(
                    "the server is PostgreSQL {}; {} is the oldest supported",
                    field(1),
                    Version::MIN_MAJOR
                ),
            });
        }
        if major > NEWEST_TESTED {
            self.notes.push(format!(
                "PostgreSQL {} is newer than {NEWEST_TESTED}, the newest this version was tested with",
                field(1)
            ));
        }
        if field(2) == "t" {
            return Err(Error::Unsupported {
                message: "the server is a standby (in recovery); connect to the primary: with several hosts in the \
                          connection string, target_session_attrs=read-write finds it"
                    .to_owned(),
            });
        }
        if field(3) == "SQL_ASCII" {
            self.notes.push(
                "the database's encoding is SQL_ASCII: text that is not valid UTF-8 cannot be read"
                    .to_owned(),
            );
        }
        self.pid = field(4).parse().unwrap_or_default();
        self.backend_start = field(5);
        self.who = format!("{}@{} {}", field(6), host_name(), std::process::id());
        Ok(())
    }

    /// Session settings. The user's `TimeZone`, `DateStyle` and the like stay: statements mean what they would mean in psql.
    async fn set(&self, settings: &Settings) -> Result<(), Error> {
        let mut sql = format!(
            "SET lock_timeout = {}; SET statement_timeout = 0; SET idle_session_timeout = 0; \
             SET idle_in_transaction_session_timeout = '60s'; \
             SET default_transaction_isolation = 'read committed'; SET default_transaction_deferrable = off; \
             SET jit = off",
            settings.max_stall.as_millis().max(1)
        );
        if self.version.major() >= 17 {
            sql.push_str("; SET transaction_timeout = 0");
        }
        if let Some(path) = &settings.search_path {
            let path: Vec<String> =
                path.iter().map(|schema| Ident::new(schema.as_str()).to_string()).collect();
            let path = if path.is_empty() { "''".to_owned() } else { path.join(", ") };
            sql.push_str(&format!("; SET search_path = {path}"));
        }
        self.client.batch_execute(&sql).await.doing("set up the session")?;
        // Tells the server to notice our death while it runs a statement. Not every platform has what it takes.
        // Source: doc/src/sgml/config.sgml, client_connection_check_interval.
        match self.client.batch_execute("SET client_connection_check_interval = '1s'").await {
            Err(error) if error.code().is_some_and(|code| code.code() == "22023") => Ok(()),
            result => result.doing("set up the session"),
        }
    }

    async fn set_role(&mut self, role: &str) -> Result<(), Error> {
        let role = Ident::new(role);
        let result = self.client.batch_execute(&format!("SET ROLE {role}")).await;
        match result {
            Err(error) if Failure::of(&error) == Failure::Privilege => {
                let login = self.row("SELECT session_user").await?.into_iter().next().flatten();
                let login = Ident::new(login.unwrap_or_default());
                Err(Error::Privilege {
                    what: format!("{login} may not act as role {role}"),
                    grant: format!("GRANT {role} TO {login}"),
                })
            }
            result => result.doing("take the role"),
        }
    }

    /// PostgreSQL leaves schemas out of the search path where the role may not use them, without a word. Their tables then seem not to
    /// exist.
    ///
    /// # Errors
    /// [`Error::Connection`].
    pub async fn schemas_left_out(&self) -> Result<Vec<String>, Error> {
        let row = self.row(LEFT_OUT).await?;
        let text = row.into_iter().next().flatten().unwrap_or_default();
        let grants = text.lines().map(|grant| {
            format!("a schema of the search_path is left out, since the role may not use it; run as an administrator: {grant}")
        });
        Ok(grants.collect())
    }

    /// A pooler that gives us another server session for each statement shows itself here when it is busy; see
    /// [`Target::refuse_pooler`] for when it is not.
    async fn same_backend(&self) -> Result<(), Error> {
        if self.backend_pid().await? == self.pid { Ok(()) } else { Err(pooled()) }
    }

    async fn backend_pid(&self) -> Result<i32, Error> {
        let row = self.row("SELECT pg_catalog.pg_backend_pid()").await?;
        Ok(row.into_iter().next().flatten().and_then(|pid| pid.parse().ok()).unwrap_or_default())
    }

    async fn row(&self, sql: &str) -> Result<Vec<Option<String>>, Error> {
        let messages = self.client.simple_query(sql).await.doing("ask the server about the session")?;
        let row = messages.into_iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let row = row.ok_or_else(|| Error::Connection { message: "the server sent no answer".to_owned() })?;
        Ok((0..row.len()).map(|at| row.get(at).map(ToOwned::to_owned)).collect())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session(pid {}, {})", self.pid, self.who)
    }
}

const GREETING: &str = "
SELECT pg_catalog.current_setting('server_version_num'), pg_catalog.current_setting('server_version'),
       pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('server_encoding'), pg_catalog.pg_backend_pid(),
       (SELECT pg_catalog.to_char(backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')
        FROM pg_catalog.pg_stat_activity WHERE pid = pg_catalog.pg_backend_pid()),
       session_user";

const LEFT_OUT: &str = r#"
SELECT pg_catalog.string_agg(pg_catalog.format('GRANT USAGE ON SCHEMA %I TO %I', n.nspname, current_user), E'\n')
FROM pg_catalog.unnest(pg_catalog.string_to_array(pg_catalog.current_setting('search_path'), ',')) AS entry
JOIN pg_catalog.pg_namespace AS n ON n.nspname = CASE
    WHEN btrim(entry) = '"$user"' THEN current_user::text
    WHEN btrim(entry) LIKE '"%' THEN pg_catalog.replace(pg_catalog.btrim(btrim(entry), '"'), '""', '"')
    ELSE pg_catalog.lower(btrim(entry))
END
WHERE NOT pg_catalog.has_schema_privilege(n.oid, 'USAGE')"#;

fn pooled() -> Error {
    Error::Unsupported {
        message: "the connection goes through a pooler in transaction mode (successive statements reached different \
                  server sessions); locks and session settings do not survive that: give a direct URL of the server, \
                  or a pool in session mode"
            .to_owned(),
    }
}

fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
}
