//! Takes a migration back: the undo of every step that was done, last first, run by the same machinery and journaled
//! alike. Whether that is possible is known before anything is touched.

use std::time::Instant;

use concertina_plan::batch;
use concertina_plan::effect::Effect;
use concertina_plan::plan::{Action, Blocks, Claim, Plan, Step, Undo, Walk};
use concertina_plan::rights::needs_to_undo;

use crate::engine::{Outcome, in_flight};
use crate::error::{Doing, Error};
use crate::event::Event;
use crate::executor::{self, Job, Run};
use crate::forward::number;
use crate::ledger::{self, Direction, MigrationRow, StepKey, StepRow};
use crate::state::{MigrationState, StepState};
use crate::{alone, archive, dependents, failpoint, probe, quarantine, rights};

pub(crate) async fn undo(run: &mut Run, only: Option<&str>) -> Result<Outcome, Error> {
    let rows = ledger::migrations(&run.work.client).await?;
    let row = candidate(&rows, only)?;
    let Some(plan) = &row.plan else {
        let why = if row.is_baseline() {
            "it was recorded as applied by `concertina baseline` and never ran here, so there is nothing to take back; write a \
             migration that goes back"
        } else {
            "it was run as written by `apply --simple`, which keeps nothing to go back to"
        };
        return Err(Error::CannotUndo { migration: row.name.clone(), why: why.to_owned() });
    };
    let steps = ledger::steps(&run.work.client, row.id).await?;
    let mut begun = Vec::new();
    for (ordinal, step) in plan.steps.iter().enumerate() {
        if let Some(forward) = executor::find(&steps, StepKey::forward(row.id, number(ordinal)))
            && forward.state != StepState::Undone
        {
            begun.push(Begun {
                migration: &row.name,
                ordinal,
                step,
                done: is_done(run, step, forward).await?,
                touched: touched(forward),
            });
        }
    }
    refuse_impossible(row, &begun)?;
    refuse_purged(run, row, &begun, &steps).await?;
    refuse_built_upon(row, plan, &rows)?;
    let back = begun.iter().rev().flat_map(Begun::steps);
    dependents::refuse(&run.work.client, &row.name, "undo", back).await?;
    quarantine::refuse(&run.work.client, row, "undo", Blocks::Undo).await?;
    let back = begun.iter().map(|begun| (begun.step, begun.remaining(row.id, &steps)));
    let needs = needs_to_undo(plan, back);
    rights::require_all(&run.work, &run.settings, &row.name, needs).await?;

    let started = Instant::now();
    if row.state != MigrationState::Undoing {
        let who = run.work.who.clone();
        run.in_ledger(ledger::set_state(&run.work.client, row.id, MigrationState::Undoing, &who)).await?;
        failpoint::reach("state_changed");
    }
    let mut outcome = Outcome::default();
    let count = begun.iter().map(|begun| begun.jobs(row.id).len()).sum();
    run.begin_migration(plan, "undo", count).await?;
    for begun in begun.iter().rev() {
        match begun.take_back(run, row.id, &steps).await {
            Ok(executed) => outcome.steps += executed,
            Err(error) => return Err(run.end_badly(row.id, &row.name, "undo", error).await),
        }
    }
    for left in archive::left_by_undo(&run.work.client, &row.name).await? {
        run.log(&row.name, "undo_kept", &left).await?;
        run.tell(&Event::Note(format!("{left}; see `concertina archive list`")));
    }
    run.end_migration(row.id, &row.name, "undo", MigrationState::Undone, started).await?;
    outcome.moved.push(row.name.clone());
    Ok(outcome)
}

fn candidate<'r>(rows: &'r [MigrationRow], only: Option<&str>) -> Result<&'r MigrationRow, Error> {
    let refuse =
        |migration: &str, why: String| Err(Error::CannotUndo { migration: migration.to_owned(), why });
    if let Some(name) = only {
        return match rows.iter().find(|row| row.name == name) {
            None => refuse(name, "it has not run here".to_owned()),
            Some(row) if row.state == MigrationState::Undone => {
                refuse(name, "it has been taken back already; there is nothing to do".to_owned())
            }
            Some(row) => Ok(row),
        };
    }
    let candidates: Vec<&MigrationRow> = rows.iter().filter(|row| in_flight(row.state)).collect();
    match candidates.as_slice() {
        [row] => Ok(row),
        [] => refuse("anything", "no migration is in flight; name a finished one to take it back".to_owned()),
        several => {
            let names: Vec<&str> = several.iter().map(|row| row.name.as_str()).collect();
            refuse(
                "without a name",
                format!("several migrations are in flight: {}; name one", names.join(", ")),
            )
        }
    }
}

/// A step that was begun and is not undone.
struct Begun<'p> {
    migration: &'p str,
    ordinal: usize,
    step: &'p Step,
    /// Its effect is there.
    done: bool,
    /// It was not finished, but rows were written.
    touched: bool,
}

/// A step outside a transaction may have taken effect without its ledger row.
async fn is_done(run: &Run, step: &Step, row: &StepRow) -> Result<bool, Error> {
    match (&step.action, row.state) {
        (_, StepState::Done) => Ok(true),
        (Action::Alone { .. }, _) => probe::holds(&run.work.client, &step.probe).await,
        _ => Ok(false),
    }
}

fn touched(row: &StepRow) -> bool {
    row.state != StepState::Done && row.rows.is_some_and(|rows| rows > 0)
}

