//! What contracted migrations left in the archive: named, measured, and removed for good when somebody says so.

mod file;
mod load;
mod save;

use std::time::Duration;

use concertina_plan::plan::{Archived, Noun};
use concertina_plan::rights::needs_to_purge;
use concertina_plan::sql::ident::Name;
use tokio_postgres::{Client, GenericClient};

use crate::error::{Doing, Error};
use crate::executor::Run;
use crate::ledger::{self, StepKey};
use crate::state::{MigrationState, StepState};
use crate::{executor, forward, rights};

pub use file::{Contents, Definition, Header, Rows, verify};
pub use load::Loaded;
pub(crate) use load::load;
pub(crate) use save::{Around, save};

/// An object that lies in the archive.
#[derive(Clone, Debug)]
pub struct ArchivedObject {
    /// Migration that put it there; `concertina undo` of it brings it back.
    pub migration: String,
    /// What it is there, and what it was or holds.
    pub archived: Archived,
    /// Bytes on disk, TOAST and indexes included; `None` for what takes none.
    pub bytes: Option<u64>,
    /// When it was put there, RFC 3339.
    pub since: String,
    /// How long it has been there.
    pub age: Duration,
    /// The last file that it was saved into, and when, RFC 3339.
    pub saved: Option<(String, String)>,
    /// An undo put it there, or could not put it back: running the migration again brings values of a column back.
    pub kept: bool,
}

/// Everything that still lies there, oldest first.
pub(crate) async fn list(client: &Client) -> Result<Vec<ArchivedObject>, Error> {
    let mut found = Vec::new();
    for row in ledger::migrations(client).await? {
        let Some(plan) = &row.plan else { continue };
        let steps = ledger::steps(client, row.id).await?;
        for (ordinal, step) in plan.steps.iter().enumerate().filter(|(_, step)| !step.archived.is_empty()) {
            let done = executor::find(&steps, StepKey::forward(row.id, forward::number(ordinal)));
            let Some(done) = done.filter(|done| done.state == StepState::Done) else { continue };
            let since = done.finished_at.clone().unwrap_or_else(|| done.started_at.clone());
            for archived in &step.archived {
                let Some(bytes) = measure(client, archived).await? else { continue };
                found.push(ArchivedObject {
                    migration: row.name.clone(),
                    archived: archived.clone(),
                    bytes,
                    age: age(client, &since).await?,
                    since: since.clone(),
                    saved: None,
                    kept: false,
                });
            }
        }
    }
    for object in labelled(client).await? {
        if !found.iter().any(|known| known.archived.name == object.archived.name) {
            found.push(object);
        }
    }
    for row in client.query(SAVED, &[]).await.doing("look for saved files")? {
        let (migration, file, at, names): (String, String, String, Vec<String>) =
            (row.get(0), row.get(1), row.get(2), row.get(3));
        for object in found.iter_mut().filter(|object| object.migration == migration) {
            // One that was brought back and dropped again after that is another.
            if names.contains(&object.archived.name.to_string()) && at > object.since {
                object.saved = Some((file.clone(), at.clone()));
            }
        }
    }
    found.sort_by(|a, b| (&a.since, &a.archived.name).cmp(&(&b.since, &b.archived.name)));
    Ok(found)
}

/// What undo left there, by the labels of the tables: the plan that would tell of it is forgotten when the migration runs again.
async fn labelled(client: &Client) -> Result<Vec<ArchivedObject>, Error> {
    let rows = client.query(LABELLED, &[]).await.doing("look into the archive")?;
    Ok(rows
        .into_iter()
        .map(|row| ArchivedObject {
            migration: row.get("migration"),
            archived: Archived {
                noun: Noun::Table,
                name: Name::new("concertina_archive", row.get::<_, String>("name")),
                of: row.get("of"),
            },
            bytes: row.get::<_, Option<i64>>("bytes").and_then(|bytes| u64::try_from(bytes).ok()),
            since: row.get("since"),
            age: Duration::from_secs_f64(row.get::<_, f64>("age").max(0.0)),
            saved: None,
            kept: true,
        })
        .collect())
}

/// What an undo of this migration leaves in the archive, in words: what it holds, under which name, how many rows.
pub(crate) async fn left_by_undo(client: &Client, migration: &str) -> Result<Vec<String>, Error> {
    let mut told = Vec::new();
    for object in labelled(client).await?.into_iter().filter(|object| object.migration == migration) {
        let Archived { name, of, .. } = &object.archived;
        let rows: i64 = client
            .query_one(&format!("SELECT count(*) FROM {name}"), &[])
            .await
            .doing("count what is in the archive")?
            .get(0);
        told.push(format!("{of}: {rows} {} kept as {name}", if rows == 1 { "row is" } else { "rows are" }));
    }
    Ok(told)
}

