//! Writing the ledger. Each function is one statement, so it joins whatever transaction its client is in, and commits with it.

use concertina_plan::plan::Plan;
use serde_json::{Value, json};
use tokio_postgres::GenericClient;
use tokio_postgres::types::{Json, Type};

use super::{StepKey, state_text};
use crate::error::{Doing, Error};
use crate::journal::Span;
use crate::state::MigrationState;

const DOING: &str = "write the ledger";

/// A migration that begins.
#[derive(Clone, Copy, Debug)]
pub struct NewMigration<'a> {
    /// Name.
    pub name: &'a str,
    /// SHA-256 of its file.
    pub checksum: &'a str,
    /// The plan that will be run; `None` for one that runs as written.
    pub plan: Option<&'a Plan>,
    /// State to begin in.
    pub state: MigrationState,
}

impl<'a> NewMigration<'a> {
    /// One that begins to expand.
    pub fn planned(plan: &'a Plan) -> Self {
        Self {
            name: &plan.migration,
            checksum: &plan.checksum,
            plan: Some(plan),
            state: MigrationState::Expanding,
        }
    }

    /// One that ran as written and is done when the transaction commits.
    pub fn simple(name: &'a str, checksum: &'a str) -> Self {
        Self { name, checksum, plan: None, state: MigrationState::Done }
    }
}

/// Writes a migration down, and returns its key. One that was undone begins anew, its old steps forgotten (the event log keeps
/// them).
///
/// # Errors
/// [`Error::Sql`]; [`Error::Ledger`] when it has begun already.
pub async fn insert_migration(
    client: &(impl GenericClient + Sync),
    new: NewMigration<'_>,
    who: &str,
) -> Result<i64, Error> {
    let row = client
        .query_typed_opt(
            INSERT_MIGRATION,
            &[
                (&new.name, Type::TEXT),
                (&new.checksum, Type::TEXT),
                (&state_text(new.state), Type::TEXT),
                (&new.plan.is_none(), Type::BOOL),
                (&new.plan.map(Json), Type::JSON),
                (&who, Type::TEXT),
            ],
        )
        .await
        .doing(DOING)?;
    row.map(|row| row.get(0)).ok_or_else(|| Error::Ledger {
        message: format!("migration {} has begun already; look at `status`, then try again", new.name),
    })
}

/// Moves a migration to another state, and forgets what it stopped with.
///
/// # Errors
/// [`Error::Sql`].
pub async fn set_state(
    client: &(impl GenericClient + Sync),
    migration: i64,
    state: MigrationState,
    who: &str,
) -> Result<(), Error> {
    let parameters: &[(&(dyn tokio_postgres::types::ToSql + Sync), Type)] =
        &[(&migration, Type::INT8), (&state_text(state), Type::TEXT), (&who, Type::TEXT)];
    client.execute_typed(SET_STATE, parameters).await.doing(DOING)?;
    Ok(())
}

/// Notes what a migration stopped with.
///
/// # Errors
/// [`Error::Sql`].
pub async fn set_error(
    client: &(impl GenericClient + Sync),
    migration: i64,
    error: Option<&str>,
) -> Result<(), Error> {
    client
        .execute_typed(
            "UPDATE concertina.migration SET error = $2 WHERE id = $1",
            &[(&migration, Type::INT8), (&error, Type::TEXT)],
        )
        .await
        .doing(DOING)?;
    Ok(())
}

/// A try begins on this backend; committed before the try, so that a later runner knows what to end. Returns how many tries it
/// makes. The cursor and rows of earlier tries stay.
///
/// # Errors
/// [`Error::Sql`].
pub async fn begin_step(
    client: &(impl GenericClient + Sync),
    key: StepKey,
    backend_pid: i32,
    backend_start: &str,
) -> Result<i32, Error> {
    let row = client
        .query_typed_one(
            BEGIN_STEP,
            &[
                (&key.migration, Type::INT8),
                (&key.direction.as_str(), Type::TEXT),
                (&key.ordinal, Type::INT4),
                (&key.sub, Type::INT4),
                (&backend_pid, Type::INT4),
                (&backend_start, Type::TEXT),
            ],
        )
        .await
        .doing(DOING)?;
    Ok(row.get(0))
}

