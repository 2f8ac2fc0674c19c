//! The walk by key, ascending: each batch is the next so many keys of the table, of the archive that is brought back, or of
//! a row set fixed at the start.
//!
//! With a row set each of its rows is written exactly once, because the cursor commits with the batch. Without one the
//! write is idempotent. The walk ends at the greatest key there was when it began: it must not chase clients that insert
//! faster than it reads, and what they insert needs no walk.

use concertina_plan::batch::{self, KeyColumn};
use concertina_plan::plan::{RowSet, Write};
use serde::{Deserialize, Serialize};
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::types::Type;

use super::{Walker, cursor};
use crate::error::{Doing, Error};
use crate::event::Event;
use crate::executor::Run;
use crate::failpoint;
use crate::ledger::{self, StepRow};
use crate::long_step::cancellable;
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
    row_set: Option<&RowSet>,
    known: Option<&StepRow>,
) -> Result<(), Error> {
    let key = key_types(run, walker).await?;
    let mut at = match cursor(known)? {
        Some(at) => at,
        None => begin(run, walker, &key, row_set).await?,
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
    let last: Vec<String> = row_set.map(batch::row_set_drop).into_iter().collect();
    walker.finish(run, &last).await
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
    let number = if row.len() > key.len() { row.get(key.len()) } else { None };
    Some((upto, number.and_then(|number| number.parse().ok()).unwrap_or_default()))
}

/// Fixes the row set, if there is one, in one snapshot and one transaction with the cursor that says so.
async fn begin(
    run: &Run,
    walker: &Walker<'_>,
    key: &[KeyColumn],
    row_set: Option<&RowSet>,
) -> Result<Cursor, Error> {
    let mut at = Cursor { after: None, end: None, passed: 0, total: walker.work.rows };
    let end = batch::key_end(walker.work, key);
    let Some(row_set) = row_set else {
        at.end = last_key(run, walker, key, &end).await?.map(|(end, _)| end);
        return Ok(at);
    };
    let made = async {
        run.begin("SET LOCAL lock_timeout = '30s'").await?;
        for sql in batch::row_set_create(walker.work, key, row_set) {
            let done = cancellable(run, run.work.client.simple_query(&sql), async {}).await;
            let done = done.doing(&walker.job.step.title)?;
            if let Some(SimpleQueryMessage::CommandComplete(rows)) = done.last()
                && sql.starts_with("CREATE")
            {
                at.total = *rows;
            }
        }
        let found = run.work.client.simple_query(&end).await.doing("find the end of the row set")?;
        at.end = key_of(&found, key).map(|(end, _)| end);
        let cursor = serde_json::to_value(&at)
            .map_err(|error| Error::Ledger { message: format!("the cursor cannot be written: {error}") })?;
        ledger::save_cursor(&run.work.client, walker.job.key, &cursor, 0).await?;
        failpoint::reach("row_set_made");
        run.commit().await
    }
    .await;
    if let Err(error) = made {
        run.rollback().await;
        run.check_stop()?;
        return Err(match error {
            error @ Error::Sql { .. } => walker.job.failed(&error),
            error => error,
        });
    }
    let analyze = format!("ANALYZE {}", row_set.table);
    if let Err(error) = run.work.client.batch_execute(&analyze).await.doing("analyze the row set") {
        // Only the choice of a join depends on it.
        run.tell(&Event::Note(error.to_string()));
    }
    Ok(at)
}

/// Types of the key's columns as they are in the table.
async fn key_types(run: &Run, walker: &Walker<'_>) -> Result<Vec<KeyColumn>, Error> {
    let table = walker.work.table.to_string();
    let rows = run
        .work
        .client
        .query_typed(TYPES, &[(&table, Type::TEXT)])
        .await
        .doing("look up the key's columns")?;
    // A restore names the key of the archive, which is that of the table.
    let names = match &walker.work.write {
        Write::Restore { key, .. } => key,
        _ => batch::key_columns(walker.work),
    };
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
