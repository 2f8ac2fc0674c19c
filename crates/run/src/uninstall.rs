//! Removes everything that is ours, and nothing else: triggers on user tables that call our functions, the archives, and last the
//! ledger, so that an interrupted run can be repeated.
//!
//! Nothing is dropped with CASCADE. What somebody built upon our tables (a view over the event log, say) makes PostgreSQL refuse,
//! by name, instead of going down with them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::connect::Session;
use crate::engine::{Confirm, Engine, in_flight};
use crate::error::{Doing, Error};
use crate::event::Event;
use crate::lease::{self, Lease};
use crate::obstacle::seconds;
use crate::{archive, failpoint, files, ledger};

/// How long to leave a lock alone between two tries for it.
const PAUSE: Duration = Duration::from_millis(250);

/// What `uninstall` removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Schemas, in the order in which they went. Empty when nothing of ours was there.
    pub schemas: Vec<String>,
    /// What lay in the archive.
    pub archives: Vec<RemovedArchive>,
    /// Triggers that an earlier run had left on user tables, as `name ON table`.
    pub triggers: Vec<String>,
}

/// An object of `concertina_archive`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemovedArchive {
    /// Its name there, qualified and quoted.
    pub name: String,
    /// What it was or held, such as "table public.orders"; `None` where the ledger does not know it.
    pub of: Option<String>,
    /// Bytes, indexes included; `None` for what takes none.
    pub bytes: Option<u64>,
    /// The same for people.
    size: Option<String>,
}

impl RemovedArchive {
    fn words(&self) -> String {
        let size = self.size.as_deref().unwrap_or("no data");
        match &self.of {
            Some(of) => format!("{of} ({size}, as {})", self.name),
            None => format!("{} ({size})", self.name),
        }
    }
}

impl Engine {
    /// Removes our schemas with everything in them, and our triggers. Needs no superuser: the role that owns the schemas is enough.
    ///
    /// # Errors
    /// [`Error::InFlight`] while a migration is under way, [`Error::Archives`] where data would go that nobody confirmed,
    /// [`Error::Privilege`], [`Error::Sql`] when something of somebody else's depends on ours.
    pub async fn uninstall(&self, confirm: Confirm) -> Result<Removed, Error> {
        let session = self.open().await?;
        let lease = if ledger::exists(&session.client).await? {
            ledger::check(&session.client).await?;
            let waiting = |reason: &str, since| self.wait(reason.to_owned(), since);
            Some(Lease::acquire(&self.target, &self.settings, &self.stop, waiting).await?)
        } else {
            None
        };
        let work = Uninstall { engine: self, session: &session, token: lease.as_ref().map(Lease::token) };
        let result = work.run(confirm).await;
        if let Some(lease) = lease {
            lease.release().await;
        }
        result
    }

    fn wait(&self, reason: String, since: Duration) {
        self.observer.event(&Event::Waiting { step: 0, reason, since });
    }
}

struct Uninstall<'a> {
    engine: &'a Engine,
    session: &'a Session,
    /// Of the lease, where there is a ledger.
    token: Option<Uuid>,
}

