//! Waits until nobody looks at the database as it was before now.
//!
//! A transaction that keeps its snapshot (REPEATABLE READ, SERIALIZABLE, a statement that runs for long) and has not touched the table
//! yet holds no lock on it. After a switch it would read, under the column's name, row versions from before the backfill, which have
//! nothing there. CREATE INDEX CONCURRENTLY waits for the same reason.

use concertina_plan::effect::Effect;
use concertina_plan::plan::{Phase, Step};
use tokio_postgres::types::Type;

use crate::error::{Doing, Error};
use crate::executor::{Job, Run};
use crate::obstacle::seconds;
use crate::wait::{LOOK_EVERY, Wait};

/// Whether the step gives a column's name to another column.
pub(crate) fn matter_to(step: &Step) -> bool {
    step.phase == Phase::Switch
        && step.provides.iter().any(|effect| matches!(effect, Effect::ColumnRenamed { .. }))
}

/// Returns once every snapshot that is held now is gone, or fails when patience ends.
pub(crate) async fn outlive(run: &Run, job: &Job<'_>) -> Result<(), Error> {
    let mut held = look(run).await?;
    let mut wait = Wait::new();
    while let Some(oldest) = held.first() {
        run.check_stop()?;
        let reason = wait.tell(run, job, &oldest.words, held.len() - 1);
        if wait.lasts() >= run.settings.lock_patience {
            return Err(Error::GaveWay {
                message: format!(
                    "step {} \"{}\" waited for {}: {reason}. Nothing of this step was applied. Let that end, or end it, and run \
                     the same command again",
                    job.number,
                    job.step.title,
                    seconds(wait.lasts())
                ),
            });
        }
        run.pause(LOOK_EVERY).await?;
        let now = look(run).await?;
        held = now
            .into_iter()
            .filter(|holder| held.iter().any(|known| known.transaction == holder.transaction))
            .collect();
    }
    run.journal.waited();
    Ok(())
}

struct Holder {
    transaction: String,
    words: String,
}

async fn look(run: &Run) -> Result<Vec<Holder>, Error> {
    let rows = run
        .control
        .client
        .query_typed(HELD, &[(&&run.backends()[..], Type::INT4_ARRAY)])
        .await
        .doing("look for old snapshots")?;
    let holder = |row: &tokio_postgres::Row| {
        let (pid, application): (i32, Option<String>) = (row.get(1), row.get(2));
        let application =
            application.filter(|name| !name.is_empty()).map(|name| format!(" ({name})")).unwrap_or_default();
        Holder {
            transaction: row.get(0),
            words: format!("transaction of pid {pid}{application} still sees the database as it was before"),
        }
    };
    Ok(rows.iter().map(holder).collect())
}

/// A transaction is known by its virtual id, which every role may see.
const HELD: &str = "
SELECT l.virtualtransaction, a.pid, a.application_name
FROM pg_catalog.pg_stat_activity AS a
JOIN pg_catalog.pg_locks AS l ON l.pid = a.pid AND l.locktype = 'virtualxid' AND l.granted AND l.virtualxid = l.virtualtransaction
WHERE a.backend_xmin IS NOT NULL AND a.datname = current_database() AND a.backend_type = 'client backend' AND a.pid <> ALL ($1)
ORDER BY a.backend_start";
