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

/// Pages of a window: at first, at least, at most.
const WINDOW: (u64, u64, u64) = (256, 64, 8192);

/// Windowed sweeps that may find something before the last one, which is a single statement.
const SWEEPS: u32 = 4;

/// Where the walk stands: what the next batch takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "walk")]
enum Cursor {
    /// A pass over a window.
    Window {
        /// First page.
        from: u64,
        /// One past the last page.
        to: u64,
        /// Which pass.
        pass: u32,
        /// Passes of this window.
        passes: u32,
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
    let (first, min, max) = WINDOW;
    let mut size = Size::new(first, min, max, run.settings.throttle.batch);
    let mut at = match cursor(known)? {
        Some(cursor) => cursor,
        None => {
            let end = page_count(run, walker).await?;
            window(0, end, stride, size.get())
        }
    };
    loop {
        at = match at {
            Cursor::Window { from, end, .. } if from >= end => look_back(run, walker, 1).await?,
            Cursor::Window { from, to, pass, passes, end } => {
                pass_window(run, walker, &mut size, (from, to, pass, passes, end), stride).await?
            }
            Cursor::Sweep { round, from, end } if from >= end => look_back(run, walker, round + 1).await?,
            Cursor::Sweep { round, from, end } => sweep(run, walker, &mut size, round, from, end).await?,
            Cursor::Over => return walker.finish(run, &[]).await,
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

/// The next window; a small one is not worth several passes.
fn window(from: u64, end: u64, stride: u32, pages: u64) -> Cursor {
    let to = (from + pages).min(end);
    Cursor::Window { from, to, pass: 0, passes: stride.max(1), end }
}

async fn pass_window(
    run: &mut Run,
    walker: &mut Walker<'_>,
    size: &mut Size,
    (from, to, pass, passes, end): (u64, u64, u32, u32, u64),
    stride: u32,
) -> Result<Cursor, Error> {
    // The last pass takes the rest: rows that moved within the window, and rows that a client holds now and released before.
    let part = (pass + 1 < passes).then_some(Stride { part: pass, of: passes });
    let after = match part {
        Some(_) => Cursor::Window { from, to, pass: pass + 1, passes, end },
        None => window(to, end, stride, size.get()),
    };
    let sql = batch::page_pass(walker.work, from, to, part);
    let Some(took) = walker.batch(run, size, &sql, &after).await? else {
        // What other passes wrote of this window is no longer pending, so it may be cut anew.
        return Ok(window(from, end, stride, size.get()));
    };
    let width = to - from;
    // One pass in the middle stands for the window: the first ones pay for reading it.
    if pass == passes / 2 && width >= size.get().min(end - from) {
        size.took(took);
    }
    let within = f64::from(pass + 1) / f64::from(passes) * width as f64;
    walker.tell(run, (from as f64 + within) / (end.max(1) as f64));
    Ok(match after {
        // The size may have changed after the cursor was written; a window that has not begun may still change.
        Cursor::Window { from, pass: 0, end, .. } => window(from, end, stride, size.get()),
        after => after,
    })
}

/// A batch of a sweep. Sweeps look at many pages to find few rows, so their batches are larger, but a client that waits for
/// one of the rows still ends them. After a few, the last resort is a single statement, whose snapshot no row escapes.
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
    let to = from + size.get().saturating_mul(4);
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