impl Uninstall<'_> {
    async fn run(&self, confirm: Confirm) -> Result<Removed, Error> {
        if self.token.is_some() {
            self.refuse_in_flight().await?;
        }
        self.refuse_foreign().await?;
        let archives = self.archives().await?;
        if !archives.is_empty() && !confirm.destroy {
            return Err(Error::Archives { archives: archives.iter().map(RemovedArchive::words).collect() });
        }
        let mut removed = Removed { archives, ..Removed::default() };
        for row in self.rows(TRIGGERS).await? {
            let on: String = row.get("on_table");
            self.patiently(&format!("remove trigger {on}"), &[format!("DROP TRIGGER IF EXISTS {on}")])
                .await?;
            removed.triggers.push(on);
            failpoint::reach("after_commit");
        }
        // The ledger last: until it is gone, it tells the next run that there is something to remove.
        for schema in ["concertina_archive", "concertina"] {
            let drops = self.drops(schema).await?;
            if !drops.is_empty() {
                self.patiently(&format!("remove schema {schema}"), &drops).await?;
                removed.schemas.push(schema.to_owned());
                failpoint::reach("after_commit");
            }
        }
        Ok(removed)
    }

    async fn refuse_in_flight(&self) -> Result<(), Error> {
        let rows = ledger::migrations(&self.session.client).await?;
        let flying: Vec<_> = rows.iter().filter(|row| in_flight(row.state)).collect();
        let Some(first) = flying.first() else { return Ok(()) };
        let names: Vec<&str> = flying.iter().map(|row| row.name.as_str()).collect();
        Err(Error::InFlight {
            message: format!(
                "{} {} in flight; without the ledger nobody could finish or take back what has begun. Nothing was removed\n  {}",
                names.join(", "),
                if names.len() == 1 { "is" } else { "are" },
                files::ways_on(first)
            ),
        })
    }

    /// Whoever owns a schema may drop what is in it, whoever owns that; a trigger only who owns its table.
    /// Source: `RangeVarCallbackForDropRelation` in src/backend/commands/tablecmds.c, `RemoveObjects` in dropcmds.c.
    async fn refuse_foreign(&self) -> Result<(), Error> {
        let rows = self.rows(FOREIGN).await?;
        let Some(row) = rows.first() else { return Ok(()) };
        let (role, owner, what): (String, String, String) =
            (row.get("role"), row.get("owner"), row.get("what"));
        let grants: Vec<String> = rows.iter().map(|row| row.get("remedy")).collect();
        Err(Error::Privilege {
            what: format!("{role} may not remove {what}, which belongs to {owner}; nothing was removed"),
            grant: format!(
                "{}\n  or run `concertina uninstall` as {owner} (--database, or database.role)",
                grants.join("; ")
            ),
        })
    }

    async fn archives(&self) -> Result<Vec<RemovedArchive>, Error> {
        let known = match self.token {
            Some(_) => archive::list(&self.session.client).await?,
            None => Vec::new(),
        };
        let archived = |row: &tokio_postgres::Row| {
            let name: String = row.get("name");
            let of = known.iter().find(|known| known.archived.name.to_string() == name);
            let bytes = row.get::<_, Option<i64>>("bytes").and_then(|bytes| u64::try_from(bytes).ok());
            RemovedArchive {
                of: of.map(|known| known.archived.of.clone()),
                bytes,
                size: row.get("size"),
                name,
            }
        };
        Ok(self.rows(ARCHIVES).await?.iter().map(archived).collect())
    }

    /// Statements that remove a schema and what is in it; none where there is none.
    async fn drops(&self, schema: &str) -> Result<Vec<String>, Error> {
        let rows = self.session.client.query_typed(CONTENTS, &[(&schema, Type::TEXT)]).await;
        let rows = rows.doing("look for what is ours")?;
        Ok(rows
            .iter()
            .map(|row| format!("DROP {} {}", row.get::<_, &str>(0), row.get::<_, &str>(1)))
            .collect())
    }

    async fn rows(&self, query: &str) -> Result<Vec<tokio_postgres::Row>, Error> {
        self.session.client.query_typed(query, &[]).await.doing("look for what is ours")
    }

    /// One transaction, repeated until it gets its locks: each wait of ours ends with `max_stall`, so nobody waits longer behind it.
    async fn patiently(&self, doing: &str, statements: &[String]) -> Result<(), Error> {
        let since = Instant::now();
        loop {
            if self.engine.stop.requested() {
                return Err(Error::Interrupted);
            }
            let error = match self.once(doing, statements).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            // The session may be gone, and then there is nothing to end.
            let _ = self.session.client.batch_execute("ROLLBACK").await;
            if !error.failure().is_transient() {
                return Err(error);
            }
            if since.elapsed() >= self.engine.settings.lock_patience {
                return Err(Error::GaveWay {
                    message: format!(
                        "{error} (tried for {}); what was removed stays removed, and the rest is as it was",
                        seconds(since.elapsed())
                    ),
                });
            }
            self.engine.wait(error.to_string(), since.elapsed());
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn once(&self, doing: &str, statements: &[String]) -> Result<(), Error> {
        let client = &self.session.client;
        client.batch_execute("BEGIN").await.doing(doing)?;
        if let Some(token) = self.token {
            lease::fence(client, token).await?;
        }
        self.in_any_order(doing, statements).await?;
        failpoint::reach("before_commit");
        client.batch_execute("COMMIT").await.doing(doing)
    }

    /// Tables, functions and types may need each other in any direction, so one that is still needed comes again after the others.
    async fn in_any_order(&self, doing: &str, statements: &[String]) -> Result<(), Error> {
        let client = &self.session.client;
        let mut left: VecDeque<&String> = statements.iter().collect();
        // Since one last went; the first tells best what is in the way.
        let (mut refused, mut first) = (0, None);
        while let Some(statement) = left.pop_front() {
            client.batch_execute("SAVEPOINT one").await.doing(doing)?;
            let Err(error) = client.batch_execute(statement).await.doing(doing) else {
                (refused, first) = (0, None);
                continue;
            };
            if error.sqlstate() != Some(STILL_NEEDED) {
                return Err(error);
            }
            client.batch_execute("ROLLBACK TO one").await.doing(doing)?;
            left.push_back(statement);
            refused += 1;
            first = first.or(Some(error));
            if refused == left.len()
                && let Some(first) = first.take()
            {
                return Err(first);
            }
        }
        Ok(())
    }
}

/// dependent_objects_still_exist
const STILL_NEEDED: &str = "2BP01";

const TRIGGERS: &str = include_str!("sql/uninstall/triggers.sql");

const FOREIGN: &str = include_str!("sql/uninstall/foreign.sql");

const ARCHIVES: &str = include_str!("sql/uninstall/archives.sql");

const CONTENTS: &str = include_str!("sql/uninstall/contents.sql");
