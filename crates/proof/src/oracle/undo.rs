//! Oracle 5: at each boundary, undo restores schema and rows, or the plan had said what it cannot bring back.

use anyhow::{Context, Result, bail, ensure};
use concertina_plan::effect::Effect;
use concertina_plan::plan::{Step, Undo};
use concertina_run::Error;

use crate::case::ColumnOrder;
use crate::compare;
use crate::drive::{self, Command};
use crate::oracle::{Boundaries, Exhibit, forward};
use crate::world::Database;

/// Judges the boundaries; after the last one the migration is run again, all the way.
///
/// # Errors
/// What is wrong.
pub async fn judge(exhibit: &Exhibit<'_>, boundaries: Boundaries) -> Result<()> {
    let chosen = boundaries.of(exhibit.plan.steps.len(), &exhibit.case.name);
    for boundary in &chosen {
        let again = Some(boundary) == chosen.last();
        at(exhibit, *boundary, again).await.with_context(|| format!("undo after step {boundary}"))?;
    }
    Ok(())
}

async fn at(exhibit: &Exhibit<'_>, boundary: usize, again: bool) -> Result<()> {
    let Exhibit { case, plan, .. } = exhibit;
    let done = &plan.steps[..boundary];
    let copy = exhibit.start.copy().await?;
    let (url, file) = (copy.url(), case.file());
    drive::to_boundary(&url, plan, &file, boundary).await?;
    let undo = drive::run(&url, Command::Undo, &file, usize::MAX).await?;
    if done.iter().any(|step| matches!(step.undo, Undo::Impossible { .. })) {
        match undo.outcome {
            Err(Error::CannotUndo { .. }) => return copy.remove().await,
            other => bail!("the plan says it cannot be undone, and undo says {other:?}"),
        }
    }
    undo.stopped_or_done()?;
    is_as_before(exhibit, &copy, done).await?;
    let loses = done.iter().any(|step| matches!(&step.undo, Undo::Steps { loses: Some(_), .. }));
    let order = order(done);
    if again && !loses {
        for command in [Command::Expand, Command::Contract] {
            let run = drive::run(&url, command, &file, usize::MAX).await?;
            ensure!(run.outcome.is_ok(), "{command:?} after undo: {:?}", run.outcome);
        }
        let now = compare::picture(&copy, &case.expect.volatile).await?;
        let order = if order == ColumnOrder::Differs { order } else { case.expect.column_order };
        now.same_as(&exhibit.after, order).context("run again after undo")?;
    }
    copy.remove().await
}

/// A column that was dropped comes back as the last one.
fn order(done: &[Step]) -> ColumnOrder {
    let comes_back = |step: &Step| match &step.undo {
        Undo::Steps { steps, .. } => {
            let gone = step.provides.iter().any(|effect| matches!(effect, Effect::ColumnGone { .. }));
            let mut back = steps.iter().flat_map(|step| &step.provides);
            gone && back.any(|effect| matches!(effect, Effect::Column { .. }))
        }
        _ => false,
    };
    let moved = done.iter().any(|step| step.destroys || comes_back(step));
    if moved { ColumnOrder::Differs } else { ColumnOrder::Same }
}

/// After undo of these steps the database is what it was, but for what the plan said is lost.
///
/// # Errors
/// The difference.
pub(super) async fn is_as_before(exhibit: &Exhibit<'_>, copy: &Database<'_>, done: &[Step]) -> Result<()> {
    let now = compare::picture(copy, &exhibit.case.expect.volatile).await?;
    let order = order(done);
    if done.iter().any(|step| matches!(&step.undo, Undo::Steps { loses: Some(_), .. })) {
        now.same_schema_as(&exhibit.before, order)?;
    } else {
        now.same_as(&exhibit.before, order)?;
    }
    forward::nothing_left(exhibit, &copy.connect().await?, false).await
}
