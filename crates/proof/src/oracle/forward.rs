//! Oracles 2, 3, 4 and 8 on one forward run, a step at a time: after each step the catalog is as foretold and the locks were
//! claimed; at the end the database is what the naive SQL makes of it, nothing of ours is left, and nothing is run again.

use anyhow::{Context, Result, anyhow, bail, ensure};
use concertina_plan::catalog::Catalog;
use concertina_plan::combine::combine;
use concertina_plan::effect::fold;
use concertina_plan::kind::Ctx;
use concertina_plan::pg::lock::LockMode;
use concertina_plan::plan::{Action, Step, Undo, WorkKind};
use concertina_plan::policy::Policy;
use concertina_plan::sql;
use concertina_run::event::Event;

use crate::compare;
use crate::drive::{self, Command, Run};
use crate::oracle::Exhibit;
use crate::shape::{self, Shaper};
use crate::world::Database;

/// Judges the run.
///
/// # Errors
/// What is wrong.
pub async fn judge(exhibit: &Exhibit<'_>) -> Result<()> {
    let Exhibit { case, plan, .. } = exhibit;
    let copy = exhibit.start.copy().await?;
    let (url, file) = (copy.url(), case.file());
    let start = physical(&url).await?;
    let early = drive::of_expand(plan);
    for (at, step) in plan.steps.iter().enumerate() {
        if at == early {
            between(exhibit, &copy, &start).await?;
        }
        let command = if at < early { Command::Expand } else { Command::Contract };
        let label = || format!("step {} ({})", at + 1, step.title);
        let run = drive::run(&url, command, &file, 1).await?;
        run.stopped_or_done().with_context(label)?;
        ensure!(run.steps_run() == 1, "{}: {} steps ran instead of one", label(), run.steps_run());
        locks(step, &run, &start).with_context(label)?;
        let foretold = fold(&start, plan.steps[..=at].iter().flat_map(|step| &step.provides));
        same_shape(&copy, &physical(&url).await?, &foretold)
            .await
            .with_context(|| format!("{}: the folded catalog is not the server's", label()))?;
    }
    if plan.steps.len() == early {
        between(exhibit, &copy, &start).await?;
    }
    finished(exhibit, &copy).await?;
    let written = as_written(exhibit, &start)?;
    same_shape(&copy, &physical(&url).await?, &written)
        .await
        .context("the effects of the statements as written are not what the server shows at the end")?;
    copy.remove().await
}

/// Runs both commands to their end, which is where the steps have brought it, and looks at the result.
async fn finished(exhibit: &Exhibit<'_>, copy: &Database<'_>) -> Result<()> {
    let (url, file) = (copy.url(), exhibit.case.file());
    for round in ["finishing", "again"] {
        for command in [Command::Expand, Command::Contract] {
            let run = drive::run(&url, command, &file, usize::MAX).await?;
            run.stopped_or_done().with_context(|| format!("{round} {command:?}"))?;
            ensure!(run.steps_run() == 0, "{round}: {command:?} ran {} steps", run.steps_run());
        }
    }
    end(exhibit, copy).await
}

/// The database is what the naive SQL makes of it, and nothing of ours is left but the ledger and announced archives.
///
/// # Errors
/// What is wrong.
pub async fn end(exhibit: &Exhibit<'_>, copy: &Database<'_>) -> Result<()> {
    let now = compare::picture(copy, &exhibit.case.expect.volatile).await?;
    now.same_as(&exhibit.after, exhibit.case.expect.column_order)?;
    let client = copy.connect().await?;
    nothing_left(exhibit, &client, true).await?;
    for query in &exhibit.case.expect.holds {
        let rows = compare::query(&client, query).await?;
        ensure!(rows.is_empty(), "{query} returns {} rows, such as {:?}", rows.len(), rows[0]);
    }
    Ok(())
}