/// The step is done. Inside the step's own transaction it commits with the effect. Works for a step that never began, because its
/// probe said that it was done already. `rows` replaces the count unless `None`.
///
/// # Errors
/// [`Error::Sql`].
pub async fn finish_step(
    client: &(impl GenericClient + Sync),
    key: StepKey,
    rows: Option<i64>,
) -> Result<(), Error> {
    client
        .execute_typed(
            FINISH_STEP,
            &[
                (&key.migration, Type::INT8),
                (&key.direction.as_str(), Type::TEXT),
                (&key.ordinal, Type::INT4),
                (&key.sub, Type::INT4),
                (&rows, Type::INT8),
            ],
        )
        .await
        .doing(DOING)?;
    Ok(())
}

/// Where a backfill stands; inside the batch's transaction. `rows` is the total so far.
///
/// # Errors
/// [`Error::Sql`].
pub async fn save_cursor(
    client: &(impl GenericClient + Sync),
    key: StepKey,
    cursor: &Value,
    rows: i64,
) -> Result<(), Error> {
    client
        .execute_typed(
            SAVE_CURSOR,
            &[
                (&key.migration, Type::INT8),
                (&key.direction.as_str(), Type::TEXT),
                (&key.ordinal, Type::INT4),
                (&key.sub, Type::INT4),
                (&Json(cursor), Type::JSON),
                (&rows, Type::INT8),
            ],
        )
        .await
        .doing(DOING)?;
    Ok(())
}

/// The last try failed.
///
/// # Errors
/// [`Error::Sql`].
pub async fn fail_step(client: &(impl GenericClient + Sync), key: StepKey, error: &str) -> Result<(), Error> {
    client
        .execute_typed(
            FAIL_STEP,
            &[
                (&key.migration, Type::INT8),
                (&key.direction.as_str(), Type::TEXT),
                (&key.ordinal, Type::INT4),
                (&key.sub, Type::INT4),
                (&error, Type::TEXT),
            ],
        )
        .await
        .doing(DOING)?;
    Ok(())
}

/// The effect of plan step `ordinal` has been taken back.
///
/// # Errors
/// [`Error::Sql`].
pub async fn mark_undone(
    client: &(impl GenericClient + Sync),
    migration: i64,
    ordinal: i32,
) -> Result<(), Error> {
    client
        .execute_typed(MARK_UNDONE, &[(&migration, Type::INT8), (&ordinal, Type::INT4)])
        .await
        .doing(DOING)?;
    Ok(())
}

/// Adds to what others waited because of the step, and to what the step waited for locks.
///
/// # Errors
/// [`Error::Sql`].
pub async fn add_victim_ms(
    client: &(impl GenericClient + Sync),
    key: StepKey,
    victim_ms: f64,
    lock_wait_ms: f64,
) -> Result<(), Error> {
    client
        .execute_typed(
            ADD_VICTIM_MS,
            &[
                (&key.migration, Type::INT8),
                (&key.direction.as_str(), Type::TEXT),
                (&key.ordinal, Type::INT4),
                (&key.sub, Type::INT4),
                (&victim_ms, Type::FLOAT8),
                (&lock_wait_ms, Type::FLOAT8),
            ],
        )
        .await
        .doing(DOING)?;
    Ok(())
}

/// Writes down how time went by within a step. Unfenced, as the event log is: it is of what has happened.
///
/// # Errors
/// [`Error::Sql`].
pub(crate) async fn add_spans(
    client: &(impl GenericClient + Sync),
    key: StepKey,
    spans: &[Span],
) -> Result<(), Error> {
    if spans.is_empty() {
        return Ok(());
    }
    let ms = |time: std::time::Duration| time.as_secs_f64() * 1e3;
    let spans: Vec<Value> = spans
        .iter()
        .map(|span| {
            json!({
                "kind": span.kind.as_str(),
                "began": span.from.elapsed().as_secs_f64(),
                "ended": span.to.elapsed().as_secs_f64(),
                "message": span.message,
                "times": span.times,
                "busy_ms": ms(span.busy),
                "victims": span.victims,
                "victim_ms": ms(span.waited),
                "worst_ms": ms(span.worst),
                "rows": span.rows,
            })
        })
        .collect();
    client
        .execute_typed(
            ADD_SPANS,
            &[
                (&key.migration, Type::INT8),
                (&key.direction.as_str(), Type::TEXT),
                (&key.ordinal, Type::INT4),
                (&key.sub, Type::INT4),
                (&Json(spans), Type::JSON),
            ],
        )
        .await
        .doing(DOING)?;
    Ok(())
}

