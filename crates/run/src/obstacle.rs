//! Who stands in the way of a lock: long transactions, prepared transactions, CONCURRENTLY builds, wraparound vacuums.
//!
//! Asking for a strong lock while one of them holds a conflicting one only builds a queue behind us, so we wait outside
//! the queue and say for whom. Nobody's query text is shown: it may hold personal data.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use concertina_plan::pg::lock::LockMode;
use concertina_plan::plan::LockClaim;
use tokio_postgres::types::Type;

use crate::connect::Session;
use crate::error::{Doing, Error};

/// A claimed relation that exists now.
#[derive(Clone, Debug)]
pub(crate) struct Claimed {
    /// Its oid.
    pub(crate) oid: u32,
    /// The claim.
    pub(crate) claim: LockClaim,
    /// `LOCK TABLE` can take it without side effects: a plain or partitioned table on which our role has a right that
    /// suffices. On a view it would lock the tables below. Source: doc/src/sgml/ref/lock.sgml.
    pub(crate) lockable: bool,
    /// It is a view. Who uses one locks it first, then what it reads.
    pub(crate) view: bool,
}

/// Finds the claimed relations, in the one order in which all of us lock: parents before partitions, then by oid.
/// Relations that the step itself makes are left out.
pub(crate) async fn claimed(session: &Session, claims: &[LockClaim]) -> Result<Vec<Claimed>, Error> {
    let names: Vec<String> = claims.iter().map(|claim| claim.relation.to_string()).collect();
    let rows = session
        .client
        .query_typed(CLAIMED, &[(&names, Type::TEXT_ARRAY)])
        .await
        .doing("look up the relations to lock")?;
    let mut found: Vec<Claimed> = Vec::new();
    for row in &rows {
        let (at, oid): (i32, u32) = (row.get(0), row.get(1));
        let Some(claim) = usize::try_from(at - 1).ok().and_then(|at| claims.get(at)) else { continue };
        match found.iter_mut().find(|known| known.oid == oid) {
            Some(known) => known.claim.mode = known.claim.mode.max(claim.mode),
            None => {
                let (lockable, view) = (row.get(2), row.get(3));
                found.push(Claimed { oid, claim: claim.clone(), lockable, view });
            }
        }
    }
    Ok(found)
}

const CLAIMED: &str = "
SELECT n.at::int4, c.oid, c.relkind IN ('r', 'p') AND (has_table_privilege(c.oid, 'UPDATE')
       OR has_table_privilege(c.oid, 'DELETE') OR has_table_privilege(c.oid, 'TRUNCATE')) AS lockable, c.relkind = 'v'
FROM unnest($1) WITH ORDINALITY AS n (name, at) JOIN pg_catalog.pg_class AS c ON c.oid = to_regclass(n.name)
ORDER BY (SELECT count(*) FROM pg_catalog.pg_partition_ancestors(c.oid)), c.oid, n.at";

/// Remembers how long each holder has been seen, for those whose age the server does not tell us: `pg_stat_activity`
/// hides it from roles without `pg_read_all_stats`.
#[derive(Debug, Default)]
pub(crate) struct Obstacles {
    seen: BTreeMap<String, Instant>,
}