fn refuse_impossible(row: &MigrationRow, begun: &[Begun]) -> Result<(), Error> {
    let reasons: Vec<String> = begun
        .iter()
        .filter(|begun| begun.done || begun.touched)
        .filter_map(|begun| match &begun.step.undo {
            Undo::Impossible { why } => {
                Some(format!("step {} \"{}\": {why}", begun.ordinal + 1, begun.step.title))
            }
            Undo::Steps { .. } | Undo::Nothing => None,
        })
        .collect();
    if reasons.is_empty() {
        return Ok(());
    }
    Err(Error::CannotUndo {
        migration: row.name.clone(),
        why: format!(
            "{}. Nothing was changed; go forward, and write a migration that repairs",
            reasons.join("; ")
        ),
    })
}

/// What was removed from the archive cannot come back.
async fn refuse_purged(
    run: &Run,
    row: &MigrationRow,
    begun: &[Begun<'_>],
    steps: &[StepRow],
) -> Result<(), Error> {
    // What an interrupted undo has brought back is not in the archive any more either.
    let coming_back = |ordinal: usize| {
        steps.iter().any(|row| row.direction == Direction::Undo && row.ordinal == number(ordinal))
    };
    for begun in begun.iter().filter(|begun| begun.done && !coming_back(begun.ordinal)) {
        if let Some(missing) = archive::missing(&run.work.client, &begun.step.archived).await? {
            return Err(Error::CannotUndo {
                migration: row.name.clone(),
                why: format!(
                    "step {} \"{}\": {} was archived as {}, which is not there any more. Nothing was changed; go forward, and \
                     write a migration that repairs",
                    begun.ordinal + 1,
                    begun.step.title,
                    missing.of,
                    missing.name
                ),
            });
        }
    }
    Ok(())
}

/// What ran later and changed the same objects, or relies on them, must be taken back first. Merely to name a relation (a
/// GRANT on it, a comment) binds nobody.
fn refuse_built_upon(row: &MigrationRow, plan: &Plan, rows: &[MigrationRow]) -> Result<(), Error> {
    let later = rows.iter().filter(|other| {
        other.name != row.name && other.state != MigrationState::Undone && other.started_at > row.started_at
    });
    for other in later {
        let Some(theirs) = &other.plan else { continue };
        let binds = |claim: &&Claim| claim.write || claim.column.is_some();
        let stands: Vec<Claim> =
            theirs.steps.iter().flat_map(|step| &step.provides).flat_map(Effect::stands_on).collect();
        let later = || theirs.claims.iter().chain(&stands).filter(binds);
        let mut claims = plan.claims.iter().filter(binds);
        if let Some(claim) = claims.find(|claim| later().any(|their| claim.overlaps(their))) {
            return Err(Error::CannotUndo {
                migration: row.name.clone(),
                why: format!(
                    "{} ran after it and changes {} too; take that back first",
                    other.name, claim.relation
                ),
            });
        }
    }
    Ok(())
}

impl<'p> Begun<'p> {
    fn steps(&self) -> &'p [Step] {
        match &self.step.undo {
            Undo::Steps { steps, .. } if self.done || self.touched => steps,
            _ => &[],
        }
    }

    /// Those of its undo that are still to run, counted from the first that is not done.
    fn remaining(&self, migration: i64, rows: &[StepRow]) -> &'p [Step] {
        let done = |sub: usize| {
            let key = StepKey::undo(migration, number(self.ordinal), number(sub));
            executor::find(rows, key).is_some_and(|row| row.state == StepState::Done)
        };
        let steps = self.steps();
        &steps[(0..steps.len()).take_while(|sub| done(*sub)).count()..]
    }

    fn jobs(&self, migration: i64) -> Vec<Job<'p>> {
        self.steps()
            .iter()
            .enumerate()
            .map(|(sub, step)| Job {
                migration: self.migration,
                key: StepKey::undo(migration, number(self.ordinal), number(sub)),
                number: self.ordinal + 1,
                step,
                estimate: None,
            })
            .collect()
    }

    async fn take_back(&self, run: &mut Run, migration: i64, rows: &[StepRow]) -> Result<usize, Error> {
        self.tidy(run, migration).await?;
        // Tidying up after a DETACH … CONCURRENTLY ends it, so that there is something to take back.
        let done = self.done || matches!(self.step.action, Action::Alone { .. }) && self.holds(run).await?;
        let executed = executor::run(run, &Self { done, ..*self }.jobs(migration), rows).await?;
        let ordinal = number(self.ordinal);
        run.in_ledger(ledger::mark_undone(&run.work.client, migration, ordinal)).await?;
        Ok(executed)
    }

    async fn holds(&self, run: &Run) -> Result<bool, Error> {
        probe::holds(&run.work.client, &self.step.probe).await
    }

    /// Removes what an unfinished try of the step itself left behind.
    async fn tidy(&self, run: &Run, migration: i64) -> Result<(), Error> {
        if self.done {
            return Ok(());
        }
        match &self.step.action {
            Action::Alone { heal, .. } if alone::heals(&self.step.probe, heal.as_deref()) => {
                let key = StepKey {
                    direction: Direction::Forward,
                    ..StepKey::forward(migration, number(self.ordinal))
                };
                let (migration, number, step) = (self.migration, self.ordinal + 1, self.step);
                let job = Job { migration, key, number, step, estimate: None };
                alone::clean(run, &job, heal.as_deref(), Instant::now()).await
            }
            Action::Backfill(work) => match &work.walk {
                Walk::RowSet(row_set) => {
                    let sql = batch::row_set_drop(row_set);
                    run.in_ledger(async {
                        run.work
                            .client
                            .batch_execute(&sql)
                            .await
                            .doing("remove the row set of an unfinished backfill")
                    })
                    .await
                }
                Walk::Key { .. } | Walk::Pages { .. } => Ok(()),
            },
            _ => Ok(()),
        }
    }
}
