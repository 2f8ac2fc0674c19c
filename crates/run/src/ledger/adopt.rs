//! Writing down what did not run here: migrations of the baseline, and files that are accepted as they are now. Each function is one
//! statement.
//!
//! A migration of the baseline needs no column of its own: it is done, has no plan, and did not run as written either.

use serde_json::Value;
use tokio_postgres::GenericClient;
use tokio_postgres::types::{Json, Type};

use crate::error::{Doing, Error};

const DOING: &str = "write the ledger";

/// Writes migrations down as applied without having run. Those that were undone count as new; that they are is the caller's to see to.
///
/// # Errors
/// [`Error::Sql`]; [`Error::Ledger`] when one of them has begun already.
pub(crate) async fn insert_baseline(
    client: &(impl GenericClient + Sync),
    names: &[&str],
    checksums: &[String],
    who: &str,
) -> Result<(), Error> {
    let rows = client
        .query_typed(
            INSERT_BASELINE,
            &[(&names, Type::TEXT_ARRAY), (&checksums, Type::TEXT_ARRAY), (&who, Type::TEXT)],
        )
        .await
        .doing(DOING)?;
    if rows.len() == names.len() {
        return Ok(());
    }
    Err(Error::Ledger {
        message: "a migration of the baseline has begun meanwhile; look at `status`, then try again"
            .to_owned(),
    })
}

/// The file's checksum from now on; empty for one that is gone.
///
/// # Errors
/// [`Error::Sql`].
pub(crate) async fn set_checksum(
    client: &(impl GenericClient + Sync),
    migration: i64,
    checksum: &str,
) -> Result<(), Error> {
    let sql = "UPDATE concertina.migration SET checksum = $2 WHERE id = $1";
    let parameters: &[(&(dyn tokio_postgres::types::ToSql + Sync), Type)] =
        &[(&migration, Type::INT8), (&checksum, Type::TEXT)];
    client.execute_typed(sql, parameters).await.doing(DOING)?;
    Ok(())
}

/// Appends the same to the event log of several migrations, in their order.
///
/// # Errors
/// [`Error::Sql`].
pub(crate) async fn log_all(
    client: &(impl GenericClient + Sync),
    names: &[&str],
    kind: &str,
    message: &str,
    data: Option<&Value>,
    who: &str,
) -> Result<(), Error> {
    client
        .execute_typed(
            LOG_ALL,
            &[
                (&names, Type::TEXT_ARRAY),
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

/// Whether the event log has one of this kind.
///
/// # Errors
/// [`Error::Sql`].
pub(crate) async fn was_logged(client: &(impl GenericClient + Sync), kind: &str) -> Result<bool, Error> {
    let sql = "SELECT EXISTS (SELECT FROM concertina.event WHERE kind = $1)";
    let row = client.query_typed_one(sql, &[(&kind, Type::TEXT)]).await.doing("read the ledger")?;
    Ok(row.get(0))
}

const INSERT_BASELINE: &str = "
WITH forgotten AS (
    DELETE FROM concertina.step
    WHERE migration IN (SELECT id FROM concertina.migration WHERE name = ANY ($1) AND state = 'undone')
), forgotten_too AS (
    DELETE FROM concertina.span
    WHERE migration IN (SELECT id FROM concertina.migration WHERE name = ANY ($1) AND state = 'undone')
)
INSERT INTO concertina.migration AS m (name, checksum, state, simple, plan, by)
SELECT new.name, new.checksum, 'done', false, NULL, $3
FROM ROWS FROM (unnest($1), unnest($2)) WITH ORDINALITY AS new (name, checksum, place)
ORDER BY new.place
ON CONFLICT (name) DO UPDATE
SET checksum = excluded.checksum, state = excluded.state, simple = excluded.simple, plan = excluded.plan, by = excluded.by,
    started_at = clock_timestamp(), changed_at = clock_timestamp(), error = NULL
WHERE m.state = 'undone'
RETURNING m.id";

const LOG_ALL: &str = "
INSERT INTO concertina.event (migration, kind, message, data, by)
SELECT name, $2, $3, $4, $5 FROM unnest($1) WITH ORDINALITY AS about (name, place) ORDER BY place";
