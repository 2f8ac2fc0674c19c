//! What is expected of steps, what came of it, and what that says of the server's speed.

use concertina_plan::estimate::{Basis, Expected, Load, Measure, Pace, Room, Sample, StepEstimate};
use tokio_postgres::types::Type;
use tokio_postgres::{GenericClient, Row};

use super::StepKey;
use crate::error::{Doing, Error};

const DOING: &str = "write the ledger";

/// So many of the latest measurements of each kind count.
const REMEMBERED: i64 = 10;

/// A row of `concertina.estimate`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EstimateRow {
    /// Index into the plan's steps, from 0.
    pub ordinal: i32,
    /// How long it was expected to take.
    pub expected: Expected,
    /// Room that it was expected to need.
    pub room: Room,
    /// Seconds it took, waits included; `None` while it is not done.
    pub took: Option<f64>,
    /// Seconds of these that it waited.
    pub waited: Option<f64>,
}

/// Writes down what is expected of steps, by their ordinals. What was expected of a step before, in the same run of the migration, stays.
///
/// # Errors
/// [`Error::Sql`].
pub(crate) async fn add_estimates(
    client: &(impl GenericClient + Sync),
    migration: i64,
    estimates: &[(i32, &StepEstimate)],
) -> Result<(), Error> {
    let whole = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    for (ordinal, estimate) in estimates {
        let StepEstimate { load, expected, room, .. } = estimate;
        let samples = match expected.basis {
            Basis::Unmeasured => 0,
            Basis::Measured(count) => i32::try_from(count).unwrap_or(i32::MAX),
        };
        client
            .execute_typed(
                ADD,
                &[
                    (&migration, Type::INT8),
                    (ordinal, Type::INT4),
                    (&expected.low, Type::FLOAT8),
                    (&expected.high, Type::FLOAT8),
                    (&samples, Type::INT4),
                    (&load.measure.as_str(), Type::TEXT),
                    (&whole(load.amount), Type::INT8),
                    (&whole(room.keeps), Type::INT8),
                    (&whole(room.passing), Type::INT8),
                    (&whole(room.wal), Type::INT8),
                ],
            )
            .await
            .doing(DOING)?;
    }
    Ok(())
}

/// A step is done: what it took goes beside what was expected, both as the journal has it. `lesson` is what that says of the server,
/// for a step that ran through without an interruption.
///
/// # Errors
/// [`Error::Sql`].
pub(crate) async fn settle(
    client: &(impl GenericClient + Sync),
    key: StepKey,
    lesson: Option<(Load, Pace)>,
) -> Result<(), Error> {
    let measure = lesson.map(|(load, _)| load.measure.as_str());
    let amount = lesson.map_or(0.0, |(load, _)| load.amount as f64);
    let pace = lesson.map_or(Pace { load: 1.0, batch: 0.0 }, |(_, pace)| pace);
    client
        .execute_typed(
            SETTLE,
            &[
                (&key.migration, Type::INT8),
                (&key.ordinal, Type::INT4),
                (&measure, Type::TEXT),
                (&amount, Type::FLOAT8),
                (&pace.load, Type::FLOAT8),
                (&pace.batch, Type::FLOAT8),
            ],
        )
        .await
        .doing(DOING)?;
    Ok(())
}

/// What was expected of the migration's steps, in their order. Nothing where the ledger is of a version that did not know it.
///
/// # Errors
/// [`Error::Sql`].
pub async fn estimates(
    client: &(impl GenericClient + Sync),
    migration: i64,
) -> Result<Vec<EstimateRow>, Error> {
    if !there(client, "concertina.estimate").await? {
        return Ok(Vec::new());
    }
    let rows = client.query(ESTIMATES, &[&migration]).await.doing("read the ledger")?;
    Ok(rows.iter().map(estimate_row).collect())
}