impl Obstacles {
    /// Holders of conflicting locks whose transaction is older than `age`, in words, oldest first. `ours` are backends of
    /// this run.
    pub(crate) async fn look(
        &mut self,
        control: &Session,
        claimed: &[Claimed],
        ours: &[i32],
        age: Duration,
    ) -> Result<Vec<String>, Error> {
        let oids: Vec<u32> = claimed.iter().map(|claimed| claimed.oid).collect();
        let rows = control
            .client
            .query_typed(HOLDERS, &[(&oids, Type::OID_ARRAY), (&ours, Type::INT4_ARRAY)])
            .await
            .doing("look for transactions in the way")?;
        let mut found: Vec<(Duration, String)> = Vec::new();
        let mut seen = BTreeMap::new();
        for row in &rows {
            let holder = Holder {
                transaction: row.get(0),
                pid: row.get(1),
                prepared: row.get(2),
                application: row.get(3),
                state: row.get(4),
                backend: row.get(5),
                wraparound: row.get(6),
                age: row.get::<_, Option<f64>>(7).map(|seconds| Duration::from_secs_f64(seconds.max(0.0))),
                relation: row.get(8),
            };
            let (oid, mode): (u32, &str) = (row.get(9), row.get(10));
            let Some(mode) = LockMode::from_pg_locks(mode) else { continue };
            if !claimed.iter().any(|c| c.oid == oid && c.claim.mode.conflicts(mode)) {
                continue;
            }
            // Plain autovacuum gives way to the patient SHARE UPDATE EXCLUSIVE lock that a try begins with.
            if holder.backend.as_deref() == Some("autovacuum worker") && !holder.wraparound {
                continue;
            }
            let since = *self.seen.get(&holder.transaction).unwrap_or(&Instant::now());
            seen.insert(holder.transaction.clone(), since);
            let old = holder.age.unwrap_or_default().max(since.elapsed());
            if old >= age && !found.iter().any(|(_, known)| *known == holder.describe(old)) {
                found.push((old, holder.describe(old)));
            }
        }
        self.seen = seen;
        found.sort_by(|(a, _), (b, _)| b.cmp(a));
        Ok(found.into_iter().map(|(_, words)| words).collect())
    }
}

struct Holder {
    transaction: String,
    pid: Option<i32>,
    prepared: Option<String>,
    application: Option<String>,
    state: Option<String>,
    backend: Option<String>,
    wraparound: bool,
    age: Option<Duration>,
    relation: String,
}

impl Holder {
    fn describe(&self, age: Duration) -> String {
        let (age, relation) = (seconds(age), &self.relation);
        if let Some(gid) = &self.prepared {
            return format!("prepared transaction {gid} ({age} old) holds {relation}");
        }
        let pid = self.pid.unwrap_or_default();
        if self.wraparound {
            return format!(
                "autovacuum to prevent wraparound (pid {pid}) holds {relation} and does not give way"
            );
        }
        let application = match self.application.as_deref() {
            Some("") | None => String::new(),
            Some(name) => format!("{name}, "),
        };
        let state = match self.state.as_deref() {
            Some("active") => format!("active, open for {age}"),
            Some(state) => format!("{state}, open for {age}"),
            None => format!("open for {age} at least"),
        };
        format!("transaction of pid {pid} ({application}{state}) holds {relation}")
    }
}

/// `0.3 s`, `12 s`.
pub(crate) fn seconds(time: Duration) -> String {
    if time < Duration::from_secs(10) {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        format!("{} s", time.as_secs())
    }
}

/// A prepared transaction has no pid. What names it is the lock on its own transaction id, which it holds under the same
/// virtual transaction as its other locks. Source: doc/src/sgml/view-pg-locks.sgml.
const HOLDERS: &str = "
SELECT DISTINCT l.virtualtransaction, l.pid, p.gid, a.application_name, a.state, a.backend_type,
       coalesce(a.query LIKE '%(to prevent wraparound)', false),
       extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, p.prepared))::float8,
       format('%I.%I', n.nspname, c.relname), c.oid, l.mode
FROM pg_catalog.pg_locks AS l
JOIN pg_catalog.pg_class AS c ON c.oid = l.relation
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid
LEFT JOIN pg_catalog.pg_locks AS x ON l.pid IS NULL AND x.pid IS NULL AND x.locktype = 'transactionid' AND x.granted
                                  AND x.virtualtransaction = l.virtualtransaction
LEFT JOIN pg_catalog.pg_prepared_xacts AS p ON p.transaction = x.transactionid
WHERE l.granted AND l.locktype = 'relation' AND l.relation = ANY ($1)
  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
  AND (l.pid IS NULL OR l.pid <> ALL ($2))";
