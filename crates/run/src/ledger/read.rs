//! Reading the ledger.

use concertina_plan::plan::Plan;
use tokio_postgres::types::Json;
use tokio_postgres::{GenericClient, Row};

use super::{Direction, MigrationRow, StepRow};
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
        seconds: row.get("seconds"),
        error: row.get("error"),
    })
}

/// The event log, oldest first.
///
/// # Errors
/// [`Error::Sql`].
pub async fn history(client: &(impl GenericClient + Sync)) -> Result<Vec<HistoryEntry>, Error> {
    let rows = client.query(HISTORY, &[]).await.doing("read the ledger")?;
    let entry = |row: &Row| HistoryEntry {
        at: row.get("at"),
        migration: row.get("migration"),
        event: row.get("kind"),
        message: row.get("message"),
        by: row.get("by"),
    };
    Ok(rows.iter().map(entry).collect())
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

const STEPS: &str = r#"
SELECT direction, ordinal, sub, state, attempts, rows, cursor, victim_ms, lock_wait_ms, backend_pid, backend_start, error,
       to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS started_at,
       to_char(finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS finished_at,
       extract(epoch FROM coalesce(finished_at, clock_timestamp()) - started_at)::double precision AS seconds
FROM concertina.step WHERE migration = $1 ORDER BY direction, ordinal, sub"#;

const HISTORY: &str = r#"
SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at, migration, kind, message, by
FROM concertina.event ORDER BY id"#;

const ORPHANS: &str = "
SELECT DISTINCT backend_pid, backend_start FROM concertina.step
WHERE state IN ('running', 'failed') AND backend_pid IS NOT NULL AND backend_start IS NOT NULL
ORDER BY 1, 2";
