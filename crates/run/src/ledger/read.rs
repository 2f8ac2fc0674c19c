//! Reading the ledger.

use concertina_plan::plan::Plan;
use tokio_postgres::types::Json;
use tokio_postgres::{GenericClient, Row};

use super::{Direction, MigrationRow, SpanKind, SpanRow, StepRow};
use crate::error::{Doing, Error};
use crate::state::{HistoryEntry, MigrationState, StepState};

/// Everything that ever began, in order of name.
///
/// # Errors
/// [`Error::Sql`], [`Error::Ledger`] when a stored plan cannot be read.
pub async fn migrations(client: &(impl GenericClient + Sync)) -> Result<Vec<MigrationRow>, Error> {
    let rows = client.query(MIGRATIONS, &[]).await.doing("read the ledger")?;
    rows.iter().map(migration_row).collect()
}

/// One migration, if it ever began.
///
/// # Errors
/// As [`migrations`].
pub async fn migration(
    client: &(impl GenericClient + Sync),
    name: &str,
) -> Result<Option<MigrationRow>, Error> {
    // There are few, and one query text is one less to keep right.
    Ok(migrations(client).await?.into_iter().find(|row| row.name == name))
}

fn migration_row(row: &Row) -> Result<MigrationRow, Error> {
    let name: String = row.get("name");
    let damaged = |what: String| Error::Ledger {
        message: format!("the ledger cannot be read: migration {name}: {what}"),
    };
    let plan: Option<Json<serde_json::Value>> =
        row.try_get("plan").map_err(|error| damaged(format!("its plan: {error}")))?;
    let plan = match plan {
        Some(Json(plan)) => Some(
            serde_json::from_value::<Plan>(plan).map_err(|error| damaged(format!("its plan: {error}")))?,
        ),
        None => None,
    };
    let state: &str = row.get("state");
    Ok(MigrationRow {
        id: row.get("id"),
        checksum: row.get("checksum"),
        state: migration_state(state).ok_or_else(|| damaged(format!("unknown state {state}")))?,
        simple: row.get("simple"),
        plan,
        started_at: row.get("started_at"),
        changed_at: row.get("changed_at"),
        by: row.get("by"),
        error: row.get("error"),
        name,
    })
}

fn migration_state(text: &str) -> Option<MigrationState> {
    Some(match text {
        "expanding" => MigrationState::Expanding,
        "expanded" => MigrationState::Expanded,
        "contracting" => MigrationState::Contracting,
        "done" => MigrationState::Done,
        "undoing" => MigrationState::Undoing,
        "undone" => MigrationState::Undone,
        _ => return None,
    })
}

/// Steps of a migration that have begun: forward ones, then those of undo, each in order of [`super::StepKey`].
///
/// # Errors
/// [`Error::Sql`], [`Error::Ledger`].
pub async fn steps(client: &(impl GenericClient + Sync), migration: i64) -> Result<Vec<StepRow>, Error> {
    let rows = client.query(STEPS, &[&migration]).await.doing("read the ledger")?;
    rows.iter().map(step_row).collect()
}

fn step_row(row: &Row) -> Result<StepRow, Error> {
    let (direction, state): (&str, &str) = (row.get("direction"), row.get("state"));
    let state = match state {
        "running" => StepState::Running,
        "done" => StepState::Done,
        "failed" => StepState::Failed,
        "undone" => StepState::Undone,
        _ => return Err(Error::Ledger { message: format!("the ledger cannot be read: step state {state}") }),
    };
    Ok(StepRow {
        direction: if direction == Direction::Undo.as_str() { Direction::Undo } else { Direction::Forward },
        ordinal: row.get("ordinal"),
        sub: row.get("sub"),
        state,
        attempts: row.get("attempts"),
        rows: row.get("rows"),
        cursor: row.get::<_, Option<Json<_>>>("cursor").map(|Json(cursor)| cursor),
        victim_ms: row.get("victim_ms"),
        lock_wait_ms: row.get("lock_wait_ms"),
        backend_pid: row.get("backend_pid"),
        backend_start: row.get("backend_start"),
        started_at: row.get("started_at"),
        finished_at: row.get("finished_at"),
        began: row.get("began"),
        seconds: row.get("seconds"),
        error: row.get("error"),
    })
}

