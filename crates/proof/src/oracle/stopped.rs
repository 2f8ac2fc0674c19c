//! A migration that its rows forbid stops before anything is enforced, says which rows, and can be taken back entirely.

use anyhow::{Result, bail, ensure};
use concertina_plan::plan::Plan;
use concertina_run::Error;

use crate::case::{Case, ColumnOrder, Fails};
use crate::compare::{self, Picture};
use crate::drive::{self, Command};
use crate::world::Database;

/// Judges a case with `fails`.
///
/// # Errors
/// What is wrong.
pub async fn judge(case: &Case, start: &Database<'_>, plan: &Plan, before: &Picture) -> Result<()> {
    let naive = start.copy().await?;
    let ran = naive.psql(&case.naive).await;
    naive.remove().await?;
    ensure!(ran.is_err(), "the naive run succeeds");

    let copy = start.copy().await?;
    drive::looking(&copy.url()).await?.init().await.map_err(|e| anyhow::anyhow!(drive::words(&e)))?;
    let ledger = compare::ours(&copy.connect().await?).await?;
    let run = drive::run(&copy.url(), Command::Expand, &case.file(), usize::MAX).await?;
    let Err(error) = run.outcome else { bail!("expand succeeds") };
    let words = drive::words(&error);
    match (case.expect.fails, &error) {
        (Some(Fails::Violated), Error::Violated { .. }) => {}
        (Some(Fails::Duplicates), Error::Violated { .. }) => {}
        (Some(Fails::Duplicates), Error::Step { sqlstate, .. }) if sqlstate == "23505" => {}
        _ => bail!("expand stops for another reason: {words}"),
    }
    ensure!(words.contains(&case.expect.says), "it does not say \"{}\": {words}", case.expect.says);
    ensure!(
        run.events.len() < plan.steps.len() * 1000,
        "it went on and on: {} events for {} steps",
        run.events.len(),
        plan.steps.len()
    );
    let invalid: Vec<String> =
        compare::ours(&copy.connect().await?).await?.into_iter().filter(|o| o.contains("invalid")).collect();
    ensure!(invalid.is_empty(), "an index that rejects writes stays behind: {invalid:?}");

    let undo = drive::run(&copy.url(), Command::Undo, &case.file(), usize::MAX).await?;
    undo.stopped_or_done()?;
    let now = compare::picture(&copy, &case.expect.volatile).await?;
    now.same_as(before, ColumnOrder::Same)?;
    let left = compare::ours(&copy.connect().await?).await?;
    ensure!(left == ledger, "left behind: {:?}", left.difference(&ledger).collect::<Vec<_>>());
    copy.remove().await
}
