//! Which locks a transaction held and what it rewrote, as the server has it: the measure for every plan's claims.

use std::collections::BTreeMap;

use concertina_plan::pg::lock::LockMode;
use concertina_plan::plan::LockClaim;
use concertina_plan::sql::ident::Name;
use tokio_postgres::types::Type;

use crate::connect::Session;
use crate::error::{Doing, Error};
use crate::event::{Event, Observer};
use crate::executor::Job;
use crate::obstacle::Claimed;

/// Files of the claimed tables before the transaction does anything.
pub(crate) struct Before {
    files: BTreeMap<u32, u32>,
}

impl Before {
    pub(crate) async fn look(control: &Session, claims: &[Claimed]) -> Result<Self, Error> {
        let oids: Vec<u32> = claims.iter().map(|claimed| claimed.oid).collect();
        Ok(Self { files: files(control, &oids).await? })
    }

    /// Reports what `work`'s open transaction holds. Names come from `control`, which sees the relations as they were:
    /// those that the transaction made are not there, those that it dropped are.
    pub(crate) async fn report(
        &self,
        control: &Session,
        work: &Session,
        job: &Job<'_>,
        observer: &dyn Observer,
    ) -> Result<(), Error> {
        let held = held(work, work.pid).await?;
        let names = names(control, &held.keys().copied().collect::<Vec<_>>()).await?;
        let now = files(work, &self.files.keys().copied().collect::<Vec<_>>()).await?;
        let mut rewritten = Vec::new();
        for (oid, file) in &self.files {
            if let (Some(now), Some(name)) = (now.get(oid), names.get(oid))
                && now != file
            {
                rewritten.push(name.to_string());
            }
        }
        observer.event(&Event::LocksHeld { step: job.number, locks: claims(&held, &names), rewritten });
        Ok(())
    }
}

/// Strongest mode by relation that was ever seen held, for what can only be watched from outside.
#[derive(Debug, Default)]
pub(crate) struct Sampled {
    held: BTreeMap<u32, LockMode>,
}

impl Sampled {
    pub(crate) async fn sample(&mut self, control: &Session, pid: i32) -> Result<(), Error> {
        for (oid, mode) in held(control, pid).await? {
            let known = self.held.entry(oid).or_insert(mode);
            *known = mode.max(*known);
        }
        Ok(())
    }

    pub(crate) async fn report(
        &self,
        control: &Session,
        job: &Job<'_>,
        before: &Before,
        observer: &dyn Observer,
    ) -> Result<(), Error> {
        let names = names(control, &self.held.keys().copied().collect::<Vec<_>>()).await?;
        // An index that is being built becomes visible on the way; it did not exist before.
        let existed: BTreeMap<u32, Name> =
            names.into_iter().filter(|(oid, _)| before.files.contains_key(oid)).collect();
        observer.event(&Event::LocksHeld {
            step: job.number,
            locks: claims(&self.held, &existed),
            rewritten: Vec::new(),
        });
        Ok(())
    }
}

impl Before {
    /// Everything there is, for a step whose own relations cannot be told apart later.
    pub(crate) async fn look_at_all(control: &Session) -> Result<Self, Error> {
        let rows = control
            .client
            .query("SELECT oid, pg_relation_filenode(oid) FROM pg_catalog.pg_class", &[])
            .await
            .doing("look at the relations")?;
        let file = |row: &tokio_postgres::Row| (row.get(0), row.get::<_, Option<u32>>(1).unwrap_or_default());
        Ok(Self { files: rows.iter().map(file).collect() })
    }
}

fn claims(held: &BTreeMap<u32, LockMode>, names: &BTreeMap<u32, Name>) -> Vec<LockClaim> {
    let mut claims: Vec<LockClaim> = held
        .iter()
        .filter_map(|(oid, mode)| {
            names.get(oid).map(|name| LockClaim { relation: name.clone(), mode: *mode })
        })
        .collect();
    claims.sort();
    claims
}

async fn held(session: &Session, pid: i32) -> Result<BTreeMap<u32, LockMode>, Error> {
    let rows =
        session.client.query_typed(HELD, &[(&pid, Type::INT4)]).await.doing("look at the locks held")?;
    let mut held = BTreeMap::new();
    for row in &rows {
        let (oid, mode): (u32, &str) = (row.get(0), row.get(1));
        if let Some(mode) = LockMode::from_pg_locks(mode) {
            let known = held.entry(oid).or_insert(mode);
            *known = mode.max(*known);
        }
    }
    Ok(held)
}

async fn names(control: &Session, oids: &[u32]) -> Result<BTreeMap<u32, Name>, Error> {
    let rows = control
        .client
        .query_typed(NAMES, &[(&oids, Type::OID_ARRAY)])
        .await
        .doing("look up the names of locked relations")?;
    Ok(rows
        .iter()
        .map(|row| (row.get(0), Name::new(row.get::<_, String>(1), row.get::<_, String>(2))))
        .collect())
}

async fn files(session: &Session, oids: &[u32]) -> Result<BTreeMap<u32, u32>, Error> {
    let rows = session
        .client
        .query_typed(FILES, &[(&oids, Type::OID_ARRAY)])
        .await
        .doing("look at the files of relations")?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

const HELD: &str = "
SELECT relation, mode FROM pg_catalog.pg_locks
WHERE pid = $1 AND granted AND locktype = 'relation'
  AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())";

const NAMES: &str = "
SELECT c.oid, n.nspname::text, c.relname::text
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid = ANY ($1) AND n.nspname !~ '^pg_' AND n.nspname <> ALL ('{information_schema,concertina,concertina_archive}')";

const FILES: &str = "
SELECT oid, pg_relation_filenode(oid) FROM pg_catalog.pg_class
WHERE oid = ANY ($1) AND relkind IN ('r', 'm') AND pg_relation_filenode(oid) IS NOT NULL";
