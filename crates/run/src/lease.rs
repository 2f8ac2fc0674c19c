//! One runner at a time: a lease row with a token and a heartbeat, polled, never waited for inside the server.
//!
//! A blocking advisory lock would deadlock with CREATE INDEX CONCURRENTLY, which waits for the transactions of whoever waits for
//! the lock. The lease alone does not keep a stalled runner from going on after somebody else took over: every transaction
//! of a step therefore asks [`fence`] first, and keeps a row lock until it commits that a takeover cannot pass.

use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio_postgres::types::Type;
use tokio_postgres::{GenericClient, Row};
use uuid::Uuid;

use crate::connect::{Session, Target};
use crate::engine::Stop;
use crate::error::{Doing, Error, Failure};
use crate::ledger;
use crate::settings::Settings;

/// How often a waiting runner looks.
const POLL: Duration = Duration::from_millis(250);

/// How long an ended backend may take to be gone.
const ENDING: Duration = Duration::from_secs(60);

/// Our right to run. Kept alive by a task with a connection of its own; given back by [`Lease::release`], or a moment after it
/// is dropped.
#[derive(Debug)]
pub struct Lease {
    token: Uuid,
    lost: watch::Receiver<bool>,
    release: Option<oneshot::Sender<()>>,
    heartbeat: JoinHandle<()>,
}

impl Lease {
    /// Takes the lease, waiting politely for [`Settings::lease_patience`] while another runner has it: `waiting` hears about once a
    /// second who has it, and since when we wait. Taken over is the lease of a runner whose heartbeat is older than
    /// [`Settings::lease_ttl`], or whose backend is gone. The ledger must exist.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Interrupted`], [`Error::Connection`].
    pub async fn acquire(
        target: &Target,
        settings: &Settings,
        stop: &Stop,
        mut waiting: impl FnMut(&str, Duration),
    ) -> Result<Self, Error> {
        let session = target.connect("lease", settings).await?;
        let token = Uuid::new_v4();
        let since = Instant::now();
        let mut told = None;
        // A token whose backend was not to be found: at the last look, and at two looks one after the other. Once could be the
        // moment in which its heartbeat reconnects.
        let (mut suspect, mut dead) = (None, None);
        loop {
            if take(&session, token, settings, dead).await? {
                return Ok(Self::keep(target.clone(), settings.clone(), session, token));
            }
            let held = Held::look(&session, settings).await?;
            let gone = held.token.filter(|_| held.backend_gone);
            dead = gone.filter(|_| gone == suspect);
            suspect = gone;
            if held.stale && held.token.is_some() {
                // It is dead or cut off, and only its unfinished statement still keeps the row.
                let control = target.connect_control("lease", settings).await?;
                end_orphans(&control.client, &ledger::orphan_candidates(&session.client).await?).await?;
            }
            // Even who does not want to wait for another runner waits out a dead one.
            let ending = held.stale || gone.is_some() || held.token.is_none();
            let grace = if ending { settings.lease_ttl * 2 + Duration::from_secs(5) } else { Duration::ZERO };
            if since.elapsed() >= settings.lease_patience + grace {
                return Err(Error::Busy { holder: held.words });
            }
            if told.is_none_or(|told: Instant| told.elapsed() >= Duration::from_secs(1)) {
                waiting(&format!("another runner is at work: {}", held.words), since.elapsed());
                told = Some(Instant::now());
            }
            tokio::time::sleep(POLL).await;
            if stop.requested() {
                return Err(Error::Interrupted);
            }
        }
    }

    /// What [`fence`] checks.
    pub fn token(&self) -> Uuid {
        self.token
    }

    /// Another runner has taken over. A hint that comes with the heartbeat; certain is only [`fence`].
    pub fn is_lost(&self) -> bool {
        *self.lost.borrow()
    }

    /// Waits until another runner takes over: for statements that run outside a transaction and so cannot be fenced.
    pub async fn lost(&self) {
        let mut lost = self.lost.clone();
        if lost.wait_for(|lost| *lost).await.is_err() {
            // The heartbeat ended in order: nobody took over.
            std::future::pending::<()>().await;
        }
    }

    /// Gives it back, and waits until that is written.
    pub async fn release(mut self) {
        drop(self.release.take());
        // Its only end other than the order one is a panic, and then there is nothing to wait for.
        let _ = (&mut self.heartbeat).await;
    }