/// Appends to the event log.
///
/// # Errors
/// [`Error::Sql`].
pub async fn event(
    client: &(impl GenericClient + Sync),
    migration: Option<&str>,
    kind: &str,
    message: &str,
    data: Option<&Value>,
    who: &str,
) -> Result<(), Error> {
    client
        .execute_typed(
            EVENT,
            &[
                (&migration, Type::TEXT),
                (&kind, Type::TEXT),
                (&message, Type::TEXT),
                (&data.map(Json), Type::JSON),
                (&who, Type::TEXT),
            ],
        )
        .await
        .doing(DOING)?;
    Ok(())
}

/// Notes in the event log that a new migration begins although a later one has run, if so.
///
/// # Errors
/// [`Error::Sql`].
pub(crate) async fn out_of_order(
    client: &(impl GenericClient + Sync),
    migration: &str,
    overtaken_by: Option<&str>,
    who: &str,
) -> Result<(), Error> {
    let Some(later) = overtaken_by else { return Ok(()) };
    let message = format!("sorts before {later}, which has run already; allowed by --allow-out-of-order");
    event(client, Some(migration), "out_of_order", &message, None, who).await
}

const INSERT_MIGRATION: &str = "
WITH forgotten AS (
    DELETE FROM concertina.step
    WHERE migration = (SELECT id FROM concertina.migration WHERE name = $1 AND state = 'undone')
), forgotten_too AS (
    DELETE FROM concertina.span
    WHERE migration = (SELECT id FROM concertina.migration WHERE name = $1 AND state = 'undone')
)
INSERT INTO concertina.migration AS m (name, checksum, state, simple, plan, by) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (name) DO UPDATE
SET checksum = excluded.checksum, state = excluded.state, simple = excluded.simple, plan = excluded.plan, by = excluded.by,
    started_at = clock_timestamp(), changed_at = clock_timestamp(), error = NULL
WHERE m.state = 'undone'
RETURNING m.id";

const SET_STATE: &str = "
UPDATE concertina.migration
SET changed_at = CASE WHEN state = $2 THEN changed_at ELSE clock_timestamp() END, state = $2, by = $3, error = NULL
WHERE id = $1";

const BEGIN_STEP: &str = "
INSERT INTO concertina.step AS s (migration, direction, ordinal, sub, state, backend_pid, backend_start)
VALUES ($1, $2, $3, $4, 'running', $5, $6)
ON CONFLICT (migration, direction, ordinal, sub) DO UPDATE
SET state = 'running', attempts = s.attempts + 1, backend_pid = excluded.backend_pid,
    backend_start = excluded.backend_start, finished_at = NULL, error = NULL
RETURNING s.attempts";

const FINISH_STEP: &str = "
INSERT INTO concertina.step AS s (migration, direction, ordinal, sub, state, attempts, rows, finished_at)
VALUES ($1, $2, $3, $4, 'done', 0, $5, clock_timestamp())
ON CONFLICT (migration, direction, ordinal, sub) DO UPDATE
SET state = 'done', rows = coalesce($5, s.rows), finished_at = clock_timestamp(), error = NULL";

const SAVE_CURSOR: &str = "
UPDATE concertina.step SET cursor = $5, rows = $6
WHERE migration = $1 AND direction = $2 AND ordinal = $3 AND sub = $4";

const FAIL_STEP: &str = "
UPDATE concertina.step SET state = 'failed', error = $5
WHERE migration = $1 AND direction = $2 AND ordinal = $3 AND sub = $4 AND state = 'running'";

const MARK_UNDONE: &str = "
UPDATE concertina.step SET state = 'undone', finished_at = clock_timestamp()
WHERE migration = $1 AND direction = 'forward' AND ordinal = $2";

const ADD_VICTIM_MS: &str = "
UPDATE concertina.step SET victim_ms = victim_ms + $5, lock_wait_ms = lock_wait_ms + $6
WHERE migration = $1 AND direction = $2 AND ordinal = $3 AND sub = $4";

/// What happened so long ago: the runner's clock may differ from the server's.
const ADD_SPANS: &str = "
INSERT INTO concertina.span (migration, direction, ordinal, sub, kind, began_at, ended_at, message, times, busy_ms, victims,
                             victim_ms, worst_ms, rows)
SELECT $1, $2, $3, $4, kind, now.at - make_interval(secs => began), now.at - make_interval(secs => ended), message, times,
       busy_ms, victims, victim_ms, worst_ms, rows
FROM pg_catalog.clock_timestamp() AS now (at),
     pg_catalog.json_to_recordset($5) AS s (kind text, began float8, ended float8, message text, times int4, busy_ms float8,
                                            victims int4, victim_ms float8, worst_ms float8, rows int8)";

const EVENT: &str = "
INSERT INTO concertina.event (migration, kind, message, data, by) VALUES ($1, $2, $3, $4, $5)";