/// Whether it lies there, and then its size.
async fn measure(
    client: &(impl GenericClient + Sync),
    archived: &Archived,
) -> Result<Option<Option<u64>>, Error> {
    let sql = match archived.noun {
        Noun::Table | Noun::Index | Noun::Sequence => RELATION,
        Noun::Routine => ROUTINE,
        Noun::Type => TYPE,
    };
    let (schema, name) = (archived.name.schema.as_str(), archived.name.name.as_str());
    let row = client.query_opt(sql, &[&schema, &name]).await.doing("look into the archive")?;
    Ok(row.map(|row| row.get::<_, Option<i64>>(0).and_then(|bytes| u64::try_from(bytes).ok())))
}

async fn age(client: &Client, since: &str) -> Result<Duration, Error> {
    let row = client.query_one(AGE, &[&since]).await.doing("look into the archive")?;
    Ok(Duration::from_secs_f64(row.get::<_, f64>(0).max(0.0)))
}

/// What of these no longer lies there: undo could not bring it back.
pub(crate) async fn missing<'a>(
    client: &Client,
    archived: &'a [Archived],
) -> Result<Option<&'a Archived>, Error> {
    for one in archived {
        if measure(client, one).await?.is_none() {
            return Ok(Some(one));
        }
    }
    Ok(None)
}

/// Drops these, each in a transaction of its own; tables before what they may use. Returns those that are gone.
pub(crate) async fn purge(run: &Run, mut objects: Vec<ArchivedObject>) -> Result<Vec<ArchivedObject>, Error> {
    let order = |noun: Noun| match noun {
        Noun::Table => 0,
        Noun::Index | Noun::Sequence => 1,
        Noun::Routine => 2,
        Noun::Type => 3,
    };
    for row in ledger::migrations(&run.work.client).await? {
        let under_way = matches!(
            row.state,
            MigrationState::Expanding | MigrationState::Contracting | MigrationState::Undoing
        );
        if under_way && objects.iter().any(|object| object.migration == row.name) {
            return Err(Error::InFlight {
                message: format!(
                    "migration {} is under way, and may still need what it has in the archive: finish it or take it back first. \
                     Nothing was removed",
                    row.name
                ),
            });
        }
    }
    objects.sort_by_key(|object| order(object.archived.noun));
    let needs = needs_to_purge(objects.iter().map(|object| &object.archived));
    rights::require_all(&run.work, &run.settings, "archive purge", needs).await?;
    let mut gone = Vec::new();
    for object in objects {
        if run.stop.requested() {
            return Err(Error::Interrupted);
        }
        drop_one(run, &object).await?;
        gone.push(object);
    }
    Ok(gone)
}

async fn drop_one(run: &Run, object: &ArchivedObject) -> Result<(), Error> {
    let Archived { noun, name, of } = &object.archived;
    let (client, who) = (&run.work.client, &run.work.who);
    // A partition goes with the table that it is a part of.
    let sql = format!("DROP {} IF EXISTS {name}", noun.sql());
    let message = format!("{of}, archived as {name}, was removed for good");
    run.in_ledger(async {
        client.batch_execute(&sql).await.doing("remove from the archive")?;
        ledger::event(client, Some(&object.migration), "archive_purged", &message, None, who).await
    })
    .await
}

/// Files that were saved, oldest first.
const SAVED: &str = "
SELECT migration, data ->> 'file', to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'),
       ARRAY(SELECT json_array_elements_text(data -> 'objects'))
FROM concertina.event WHERE kind = 'archive_saved' AND migration IS NOT NULL AND data IS NOT NULL ORDER BY id";

/// When: since the step that made it ended; of an undo, since that ended or, while it is under way, since now.
const LABELLED: &str = "
SELECT l.label #>> '{concertina,migration}' AS migration, l.label #>> '{concertina,of}' AS of, l.relname::text AS name,
       pg_total_relation_size(l.oid) AS bytes, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') AS since,
       extract(epoch FROM clock_timestamp() - at)::float8 AS age
FROM (
    SELECT c.oid, c.relname, obj_description(c.oid, 'pg_class')::jsonb AS label
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = 'concertina_archive' AND c.relkind = 'r'
      AND obj_description(c.oid, 'pg_class') LIKE '{\"concertina\":%'
) AS l, LATERAL (
    SELECT coalesce(max(e.at), clock_timestamp()) FROM concertina.event AS e
    WHERE e.migration = l.label #>> '{concertina,migration}' AND e.kind = 'undo_done'
) AS s (at)
ORDER BY l.relname";

const RELATION: &str = "
SELECT pg_total_relation_size(c.oid) FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = $2";

const ROUTINE: &str = "
SELECT NULL::bigint FROM pg_catalog.pg_proc AS p
JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
WHERE n.nspname = $1 AND p.proname = $2";

const TYPE: &str = "
SELECT NULL::bigint FROM pg_catalog.pg_type AS t
JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace
WHERE n.nspname = $1 AND t.typname = $2";

const AGE: &str = "SELECT extract(epoch FROM clock_timestamp() - $1::text::timestamptz)::double precision";
