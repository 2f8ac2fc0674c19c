//! The walk over heap pages, for writes with a "pending" predicate: any row may be met twice, or be missed because it
//! moved, and the end is right all the same.
//!
//! A window of pages is passed several times, and each pass takes every k-th of its rows. The versions that a pass
//! leaves dead are pruned by the next one, so most new versions stay on their page as HOT updates that touch no index.
//! The last pass of a window takes whatever is left of it. The end page is fixed at the start; after it, a look at the
//! whole table in one snapshot says whether anything was missed, and sweeps without stride take that.

use std::time::Duration;

use concertina_plan::batch::{self, Stride};
use serde::{Deserialize, Serialize};

use super::{Walker, cursor};
use crate::error::{Doing, Error};
use crate::executor::Run;
use crate::ledger::StepRow;
use crate::long_step::cancellable;
use crate::throttle::Size;

/// Pages of a window: enough for what a pass left dead to be prunable when the next one comes, few enough to be still in
/// memory then.
const WINDOW: u64 = 1024;

/// Pages that a batch looks at: at first, at least, at most.
const BATCH: (u64, u64, u64) = (64, 4, WINDOW);

/// Windowed sweeps that may find something before the last one, which is a single statement.
const SWEEPS: u32 = 4;

/// Where the walk stands: what the next batch takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "walk")]
enum Cursor {
    /// A pass over a window.
    Window {
        /// First page of the window.
        from: u64,
        /// One past its last page.
        to: u64,
        /// Which pass.
        pass: u32,
        /// First page that this pass has not seen.
        at: u64,
        /// One past the last page of the walk.
        end: u64,
    },
    /// A sweep for what was missed.
    Sweep {
        /// Which, from 1.
        round: u32,
        /// First page of the next batch.
        from: u64,
        /// One past the last page of the sweep; the last batch goes to the end of the table.
        end: u64,
    },
    /// Everything is written.
    Over,
}

pub(super) async fn run(
    run: &mut Run,
    walker: &mut Walker<'_>,
    stride: u32,
    known: Option<&StepRow>,
) -> Result<(), Error> {
    let (first, min, max) = BATCH;
    let mut size = Size::new(first, min, max, run.settings.throttle.batch);
    let mut at = match cursor(known)? {
        Some(cursor) => cursor,
        None => {
            let end = page_count(run, walker).await?;
            window(0, end)
        }
    };
    loop {
        at = match at {
            Cursor::Window { from, end, .. } if from >= end => look_back(run, walker, 1).await?,
            Cursor::Window { from, to, pass, at, end } => {
                pass_window(run, walker, &mut size, stride, (from, to, pass, at, end)).await?
            }
            Cursor::Sweep { round, from, end } if from >= end => look_back(run, walker, round + 1).await?,
            Cursor::Sweep { round, from, end } => sweep(run, walker, &mut size, round, from, end).await?,
            Cursor::Over => return walker.finish(run, None).await,
        };
    }
}

/// Sweeps again if anything was missed.
async fn look_back(run: &Run, walker: &mut Walker<'_>, round: u32) -> Result<Cursor, Error> {
    walker.tell(run, 1.0);
    Ok(match missed(run, walker).await? {
        true => Cursor::Sweep { round, from: 0, end: page_count(run, walker).await?.max(1) },
        false => Cursor::Over,
    })
}

/// The window that begins here.
fn window(from: u64, end: u64) -> Cursor {
    Cursor::Window { from, to: (from + WINDOW).min(end), pass: 0, at: from, end }
}

/// A batch: a part of a pass. The first pass moves rows to other pages and takes longer than the others, so each batch
/// counts for the size of the next.
async fn pass_window(
    run: &mut Run,
    walker: &mut Walker<'_>,
    size: &mut Size,
    stride: u32,
    (from, to, pass, at, end): (u64, u64, u32, u64, u64),
) -> Result<Cursor, Error> {
    let upto = (at + size.get()).min(to);
    let last = pass + 1 >= stride;
    // The last pass takes the rest: rows that moved within the window, and rows that a client held and released.
    let part = (!last).then_some(Stride { part: pass, of: stride });
    let after = match (upto < to, last) {
        (true, _) => Cursor::Window { from, to, pass, at: upto, end },
        (false, false) => Cursor::Window { from, to, pass: pass + 1, at: from, end },
        (false, true) => window(to, end),
    };
    let sql = batch::page_pass(walker.work, at, upto, part);
    let Some(took) = walker.batch(run, size, &sql, &after).await? else {
        return Ok(Cursor::Window { from, to, pass, at, end });
    };
    if upto - at >= size.get() {
        size.took(took);
    }
    let within = (f64::from(pass) * (to - from) as f64 + (upto - from) as f64) / f64::from(stride.max(1));
    walker.tell(run, (from as f64 + within) / (end.max(1) as f64));
    Ok(after)
}

/// A batch of a sweep. After a few sweeps, the last resort is a single statement, whose snapshot no row escapes.
async fn sweep(
    run: &mut Run,
    walker: &mut Walker<'_>,
    size: &mut Size,
    round: u32,
    from: u64,
    end: u64,
) -> Result<Cursor, Error> {
    let again = Cursor::Sweep { round, from, end };
    if round > SWEEPS {
        let everything = batch::all_at_once(walker.work);
        let done = walker.batch(run, size, &everything, &Cursor::Over).await?;
        return Ok(done.map_or(again, |_| Cursor::Over));
    }
    let to = from + size.get();
    let after = Cursor::Sweep { round, from: to.min(end), end };
    // Rows may have moved beyond the end that was fixed.
    let upper = if to >= end { u64::from(u32::MAX) } else { to };
    let sql = batch::page_pass(walker.work, from, upper, None);
    Ok(match walker.batch(run, size, &sql, &after).await? {
        Some(took) => {
            size.took(took);
            after
        }
        None => again,
    })
}

/// Whether any row still needs the write, seen in one snapshot.
async fn missed(run: &Run, walker: &mut Walker<'_>) -> Result<bool, Error> {
    let Some(query) = batch::any_pending(walker.work) else { return Ok(false) };
    run.check_stop()?;
    let look = cancellable(run, run.work.client.simple_query(&query), async {}).await;
    if look.is_err() {
        run.check_stop()?;
    }
    let rows = look.doing("look for rows that were missed").map_err(|error| match error {
        error @ Error::Sql { .. } => walker.job.failed(&error),
        error => error,
    })?;
    walker.rest(run, Duration::ZERO).await?;
    Ok(rows.iter().any(|message| matches!(message, tokio_postgres::SimpleQueryMessage::Row(_))))
}

async fn page_count(run: &Run, walker: &Walker<'_>) -> Result<u64, Error> {
    let sql = batch::page_count(&walker.work.table);
    let row = run.work.client.query_one(sql.as_str(), &[]).await.doing("look at the table's size")?;
    Ok(u64::try_from(row.get::<_, i64>(0)).unwrap_or_default())
}
