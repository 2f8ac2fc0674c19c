//! The walk over rows that were fixed at the start, in slices of the table that keeps them.
//!
//! Each row is written exactly once, because the cursor commits with the batch.

use concertina_plan::batch;
use concertina_plan::plan::RowSet;
use serde::{Deserialize, Serialize};
use tokio_postgres::SimpleQueryMessage;

use super::{Walker, cursor, to_json};
use crate::error::{Doing, Error};
use crate::event::Event;
use crate::executor::Run;
use crate::failpoint;
use crate::ledger::{self, StepRow};
use crate::long_step::cancellable;
use crate::throttle::Size;

/// Rows of a batch: at first, at least, at most.
const BATCH: (u64, u64, u64) = (500, 100, batch::PASS as u64);

/// Where the walk stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Cursor {
    /// Rows of the row set that are done.
    passed: u64,
    /// Rows of the row set.
    total: u64,
}

pub(super) async fn run(
    run: &mut Run,
    walker: &mut Walker<'_>,
    row_set: &RowSet,
    known: Option<&StepRow>,
) -> Result<(), Error> {
    let mut at = match cursor(known)? {
        Some(at) => at,
        None => begin(run, walker, row_set).await?,
    };
    let (first, min, max) = BATCH;
    let mut size = Size::new(first, min, max, run.settings.throttle.batch);
    while at.passed < at.total {
        run.check_stop()?;
        let after = Cursor { passed: (at.passed + size.get()).min(at.total), ..at };
        let sql = batch::row_set_batch(walker.work, row_set, at.passed, after.passed);
        if let Some(took) = walker.batch(run, &mut size, &sql, &after).await? {
            if after.passed < at.total {
                size.took(took);
            }
            at = after;
            walker.tell(run, at.passed as f64 / at.total as f64);
        }
    }
    walker.finish(run, Some(&batch::row_set_drop(row_set))).await
}

/// Fixes the row set in one snapshot and one transaction with the cursor that says so.
async fn begin(run: &Run, walker: &Walker<'_>, row_set: &RowSet) -> Result<Cursor, Error> {
    let mut at = Cursor { passed: 0, total: 0 };
    let made = async {
        run.begin(&format!("SET LOCAL lock_timeout = '30s'; {}", batch::row_set_settings())).await?;
        for sql in batch::row_set_create(walker.work, row_set) {
            let done = cancellable(run, run.work.client.simple_query(&sql), async {}).await;
            let done = done.doing(&walker.job.step.title)?;
            if let Some(SimpleQueryMessage::CommandComplete(rows)) = done.last() {
                // The second statement is a utility and counts nothing.
                at.total = at.total.max(*rows);
            }
        }
        ledger::save_cursor(&run.work.client, walker.job.key, &to_json(&at)?, 0).await?;
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