    fn keep(target: Target, settings: Settings, session: Session, token: Uuid) -> Self {
        let (lost_sender, lost) = watch::channel(false);
        let (release, released) = oneshot::channel();
        let heart = Heart { target, settings, session: Some(session), token, lost: lost_sender };
        Self { token, lost, release: Some(release), heartbeat: tokio::spawn(heart.beat(released)) }
    }
}

/// Checks inside a transaction that the lease is still ours, and keeps it so until the transaction ends: a takeover takes FOR UPDATE,
/// which FOR KEY SHARE excludes, while heartbeats pass.
/// Source: doc/src/sgml/mvcc.sgml, "Conflicting Row-Level Locks".
///
/// # Errors
/// [`Error::Fenced`].
pub async fn fence(transaction: &(impl GenericClient + Sync), token: Uuid) -> Result<(), Error> {
    let row = transaction
        .query_typed_opt(
            "SELECT 1 FROM concertina.lease WHERE token = $1 FOR KEY SHARE",
            &[(&token, Type::UUID)],
        )
        .await
        .doing("check the lease")?;
    row.map(|_| ()).ok_or(Error::Fenced)
}

/// Ends backends that an earlier runner left behind, and waits until they are gone. A pid that meanwhile belongs to another
/// session (its start differs) is left alone, and so is our own. The session must not have taken another role
/// ([`Target::connect_control`]), or it does not see them; sessions of the caller that live must not be among them.
///
/// # Errors
/// [`Error::Privilege`] when they belong to another login, [`Error::GaveWay`] when one does not end.
pub async fn end_orphans(
    client: &(impl GenericClient + Sync),
    backends: &[(i32, String)],
) -> Result<(), Error> {
    let (pids, starts): (Vec<i32>, Vec<&str>) =
        backends.iter().map(|(pid, start)| (*pid, start.as_str())).unzip();
    let parameters: &[(&(dyn tokio_postgres::types::ToSql + Sync), Type)] =
        &[(&pids, Type::INT4_ARRAY), (&starts, Type::TEXT_ARRAY)];
    let since = Instant::now();
    while !backends.is_empty() {
        let result = client.query_typed(END_ORPHANS, parameters).await;
        let alive = match result {
            Err(error) if Failure::of(&error) == Failure::Privilege => {
                return Err(foreign(client, &pids).await?);
            }
            result => result.doing("end what an earlier run left behind")?,
        };
        if alive.is_empty() {
            break;
        }
        if since.elapsed() > ENDING {
            return Err(Error::GaveWay {
                message: format!(
                    "backend {} of an earlier run does not end; see pg_stat_activity, then run the same command again",
                    alive[0].get::<_, i32>(0)
                ),
            });
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

async fn foreign(client: &(impl GenericClient + Sync), pids: &[i32]) -> Result<Error, Error> {
    let row = client
        .query_typed_opt(
            "SELECT usename::text, pid, session_user::text FROM pg_catalog.pg_stat_activity
             WHERE pid = ANY ($1) AND usename <> session_user",
            &[(&pids, Type::INT4_ARRAY)],
        )
        .await
        .doing("look at other sessions")?;
    let (login, pid, ours) = row.map_or_else(
        || ("another login".to_owned(), 0, "us".to_owned()),
        |row| (row.get::<_, String>(0), row.get(1), row.get::<_, String>(2)),
    );
    Ok(Error::Privilege {
        what: format!(
            "backend {pid} is still busy with a step that {login} began, and {ours} may not end it"
        ),
        grant: format!("SELECT pg_terminate_backend({pid})"),
    })
}

struct Heart {
    target: Target,
    settings: Settings,
    session: Option<Session>,
    token: Uuid,
    lost: watch::Sender<bool>,
}

impl Heart {
    async fn beat(mut self, mut released: oneshot::Receiver<()>) {
        let every = self.settings.lease_ttl / 3;
        loop {
            tokio::select! {
                _ = &mut released => break,
                () = tokio::time::sleep(every) => {}
            }
            match tokio::time::timeout(every, self.one()).await {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) => {
                    let _ = self.lost.send(true);
                    return;
                }
                // Without a connection there is no lease to give up either: whoever takes over is fenced off from us by the row.
                Ok(Err(error)) => {
                    tracing::debug!(%error, "heartbeat");
                    self.session = None;
                }
                Err(_) => self.session = None,
            }
        }
        if let Some(session) = &self.session {
            let done = session.client.execute_typed(RELEASE, &[(&self.token, Type::UUID)]).await;
            if let Err(error) = done {
                tracing::debug!(%error, "giving the lease back");
            }
        }
    }

    /// False once the row has another token.
    async fn one(&mut self) -> Result<bool, Error> {
        if self.session.as_ref().is_none_or(Session::is_closed) {
            self.session = Some(self.target.connect("lease", &self.settings).await?);
        }
        let Some(session) = &self.session else { return Ok(true) };
        let rows = session
            .client
            .execute_typed(
                HEARTBEAT,
                &[
                    (&self.token, Type::UUID),
                    (&session.pid, Type::INT4),
                    (&session.backend_start, Type::TEXT),
                ],
            )
            .await
            .doing("keep the lease")?;
        Ok(rows == 1)
    }
}

/// One try. `gone` is a token whose backend was seen to be gone.
async fn take(
    session: &Session,
    token: Uuid,
    settings: &Settings,
    gone: Option<Uuid>,
) -> Result<bool, Error> {
    let result = session
        .client
        .query_typed_opt(
            TAKE,
            &[
                (&token, Type::UUID),
                (&session.who, Type::TEXT),
                (&session.pid, Type::INT4),
                (&session.backend_start, Type::TEXT),
                (&settings.lease_ttl.as_secs_f64(), Type::FLOAT8),
                (&gone, Type::UUID),
            ],
        )
        .await;
    match result {
        // A step's transaction still has the row.
        Err(error) if Failure::of(&error) == Failure::LockTimeout => Ok(false),
        result => Ok(result.doing("take the lease")?.is_some()),
    }
}

/// Who has the lease.
struct Held {
    token: Option<Uuid>,
    words: String,
    stale: bool,
    backend_gone: bool,
}

impl Held {
    async fn look(session: &Session, settings: &Settings) -> Result<Self, Error> {
        let row: Row = session
            .client
            .query_typed_one(LOOK, &[(&settings.lease_ttl.as_secs_f64(), Type::FLOAT8)])
            .await
            .doing("read the lease")?;
        let (holder, since): (Option<String>, Option<String>) = (row.get("holder"), row.get("since"));
        Ok(Self {
            token: row.get("token"),
            words: match (holder, since) {
                (Some(holder), Some(since)) => format!("{holder}, since {since}"),
                _ => "one that is just ending".to_owned(),
            },
            stale: row.get("stale"),
            backend_gone: row.get("backend_gone"),
        })
    }
}

/// One statement, so one transaction: FOR UPDATE fails at once while a step holds its fence.
const TAKE: &str = "
WITH free AS (
    SELECT only_row FROM concertina.lease
    WHERE token IS NULL OR token = $6 OR heartbeat_at < clock_timestamp() - $5 * interval '1 second'
    FOR UPDATE NOWAIT
)
UPDATE concertina.lease AS l
SET token = $1, holder = $2, backend_pid = $3, backend_start = $4,
    acquired_at = clock_timestamp(), heartbeat_at = clock_timestamp()
FROM free WHERE l.only_row = free.only_row
RETURNING l.only_row";

/// A `backend_start` that we may not see counts as the holder's.
const LOOK: &str = r#"
SELECT l.token, l.holder, to_char(l.acquired_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"') AS since,
       coalesce(l.heartbeat_at < clock_timestamp() - $1 * interval '1 second', true) AS stale,
       NOT EXISTS (
           SELECT FROM pg_catalog.pg_stat_activity AS a
           WHERE a.pid = l.backend_pid
             AND coalesce(to_char(a.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') = l.backend_start, true)
       ) AS backend_gone
FROM concertina.lease AS l"#;

const HEARTBEAT: &str = "
UPDATE concertina.lease SET heartbeat_at = clock_timestamp(), backend_pid = $2, backend_start = $3 WHERE token = $1";

const RELEASE: &str = "
UPDATE concertina.lease SET token = NULL, holder = NULL, backend_pid = NULL, backend_start = NULL WHERE token = $1";

/// Asks again at every poll; a second signal to the same backend harms nobody. The start of another login's backend is hidden from
/// us, its name is not.
const END_ORPHANS: &str = r#"
SELECT a.pid, pg_catalog.pg_terminate_backend(a.pid)
FROM pg_catalog.pg_stat_activity AS a
JOIN ROWS FROM (unnest($1::integer[]), unnest($2::text[])) AS o (pid, backend_start)
  ON o.pid = a.pid
 AND coalesce(to_char(a.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') = o.backend_start,
              a.application_name LIKE 'concertina:%')
WHERE a.pid <> pg_catalog.pg_backend_pid()"#;
