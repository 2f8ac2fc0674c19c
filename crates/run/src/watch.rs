//! Watches, from a connection of its own, who waits behind one of our sessions, and withdraws us in time.
//!
//! A victim's wait is our queueing, our hold and our COMMIT together, as the server measures it
//! (`pg_locks.waitstart`, since 14). The control connection is opened before anything starts, so that it can act even
//! when no new connection gets through.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::types::Type;

use crate::connect::Session;

/// How often the control connection looks at a try for a strong lock.
pub(crate) const CLOSELY: Duration = Duration::from_millis(20);

/// How often at a batch of rows, which blocks only who wants the same rows.
pub(crate) const NOW_AND_THEN: Duration = Duration::from_millis(50);

/// Sessions that waited because of us during one try.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Stalls {
    /// Longest wait of each victim's each wait.
    waits: BTreeMap<(i32, i64), Duration>,
    /// Why the try was withdrawn, if it was.
    pub(crate) withdrawn: Option<String>,
}

impl Stalls {
    pub(crate) fn victims(&self) -> u32 {
        u32::try_from(self.waits.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn worst(&self) -> Duration {
        self.waits.values().max().copied().unwrap_or_default()
    }

    pub(crate) fn sum(&self) -> Duration {
        self.waits.values().sum()
    }
}

/// Runs `work`, which uses the session `ours`, while `control` watches who waits behind it on `relations` (or for its
/// transaction). Once the oldest victim has waited for `limit`, the work's statement is cancelled; so it is when the
/// control connection does not answer, because then nobody would see the victims.
pub(crate) async fn watched<T>(
    control: &Session,
    ours: &Session,
    relations: &[u32],
    limit: Duration,
    every: Duration,
    unbounded: &AtomicBool,
    work: impl Future<Output = T>,
) -> (T, Stalls) {
    let (stalls, latest) = (Stalls::default(), Vec::new());
    let mut watcher = Watcher {
        control,
        ours,
        relations,
        limit,
        every,
        unbounded,
        stalls,
        latest,
        seen: None,
        looked: false,
    };
    let result = {
        let watching = watcher.watch();
        tokio::pin!(watching, work);
        tokio::select! {
            biased;
            result = &mut work => result,
            () = &mut watching => work.await,
        }
    };
    // Answers come in order: after this one no cancel of ours is on its way to a later statement.
    if watcher.looked {
        watcher.last_look().await;
    }
    (result, watcher.stalls)
}

struct Watcher<'a> {
    control: &'a Session,
    ours: &'a Session,
    relations: &'a [u32],
    limit: Duration,
    every: Duration,
    unbounded: &'a AtomicBool,
    stalls: Stalls,
    /// Who waited at the last look.
    latest: Vec<(i32, i64)>,
    seen: Option<Instant>,
    /// A look was begun.
    looked: bool,
}

impl Watcher<'_> {
    /// Looks until it can no longer see or has withdrawn us for want of sight.
    async fn watch(&mut self) {
        loop {
            sleep(self.every).await;
            let patience = self.limit.max(Duration::from_millis(100));
            self.looked = true;
            match timeout(patience, waiting_behind(self.control, self.ours.pid, self.relations)).await {
                Ok(Ok(victims)) => self.remember(victims),
                Ok(Err(_)) | Err(_) => {
                    self.stalls.withdrawn =
                        Some("withdrawn: the control connection does not answer".to_owned());
                    // Best effort: without control and without a new connection the statement's timeouts are left.
                    let _ = timeout(patience, self.ours.cancel()).await;
                    return;
                }
            }
            let oldest = self.latest.iter().filter_map(|victim| self.stalls.waits.get(victim)).max().copied();
            if self.stalls.withdrawn.is_none()
                && !self.unbounded.load(Ordering::SeqCst)
                && let Some(oldest) = oldest
                && oldest >= self.limit
            {
                let waited = oldest.as_millis();
                self.stalls.withdrawn = Some(format!("withdrawn: a client waited {waited} ms behind us"));
                withdraw(self.control, self.ours).await;
            }
        }
    }

    async fn last_look(&mut self) {
        let since = self.seen.map(|seen| seen.elapsed()).unwrap_or_default();
        let look = waiting_behind(self.control, self.ours.pid, self.relations);
        let victims = match timeout(self.limit.max(Duration::from_secs(1)), look).await {
            Ok(Ok(victims)) => victims,
            Ok(Err(_)) | Err(_) => Vec::new(),
        };
        // Whoever waited at the look before and no longer does was set free some time in between: the whole of it counts.
        let freed: Vec<_> = self
            .latest
            .iter()
            .filter(|(pid, start)| !victims.iter().any(|(p, s, _)| (p, s) == (pid, start)))
            .copied()
            .collect();
        for victim in freed {
            *self.stalls.waits.entry(victim).or_default() += since;
        }
        self.remember(victims);
    }

    fn remember(&mut self, victims: Vec<(i32, i64, Duration)>) {
        self.seen = Some(Instant::now());
        self.latest.clear();
        for (pid, start, wait) in victims {
            let known = self.stalls.waits.entry((pid, start)).or_default();
            *known = wait.max(*known);
            self.latest.push((pid, start));
        }
    }
}

/// Victims by pid and start of their wait, with how long they have waited. `pg_blocking_pids` stops the lock manager for
/// a moment, so it is asked only about sessions that wait for what may be ours. Source: doc/src/sgml/func.sgml,
/// "Session Information Functions".
async fn waiting_behind(
    control: &Session,
    pid: i32,
    relations: &[u32],
) -> Result<Vec<(i32, i64, Duration)>, tokio_postgres::Error> {
    let rows =
        control.client.query_typed(WAITING, &[(&pid, Type::INT4), (&relations, Type::OID_ARRAY)]).await?;
    Ok(rows
        .iter()
        .map(|row| {
            let micros: i64 = row.get(2);
            (row.get(0), row.get(1), Duration::from_micros(u64::try_from(micros).unwrap_or_default()))
        })
        .collect())
}

const WAITING: &str = "
WITH waiting AS MATERIALIZED (
    SELECT pid, waitstart FROM pg_catalog.pg_locks
    WHERE NOT granted AND pid <> $1
      AND (relation = ANY ($2) AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
        OR transactionid = (SELECT transactionid FROM pg_catalog.pg_locks
                            WHERE pid = $1 AND locktype = 'transactionid' AND granted LIMIT 1)))
SELECT pid, coalesce((extract(epoch FROM waitstart) * 1000000)::int8, 0),
       greatest((extract(epoch FROM clock_timestamp() - coalesce(waitstart, clock_timestamp())) * 1000000)::int8, 0)
FROM waiting WHERE $1 = ANY (pg_catalog.pg_blocking_pids(pid))";

/// Cancels what the session runs, from the control connection: the answer means that the signal was sent.
pub(crate) async fn withdraw(control: &Session, ours: &Session) {
    let sent = control
        .client
        .query_typed("SELECT pg_catalog.pg_cancel_backend($1)", &[(&ours.pid, Type::INT4)])
        .await;
    if sent.is_err() {
        // The cancel protocol needs no privilege and no session.
        let _ = ours.cancel().await;
    }
}