fn estimate_row(row: &Row) -> EstimateRow {
    let size = |name: &str| u64::try_from(row.get::<_, i64>(name)).unwrap_or_default();
    let basis = match u32::try_from(row.get::<_, i32>("samples")).unwrap_or_default() {
        0 => Basis::Unmeasured,
        count => Basis::Measured(count),
    };
    EstimateRow {
        ordinal: row.get("ordinal"),
        expected: Expected { low: row.get("low_seconds"), high: row.get("high_seconds"), basis },
        room: Room { keeps: size("keeps_bytes"), passing: size("passing_bytes"), wal: size("wal_bytes") },
        took: row.get("took_seconds"),
        waited: row.get("waited_seconds"),
    }
}

/// The latest measurements of each kind of work.
///
/// # Errors
/// [`Error::Sql`].
pub async fn samples(client: &(impl GenericClient + Sync)) -> Result<Vec<Sample>, Error> {
    if !there(client, "concertina.rate").await? {
        return Ok(Vec::new());
    }
    let rows = client.query_typed(SAMPLES, &[(&REMEMBERED, Type::INT8)]).await.doing("read the ledger")?;
    let sample = |row: &Row| {
        Some(Sample {
            measure: Measure::parse(row.get("measure"))?,
            amount: row.get("amount"),
            seconds: row.get("seconds"),
            pace: Pace { load: row.get("load"), batch: row.get("batch_seconds") },
        })
    };
    Ok(rows.iter().filter_map(sample).collect())
}

async fn there(client: &(impl GenericClient + Sync), table: &str) -> Result<bool, Error> {
    let sql = "SELECT to_regclass($1) IS NOT NULL";
    let row = client.query_typed_one(sql, &[(&table, Type::TEXT)]).await.doing("read the ledger")?;
    Ok(row.get(0))
}

const ADD: &str = "
INSERT INTO concertina.estimate AS e (migration, ordinal, low_seconds, high_seconds, samples, measure, amount, keeps_bytes,
                                      passing_bytes, wal_bytes)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (migration, ordinal) DO UPDATE
SET made_at = excluded.made_at, low_seconds = excluded.low_seconds, high_seconds = excluded.high_seconds,
    samples = excluded.samples, measure = excluded.measure, amount = excluded.amount, keeps_bytes = excluded.keeps_bytes,
    passing_bytes = excluded.passing_bytes, wal_bytes = excluded.wal_bytes, took_seconds = NULL, waited_seconds = NULL
WHERE e.made_at < (SELECT m.started_at FROM concertina.migration AS m WHERE m.id = e.migration)";

/// A step that wrote no row says nothing of how fast rows are written.
const SETTLE: &str = "
WITH journal AS (
    SELECT coalesce(sum(extract(epoch FROM ended_at - began_at)) FILTER (WHERE kind = 'run'), 0)::float8 AS took,
           coalesce(sum(busy_ms) FILTER (WHERE kind = 'wait'), 0) / 1e3 AS waited
    FROM concertina.span WHERE migration = $1 AND direction = 'forward' AND ordinal = $2
), kept AS (
    UPDATE concertina.estimate SET took_seconds = j.took, waited_seconds = j.waited
    FROM journal AS j WHERE migration = $1 AND ordinal = $2
)
INSERT INTO concertina.rate (measure, amount, seconds, load, batch_seconds)
SELECT $3, coalesce(s.rows, $4), j.took - j.waited, $5, $6
FROM journal AS j
JOIN concertina.step AS s ON s.migration = $1 AND s.direction = 'forward' AND s.ordinal = $2
WHERE $3 IS NOT NULL AND coalesce(s.rows, $4) > 0 AND j.took > j.waited";

const ESTIMATES: &str = "
SELECT e.ordinal, e.low_seconds, e.high_seconds, e.samples, e.keeps_bytes, e.passing_bytes, e.wal_bytes, e.took_seconds,
       e.waited_seconds
FROM concertina.estimate AS e JOIN concertina.migration AS m ON m.id = e.migration
WHERE e.migration = $1 AND e.made_at >= m.started_at ORDER BY e.ordinal";

const SAMPLES: &str = "
SELECT measure, amount, seconds, load, batch_seconds
FROM (SELECT *, row_number() OVER (PARTITION BY measure ORDER BY id DESC) AS place FROM concertina.rate) AS r
WHERE place <= $1 ORDER BY id";