/// How time went by within the steps of a migration, in the order in which it was written. Nothing where the ledger is of a
/// version that did not know it.
///
/// # Errors
/// [`Error::Sql`].
pub async fn spans(client: &(impl GenericClient + Sync), migration: i64) -> Result<Vec<SpanRow>, Error> {
    let there = client.query_one("SELECT to_regclass('concertina.span') IS NOT NULL", &[]).await;
    if !there.doing("read the ledger")?.get::<_, bool>(0) {
        return Ok(Vec::new());
    }
    let rows = client.query(SPANS, &[&migration]).await.doing("read the ledger")?;
    let span = |row: &Row| {
        let count = |name: &str| u32::try_from(row.get::<_, i32>(name)).unwrap_or_default();
        let direction: &str = row.get("direction");
        Some(SpanRow {
            direction: if direction == Direction::Undo.as_str() {
                Direction::Undo
            } else {
                Direction::Forward
            },
            ordinal: row.get("ordinal"),
            sub: row.get("sub"),
            kind: SpanKind::parse(row.get("kind"))?,
            from: row.get("began"),
            to: row.get("ended"),
            message: row.get("message"),
            times: count("times"),
            busy_ms: row.get("busy_ms"),
            victims: count("victims"),
            victim_ms: row.get("victim_ms"),
            worst_ms: row.get("worst_ms"),
            rows: u64::try_from(row.get::<_, i64>("rows")).unwrap_or_default(),
        })
    };
    Ok(rows.iter().filter_map(span).collect())
}

/// The event log, oldest first.
///
/// # Errors
/// [`Error::Sql`].
pub async fn history(client: &(impl GenericClient + Sync)) -> Result<Vec<HistoryEntry>, Error> {
    let rows = client.query(HISTORY, &[]).await.doing("read the ledger")?;
    Ok(rows.iter().map(entry).collect())
}

/// The events of one migration since it began, oldest first, each with the seconds since then.
///
/// # Errors
/// [`Error::Sql`].
pub async fn events(
    client: &(impl GenericClient + Sync),
    name: &str,
) -> Result<Vec<(f64, HistoryEntry)>, Error> {
    let rows = client.query(EVENTS, &[&name]).await.doing("read the ledger")?;
    Ok(rows.iter().map(|row| (row.get("seconds"), entry(row))).collect())
}

fn entry(row: &Row) -> HistoryEntry {
    HistoryEntry {
        at: row.get("at"),
        migration: row.get("migration"),
        event: row.get("kind"),
        message: row.get("message"),
        by: row.get("by"),
    }
}

/// Backends that unfinished steps were last tried on: what is still alive of them is an orphan of a runner before us.
///
/// # Errors
/// [`Error::Sql`].
pub async fn orphan_candidates(client: &(impl GenericClient + Sync)) -> Result<Vec<(i32, String)>, Error> {
    let rows = client.query(ORPHANS, &[]).await.doing("read the ledger")?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

const MIGRATIONS: &str = r#"
SELECT id, name, checksum, state, simple, plan, by, error,
       to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS started_at,
       to_char(changed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS changed_at
FROM concertina.migration ORDER BY name COLLATE "C""#;

/// A step whose runner was killed ended, as far as anybody knows, with the last heartbeat.
const STEPS: &str = r#"
SELECT direction, ordinal, sub, state, attempts, rows, cursor, victim_ms, lock_wait_ms, backend_pid, backend_start, error,
       to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS started_at,
       to_char(finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS finished_at,
       extract(epoch FROM started_at - (SELECT m.started_at FROM concertina.migration AS m WHERE m.id = $1))::double precision
           AS began,
       extract(epoch FROM coalesce(
           finished_at,
           (SELECT greatest(l.heartbeat_at, s.started_at) FROM concertina.lease AS l
            WHERE l.token IS NOT NULL AND l.heartbeat_at < clock_timestamp() - interval '15 seconds'),
           clock_timestamp()) - started_at)::double precision AS seconds
FROM concertina.step AS s WHERE migration = $1 ORDER BY direction, ordinal, sub"#;

const SPANS: &str = "
SELECT s.direction, s.ordinal, s.sub, s.kind, s.message, s.times, s.busy_ms, s.victims, s.victim_ms, s.worst_ms, s.rows,
       extract(epoch FROM s.began_at - m.started_at)::double precision AS began,
       extract(epoch FROM s.ended_at - m.started_at)::double precision AS ended
FROM concertina.span AS s JOIN concertina.migration AS m ON m.id = s.migration
WHERE s.migration = $1 ORDER BY s.id";

const HISTORY: &str = r#"
SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at, migration, kind, message, by
FROM concertina.event ORDER BY id"#;

const EVENTS: &str = r#"
SELECT to_char(e.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at, e.migration, e.kind, e.message, e.by,
       extract(epoch FROM e.at - m.started_at)::double precision AS seconds
FROM concertina.event AS e JOIN concertina.migration AS m ON m.name = e.migration
WHERE e.migration = $1 AND e.at >= m.started_at ORDER BY e.id"#;

const ORPHANS: &str = "
SELECT DISTINCT backend_pid, backend_start FROM concertina.step
WHERE state IN ('running', 'failed') AND backend_pid IS NOT NULL AND backend_start IS NOT NULL
ORDER BY 1, 2";
