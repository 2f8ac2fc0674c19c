//! The walk by key, ascending: each batch is the next so many keys of the table, or of the archive that is brought back.
//!
//! The write is idempotent. The walk ends at the greatest key there was when it began: it must not chase clients that insert
//! faster than it reads, and what they insert needs no walk.

use concertina_plan::batch::{self, KeyColumn};
use concertina_plan::sql::ident::Ident;
use serde::{Deserialize, Serialize};
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::types::Type;

use super::{Walker, cursor};
use crate::error::{Doing, Error};
use crate::executor::Run;
use crate::ledger::StepRow;
use crate::throttle::Size;

/// Rows of a batch: at first, at least, at most.
const BATCH: (u64, u64, u64) = (500, 100, 100_000);

/// Where the walk stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Cursor {
    /// Last key done, as text; none before the first batch.
    after: Option<Vec<String>>,
    /// Last key of the walk; none when there is nothing to walk.
    end: Option<Vec<String>>,
    /// Keys passed.
    passed: u64,
    /// Keys there are, as far as known.
    total: u64,
}

pub(super) async fn run(
    run: &mut Run,
    walker: &mut Walker<'_>,
    columns: &[Ident],
    known: Option<&StepRow>,
) -> Result<(), Error> {
    let key = key_types(run, walker, columns).await?;
    let mut at = match cursor(known)? {
        Some(at) => at,
        None => {
            let end = last_key(run, walker, &key, &batch::key_end(walker.work, &key)).await?;
            Cursor { end: end.map(|(end, _)| end), total: walker.work.rows, ..Cursor::default() }
        }
    };
    let (first, min, max) = BATCH;
    let mut size = Size::new(first, min, max, run.settings.throttle.batch);
    while let Some(end) = &at.end {
        run.check_stop()?;
        let bound = batch::key_bound(walker.work, &key, at.after.as_deref(), end, size.get());
        let Some((upto, rows)) = last_key(run, walker, &key, &bound).await? else { break };
        let sql = batch::key_batch(walker.work, &key, at.after.as_deref(), &upto);
        let after = Cursor { after: Some(upto), passed: at.passed + rows, ..at.clone() };
        if let Some(took) = walker.batch(run, &mut size, &sql, &after).await? {
            let full = rows >= size.get();
            at = after;
            if full {
                size.took(took);
            }
            walker.tell(run, at.passed as f64 / at.total.max(at.passed).max(1) as f64);
        }
    }
    walker.finish(run, None).await
}

/// The key that a query of one row finds, and the number that follows it if there is one.
async fn last_key(
    run: &Run,
    walker: &Walker<'_>,
    key: &[KeyColumn],
    query: &str,
) -> Result<Option<(Vec<String>, u64)>, Error> {
    // The path settings belong to the batch's own transaction; this one is an index scan of its own.
    let sql = format!(
        "BEGIN READ ONLY; SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off; {query}; COMMIT"
    );
    let found = run.work.client.simple_query(&sql).await;
    if found.is_err() {
        run.rollback().await;
    }
    let found = found.doing("find the next batch").map_err(|error| match error {
        error @ Error::Sql { .. } if !error.failure().is_transient() => walker.job.failed(&error),
        error => error,
    })?;
    Ok(key_of(&found, key))
}

fn key_of(found: &[SimpleQueryMessage], key: &[KeyColumn]) -> Option<(Vec<String>, u64)> {
    let row = found.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    })?;
    let upto = (0..key.len()).map(|column| row.get(column).unwrap_or_default().to_owned()).collect();
    let number = row.try_get(key.len()).ok().flatten();
    Some((upto, number.and_then(|number| number.parse().ok()).unwrap_or_default()))
}

/// Types of the key's columns as they are in the table.
async fn key_types(run: &Run, walker: &Walker<'_>, names: &[Ident]) -> Result<Vec<KeyColumn>, Error> {
    let table = walker.work.table.to_string();
    let rows = run
        .work
        .client
        .query_typed(TYPES, &[(&table, Type::TEXT)])
        .await
        .doing("look up the key's columns")?;
    names
        .iter()
        .map(|name| {
            let row = rows.iter().find(|row| row.get::<_, &str>(0) == name.as_str());
            let data_type = row.map(|row| row.get::<_, String>(1)).ok_or_else(|| Error::Step {
                step: walker.job.number,
                title: walker.job.step.title.clone(),
                sqlstate: "42703".to_owned(),
                message: format!("column {name} of {table}, by which the rows are walked, is gone"),
                hint: "bring it back, or take the migration back with `undo`".to_owned(),
            })?;
            Ok(KeyColumn { name: name.clone(), data_type })
        })
        .collect()
}

const TYPES: &str = "
SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_catalog.pg_attribute
WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped";
