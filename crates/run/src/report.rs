//! What the ledger knows of one migration's run, for `concertina report`. Only reads.

use concertina_plan::plan::{Plan, Step, Undo};

use crate::connect::Session;
use crate::error::Error;
use crate::ledger::{self, Direction, EstimateRow, MigrationRow, SpanRow, StepRow};
use crate::state::HistoryEntry;

/// One migration's run. Times are seconds since it began.
#[derive(Clone, Debug)]
pub struct RunReport {
    /// The migration.
    pub migration: MigrationRow,
    /// Steps of the plan in order, then those of its undo in the order in which they began.
    pub steps: Vec<StepReport>,
    /// Its events, oldest first, since it began; the first member is when.
    pub events: Vec<(f64, HistoryEntry)>,
}

/// One step: what was planned, and what came of it.
#[derive(Clone, Debug)]
pub struct StepReport {
    /// Number in the plan, from 1; for an undo step, of the step that is undone.
    pub number: usize,
    /// Which way.
    pub direction: Direction,
    /// The step as planned.
    pub step: Step,
    /// What became of it; `None` while it has not begun.
    pub row: Option<StepRow>,
    /// What was expected of it; `None` for undo, and while no command has come to it.
    pub estimate: Option<EstimateRow>,
    /// How time went by, in the order in which it was written down.
    pub spans: Vec<SpanRow>,
}

/// Reads it; `None` for a migration that never began.
///
/// # Errors
/// [`Error::Sql`], [`Error::Ledger`].
pub(crate) async fn read(session: &Session, name: &str) -> Result<Option<RunReport>, Error> {
    let client = &session.client;
    let Some(migration) = ledger::migration(client, name).await? else { return Ok(None) };
    let rows = ledger::steps(client, migration.id).await?;
    let spans = ledger::spans(client, migration.id).await?;
    let events = ledger::events(client, name).await?;
    let estimates = ledger::estimates(client, migration.id).await?;
    let steps =
        migration.plan.as_ref().map(|plan| steps(plan, &rows, &spans, &estimates)).unwrap_or_default();
    Ok(Some(RunReport { migration, steps, events }))
}

fn steps(plan: &Plan, rows: &[StepRow], spans: &[SpanRow], estimates: &[EstimateRow]) -> Vec<StepReport> {
    let report = |direction: Direction, ordinal: usize, sub: usize, step: &Step| {
        let is = |d: Direction, o: i32, s: i32| {
            d == direction && usize::try_from(o) == Ok(ordinal) && usize::try_from(s) == Ok(sub)
        };
        StepReport {
            number: ordinal + 1,
            direction,
            step: step.clone(),
            row: rows.iter().find(|row| is(row.direction, row.ordinal, row.sub)).cloned(),
            estimate: match direction {
                Direction::Forward => {
                    estimates.iter().find(|it| usize::try_from(it.ordinal) == Ok(ordinal)).copied()
                }
                Direction::Undo => None,
            },
            spans: spans.iter().filter(|it| is(it.direction, it.ordinal, it.sub)).cloned().collect(),
        }
    };
    let mut all: Vec<StepReport> =
        plan.steps.iter().enumerate().map(|(at, step)| report(Direction::Forward, at, 0, step)).collect();
    let mut undone: Vec<StepReport> = Vec::new();
    for (at, step) in plan.steps.iter().enumerate() {
        if let Undo::Steps { steps, .. } = &step.undo {
            undone.extend(steps.iter().enumerate().map(|(sub, step)| report(Direction::Undo, at, sub, step)));
        }
    }
    undone.retain(|step| step.row.is_some());
    let began = |step: &StepReport| step.row.as_ref().map_or(0.0, |row| row.began);
    undone.sort_by(|a, b| began(a).total_cmp(&began(b)));
    all.append(&mut undone);
    all
}