/// Nothing of ours but the ledger; archives only of what the plan says, and only where they may stay: those of its steps after a
/// run, those of their undo after one.
///
/// # Errors
/// What is left.
pub async fn nothing_left(
    exhibit: &Exhibit<'_>,
    client: &tokio_postgres::Client,
    archives: bool,
) -> Result<()> {
    let of = |steps: &[Step]| -> Vec<String> {
        steps.iter().flat_map(|step| &step.archived).map(|archived| archived.name.to_string()).collect()
    };
    let names = of(&exhibit.plan.steps);
    // What undo of an added column keeps.
    let kept: Vec<String> = exhibit
        .plan
        .steps
        .iter()
        .flat_map(|step| match &step.undo {
            Undo::Steps { steps, .. } => of(steps),
            _ => Vec::new(),
        })
        .collect();
    let mut left = compare::ours(client).await?;
    left.retain(|object| {
        // A table takes its sequences along.
        let lies_there = object.starts_with("relation concertina_archive.") && !names.is_empty();
        let kept = !archives && kept.iter().any(|name| object.ends_with(name.as_str()));
        let archive =
            kept || archives && (lies_there || names.iter().any(|name| object.contains(name.as_str())));
        !archive && !exhibit.ledger.contains(object)
    });
    ensure!(left.is_empty(), "left behind: {left:?}");
    Ok(())
}

/// Between expand and contract: expand has nothing more to do, and the logical catalog is the one at the end.
async fn between(exhibit: &Exhibit<'_>, copy: &Database<'_>, start: &Catalog) -> Result<()> {
    let run = drive::run(&copy.url(), Command::Expand, &exhibit.case.file(), usize::MAX).await?;
    run.stopped_or_done().context("the end of expand")?;
    ensure!(run.steps_run() == 0, "expand had {} steps left", run.steps_run());
    let (_, logical) =
        drive::looking(&copy.url()).await?.catalogs().await.map_err(|error| anyhow!(drive::words(&error)))?;
    let end = fold(start, exhibit.plan.steps.iter().flat_map(|step| &step.provides));
    same_shape(copy, &logical, &end)
        .await
        .context("the logical catalog after expand is not the one at the end")
}

async fn physical(url: &str) -> Result<Catalog> {
    let catalogs = drive::looking(url).await?.catalogs().await;
    Ok(catalogs.map_err(|error| anyhow!(drive::words(&error)))?.0)
}

async fn same_shape(copy: &Database<'_>, found: &Catalog, foretold: &Catalog) -> Result<()> {
    let client = copy.connect().await?;
    let mut shaper = Shaper::new(&client, found.extensions.is_empty());
    shape::same(&shaper.shape(found).await?, &shaper.shape(foretold).await?)
}

/// The catalog after the statements as written, by the effects that the kinds declare.
fn as_written(exhibit: &Exhibit<'_>, start: &Catalog) -> Result<Catalog> {
    let policy = Policy::default();
    let text = &exhibit.case.migration;
    let statements = match sql::read(text, start, &policy) {
        Ok(statements) => combine(statements),
        Err(diagnostics) => bail!("{}", super::explain::refusal(&diagnostics, text)),
    };
    let mut logical = start.clone();
    for statement in &statements {
        let changes = statement.changes.as_ref().map_err(|diagnostic| anyhow!(diagnostic.message.clone()))?;
        let absorbed = statement.absorbed.iter().filter(|change| change.takes_effect_here());
        for change in absorbed.chain(changes) {
            let ctx = Ctx {
                logical: &logical,
                physical: start,
                policy: &policy,
                directives: &statement.directives,
                migration: "",
            };
            let effects = change.kind().effects(&ctx);
            logical = fold(&logical, &effects);
        }
    }
    Ok(logical)
}

/// What the step's transaction held and rewrote was claimed.
fn locks(step: &Step, run: &Run, start: &Catalog) -> Result<()> {
    let mut told = false;
    for event in &run.events {
        let Event::LocksHeld { locks, rewritten, .. } = event else { continue };
        told = true;
        for lock in locks.iter().filter(|lock| lock.mode >= LockMode::ShareUpdateExclusive) {
            // A lock on a table says as much of its indexes: nobody gets at them past it.
            let table = start.index(&lock.relation).map(|(table, _)| &table.name);
            let claims = step.locks.iter();
            let claimed = claims
                .filter(|claim| claim.relation == lock.relation || Some(&claim.relation) == table)
                .map(|claim| claim.mode);
            ensure!(
                claimed.max().is_some_and(|claim| claim >= lock.mode),
                "{} was held on {}, claimed is {:?}",
                lock.mode,
                lock.relation,
                step.locks
            );
        }
        let rewrites = step.work.iter().any(|work| work.what == WorkKind::Rewrite);
        ensure!(rewritten.is_empty() || rewrites, "{rewritten:?} were rewritten, which was not claimed");
    }
    let transactional = matches!(step.action, Action::Transaction { .. } | Action::Long { .. });
    ensure!(told || !transactional, "the engine told nothing of the locks it held");
    Ok(())
}
