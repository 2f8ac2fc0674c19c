//! Oracle 7 in its small form: old code writes until contract, new code from the end of expand (or of the switch) on; neither sees an error that
//! the plan did not announce, and no acknowledged write is lost.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use concertina_plan::plan::{Phase, Step, Undo};
use tokio_postgres::Client;

use crate::case::{ColumnOrder, Statement};
use crate::clients::{self, Heard, Running};
use crate::compare;
use crate::drive::{self, Command};
use crate::oracle::{Exhibit, forward};
use crate::world::Database;

const OLD: i64 = 1_000_000;
const NEW: i64 = 3_000_000;
const STRIDE: i64 = 100_000;
/// Clients have at least this long before, between and after.
const WARM: Duration = Duration::from_millis(150);

/// Judges the case with its clients.
///
/// # Errors
/// What is wrong.
pub async fn judge(exhibit: &Exhibit<'_>) -> Result<()> {
    let expect = &exhibit.case.expect;
    if expect.old.is_empty() && expect.new.is_empty() {
        return Ok(());
    }
    through(exhibit).await.context("expand, contract")?;
    back(exhibit).await.context("expand, undo")?;
    and_again(exhibit).await.context("expand, contract, undo, expand")
}

/// What new code wrote is there again when the migration is run again after its undo.
async fn and_again(exhibit: &Exhibit<'_>) -> Result<()> {
    let expect = &exhibit.case.expect;
    let kept = expect.new.iter().any(|statement| statement.kept.is_some());
    let steps = &exhibit.plan.steps;
    let stays =
        |step: &Step| matches!(step.undo, Undo::Impossible { .. } | Undo::Steps { loses: Some(_), .. });
    if !kept || steps.iter().any(stays) {
        return Ok(());
    }
    let copy = exhibit.start.copy().await?;
    let (url, file) = (copy.url(), exhibit.case.file());
    drive::run(&url, Command::Expand, &file, usize::MAX).await?.stopped_or_done().context("expand")?;
    drive::run(&url, Command::Switch, &file, usize::MAX).await?.stopped_or_done().context("switch")?;
    let new = start(&copy, &expect.new, NEW).await?;
    tokio::time::sleep(WARM).await;
    let contract = drive::run(&url, Command::Contract, &file, usize::MAX).await?;
    contract.stopped_or_done().context("contract")?;
    let new = clients::stop(new).await?;
    for command in [Command::Undo, Command::Expand, Command::Contract] {
        let run = drive::run(&url, command, &file, usize::MAX).await?;
        run.stopped_or_done().with_context(|| format!("{command:?}"))?;
    }
    let client = copy.connect().await?;
    for heard in &new {
        heard_no_error(heard)?;
        all_there(&client, heard).await?;
    }
    forward::nothing_left(exhibit, &client, true).await?;
    drop(client);
    copy.remove().await
}

/// Every acknowledged write is still there.
async fn all_there(client: &Client, heard: &Heard) -> Result<()> {
    let Some(kept) = &heard.statement.kept else { return Ok(()) };
    let rows = compare::query(client, kept).await?;
    let there: BTreeSet<i64> = rows.concat().into_iter().flatten().filter_map(|n| n.parse().ok()).collect();
    let lost: Vec<&i64> = heard.acknowledged.difference(&there).collect();
    ensure!(
        lost.is_empty(),
        "{} of {} acknowledged writes are lost, such as {}: {}",
        lost.len(),
        heard.acknowledged.len(),
        lost[0],
        heard.statement.sql
    );
    Ok(())
}

async fn through(exhibit: &Exhibit<'_>) -> Result<()> {
    let expect = &exhibit.case.expect;
    let copy = exhibit.start.copy().await?;
    let (url, file) = (copy.url(), exhibit.case.file());
    let old = start(&copy, &expect.old, OLD).await?;
    tokio::time::sleep(WARM).await;
    let expand = drive::run(&url, Command::Expand, &file, usize::MAX).await?;
    let switch = drive::run(&url, Command::Switch, &file, usize::MAX).await?;
    let new = start(&copy, &expect.new, NEW).await?;
    tokio::time::sleep(WARM).await;
    let old = clients::stop(old).await?;
    let contract = match &expand.outcome {
        Ok(_) => Some(drive::run(&url, Command::Contract, &file, usize::MAX).await?),
        Err(_) => None,
    };
    tokio::time::sleep(WARM).await;
    let new = clients::stop(new).await?;
    expand.stopped_or_done().context("expand")?;
    switch.stopped_or_done().context("switch")?;
    if let Some(contract) = contract {
        contract.stopped_or_done().context("contract")?;
    }

    let client = copy.connect().await?;
    for heard in old.iter().chain(&new) {
        heard_no_error(heard)?;
        all_there(&client, heard).await?;
    }
    for query in &expect.holds {
        let rows = compare::query(&client, query).await?;
        ensure!(rows.is_empty(), "{query} returns {} rows, such as {:?}", rows.len(), rows[0]);
    }
    let now = compare::picture(&copy, &expect.volatile).await?;
    now.same_schema_as(&exhibit.after, expect.column_order)?;
    forward::nothing_left(exhibit, &client, true).await?;
    drop(client);
    copy.remove().await
}

/// Old code never notices that a migration came and went, if it can go.
async fn back(exhibit: &Exhibit<'_>) -> Result<()> {
    let mut early = exhibit.plan.steps.iter().filter(|step| step.phase < Phase::Contract);
    if early.any(|step| matches!(step.undo, Undo::Impossible { .. })) {
        return Ok(());
    }
    let copy = exhibit.start.copy().await?;
    let (url, file) = (copy.url(), exhibit.case.file());
    let old = start(&copy, &exhibit.case.expect.old, OLD).await?;
    let expand = drive::run(&url, Command::Expand, &file, usize::MAX).await?;
    let switch = drive::run(&url, Command::Switch, &file, usize::MAX).await?;
    let undo = drive::run(&url, Command::Undo, &file, usize::MAX).await?;
    tokio::time::sleep(WARM).await;
    let old = clients::stop(old).await?;
    expand.stopped_or_done().context("expand")?;
    switch.stopped_or_done().context("switch")?;
    undo.stopped_or_done().context("undo")?;
    for heard in &old {
        heard_no_error(heard)?;
    }
    let now = compare::picture(&copy, &exhibit.case.expect.volatile).await?;
    now.same_schema_as(&exhibit.before, ColumnOrder::Same)?;
    forward::nothing_left(exhibit, &copy.connect().await?, false).await?;
    copy.remove().await
}

fn heard_no_error(heard: &Heard) -> Result<()> {
    ensure!(heard.errors.is_empty(), "{} failed: {:?}", heard.statement.sql, heard.errors);
    ensure!(!heard.acknowledged.is_empty(), "no answer ever came to {}", heard.statement.sql);
    Ok(())
}

async fn start(copy: &Database<'_>, statements: &[Statement], first: i64) -> Result<Vec<Running>> {
    let mut running = Vec::new();
    for (place, statement) in (0..).zip(statements) {
        running.push(clients::start(copy.connect().await?, statement.clone(), first + place * STRIDE));
    }
    Ok(running)
}
