//! The server's catalog as [`Catalog`]: a handful of queries in one snapshot, each a row of JSON per object.
//!
//! Reads only catalogs that every role may read. Names inside expressions and definitions are qualified exactly where the session's
//! `search_path` does not find them, as everywhere in PostgreSQL, so the session must have the path the plan will run with.

mod rows;

use std::time::Duration;

use concertina_plan::catalog::Catalog;
use serde::de::DeserializeOwned;
use tokio_postgres::Client;
use tokio_postgres::types::Json;

use crate::error::{Doing, Error, Failure};
use rows::Snapshot;

pub(crate) use rows::estimated_rows;

/// Tries before a schema that is changed without pause is reported.
const TRIES: u32 = 20;

/// How long to wait for somebody's ALTER TABLE. Deparsing an expression opens its table under ACCESS SHARE: measured on 15.18, where
/// `pg_get_indexdef` and `pg_get_expr` wait for an ACCESS EXCLUSIVE lock on the table. Nobody waits for us meanwhile.
const LOCK_TIMEOUT: &str = "10s";

/// What exists now: schemas `pg_*`, `information_schema`, `concertina` and `concertina_archive` left out, but for the tables that
/// undo made in the last. The client must not be inside
/// a transaction.
///
/// # Errors
/// [`Error::Connection`]; [`Error::GaveWay`] when somebody keeps a table locked.
pub async fn introspect(client: &Client) -> Result<Catalog, Error> {
    let mut tried = 0;
    loop {
        tried += 1;
        match in_snapshot(client).await {
            Err(error) if error.failure() == Failure::LockTimeout => return Err(who_locks(client).await?),
            Err(error) if tried < TRIES && passing(&error) => {
                tracing::debug!(%error, "reading the catalog again");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            result => return result,
        }
    }
}

/// Functions such as `pg_get_indexdef` look at the newest catalog, not at our snapshot, and fail on what was dropped in between.
fn passing(error: &Error) -> bool {
    matches!(error.sqlstate(), Some("XX000" | "42P01" | "42704"))
}

async fn who_locks(client: &Client) -> Result<Error, Error> {
    let rows = client.query_typed(WHO_LOCKS, &[]).await.doing("look at other sessions")?;
    let who: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let who = if who.is_empty() { "by a session that has just ended".to_owned() } else { who.join("; ") };
    Ok(Error::GaveWay {
        message: format!(
            "the catalog cannot be read while a table is locked in ACCESS EXCLUSIVE mode: {who} (waited {LOCK_TIMEOUT})\n  wait \
             until that has ended, then run the same command again"
        ),
    })
}

async fn in_snapshot(client: &Client) -> Result<Catalog, Error> {
    let doing = "read the catalog";
    let begin =
        format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'");
    client.batch_execute(&begin).await.doing(doing)?;
    let result = read(client).await;
    let end = if result.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = client.batch_execute(end).await.doing(doing);
    let catalog = result?;
    ended.map(|()| catalog)
}

async fn read(client: &Client) -> Result<Catalog, Error> {
    let server: rows::Server = one(client, include_str!("sql/introspect/server.sql")).await?;
    // The function that tells is new in 15; before, only a superuser may.
    let may_skip_triggers = match (server.superuser, server.version.major()) {
        (true, _) => true,
        (false, 15..) => one(client, MAY_SKIP_TRIGGERS).await?,
        (false, _) => false,
    };
    // All sent at once, answered one after the other. In order, so that the first error is not one of its consequences.
    let (relations, columns, constraints, indexes, triggers, dependents) = tokio::try_join!(
        biased;
        all(client, include_str!("sql/introspect/relations.sql")),
        all(client, include_str!("sql/introspect/columns.sql")),
        all(client, include_str!("sql/introspect/constraints.sql")),
        all(client, include_str!("sql/introspect/indexes.sql")),
        all(client, include_str!("sql/introspect/triggers.sql")),
        all(client, include_str!("sql/introspect/dependents.sql")),
    )?;
    let (sequences, types, functions, builtins, uses, views, policies, rules) = tokio::try_join!(
        biased;
        all(client, include_str!("sql/introspect/sequences.sql")),
        all(client, include_str!("sql/introspect/types.sql")),
        all(client, include_str!("sql/introspect/functions.sql")),
        one(client, include_str!("sql/introspect/builtins.sql")),
        all(client, include_str!("sql/introspect/uses.sql")),
        all(client, include_str!("sql/introspect/views.sql")),
        all(client, include_str!("sql/introspect/policies.sql")),
        all(client, include_str!("sql/introspect/rules.sql")),
    )?;
    let archived = all(client, include_str!("sql/introspect/archived.sql")).await?;
    let snapshot = Snapshot {
        server,
        may_skip_triggers,
        relations,
        columns,
        constraints,
        indexes,
        triggers,
        dependents,
        sequences,
        types,
        functions,
        builtins,
        uses,
        views,
        archived,
        policies,
        rules,
    };
    Ok(snapshot.catalog())
}

async fn all<T: DeserializeOwned>(client: &Client, sql: &str) -> Result<Vec<T>, Error> {
    let rows = client.query_typed(sql, &[]).await.doing("read the catalog")?;
    rows.iter()
        .map(|row| row.try_get(0).map(|Json(object)| object).doing("understand the server's catalog"))
        .collect()
}

async fn one<T: DeserializeOwned>(client: &Client, sql: &str) -> Result<T, Error> {
    let row = client.query_typed_one(sql, &[]).await.doing("read the catalog")?;
    row.try_get(0).map(|Json(object)| object).doing("understand the server's catalog")
}

const MAY_SKIP_TRIGGERS: &str = "SELECT to_json(has_parameter_privilege('session_replication_role', 'SET'))";

const WHO_LOCKS: &str = "
SELECT format('%s by pid %s (%s)', l.relation::regclass, l.pid, coalesce(nullif(a.application_name, ''), a.usename, '?'))
FROM pg_catalog.pg_locks AS l LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid
WHERE l.mode = 'AccessExclusiveLock' AND l.granted AND l.relation IS NOT NULL
  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
  AND EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.oid = l.relation AND c.relkind IN ('r', 'p', 'm'))
ORDER BY l.pid, l.relation LIMIT 5";
