//! Expand, switch, contract and apply: which migrations, in which order, and how far.

use std::time::Instant;

use concertina_plan::diagnostic::{Code, Diagnostic};
use concertina_plan::plan::{Blocks, Overlap, Phase, Plan, Step};

use crate::engine::{Confirm, Engine, Outcome, in_flight};
use crate::error::Error;
use crate::event::Event;
use crate::executor::{self, Job, Run};
use crate::ledger::{self, MigrationRow, NewMigration, StepKey, StepRow};
use crate::outlook::{self, Outlook};
use crate::state::{MigrationFile, MigrationState, StepState};
use crate::{dependents, failpoint, files, quarantine, rights};

pub(crate) async fn expand(
    engine: &Engine,
    run: &mut Run,
    given: &[MigrationFile],
    only: Option<&str>,
) -> Result<Outcome, Error> {
    let mut outcome = Outcome::default();
    for name in names(run, given, only).await? {
        expand_one(engine, run, given, &name, &mut outcome).await?;
    }
    Ok(outcome)
}

pub(crate) async fn switch(
    run: &mut Run,
    given: &[MigrationFile],
    only: Option<&str>,
) -> Result<Outcome, Error> {
    let mut outcome = Outcome::default();
    for name in begun(run, only).await? {
        let row = expanded(run, given, &name).await?;
        switch_one(run, &row, &mut outcome).await?;
    }
    Ok(outcome)
}

pub(crate) async fn contract(
    run: &mut Run,
    given: &[MigrationFile],
    only: Option<&str>,
    confirm: Confirm,
) -> Result<Outcome, Error> {
    let mut outcome = Outcome::default();
    for name in begun(run, only).await? {
        let row = expanded(run, given, &name).await?;
        contract_one(run, &row, confirm, &mut outcome).await?;
    }
    Ok(outcome)
}

async fn begun(run: &Run, only: Option<&str>) -> Result<Vec<String>, Error> {
    match only {
        Some(name) => Ok(vec![name.to_owned()]),
        None => Ok(ledger::migrations(&run.work.client).await?.into_iter().map(|row| row.name).collect()),
    }
}

async fn expanded(run: &Run, given: &[MigrationFile], name: &str) -> Result<MigrationRow, Error> {
    let Some(row) = ledger::migration(&run.work.client, name).await? else {
        return Err(Error::File {
            message: format!("migration {name} has not been expanded; run `concertina expand` first"),
        });
    };
    unchanged(given, &row)?;
    Ok(row)
}

pub(crate) async fn apply(
    engine: &Engine,
    run: &mut Run,
    given: &[MigrationFile],
    confirm: Confirm,
) -> Result<Outcome, Error> {
    let mut outcome = Outcome::default();
    for name in names(run, given, None).await? {
        expand_one(engine, run, given, &name, &mut outcome).await?;
        let Some(row) = ledger::migration(&run.work.client, &name).await? else { continue };
        outcome.waiting.retain(|(waiting, _)| *waiting != name);
        switch_one(run, &row, &mut outcome).await?;
        outcome.waiting.retain(|(waiting, _)| *waiting != name);
        contract_one(run, &row, confirm, &mut outcome).await?;
    }
    Ok(outcome)
}

/// The migrations to look at, in order, after comparing the files with the ledger.
async fn names(run: &Run, given: &[MigrationFile], only: Option<&str>) -> Result<Vec<String>, Error> {
    let rows = ledger::migrations(&run.work.client).await?;
    let in_order = files::in_order(given, &rows, run.settings.allow_out_of_order)?;
    let names: Vec<String> = in_order.into_iter().map(|(file, _)| file.name.clone()).collect();
    match only {
        None => Ok(names),
        Some(only) if names.iter().any(|name| name == only) => Ok(vec![only.to_owned()]),
        Some(only) => Err(Error::File { message: format!("there is no migration file {only}.sql") }),
    }
}

/// A file whose migration began must be what was planned.
fn unchanged(given: &[MigrationFile], row: &MigrationRow) -> Result<(), Error> {
    match given.iter().find(|file| file.name == row.name) {
        Some(file) if row.state != MigrationState::Undone => files::as_recorded(&[file], row),
        _ => Ok(()),
    }
}

async fn expand_one(
    engine: &Engine,
    run: &mut Run,
    given: &[MigrationFile],
    name: &str,
    outcome: &mut Outcome,
) -> Result<(), Error> {
    let rows = ledger::migrations(&run.work.client).await?;
    let row = rows.iter().find(|row| row.name == name);
    match row.map(|row| row.state) {
        None | Some(MigrationState::Undone | MigrationState::Pending) => {}
        Some(MigrationState::Expanding) => {}
        Some(MigrationState::Expanded) => {
            let waits = match row {
                Some(MigrationRow { id, plan: Some(plan), .. })
                    if !open_switch(run, *id, plan).await?.is_empty() =>
                {
                    WAITS_FOR_SWITCH
                }
                _ => WAITS_FOR_CONTRACT,
            };
            outcome.waiting.push((name.to_owned(), waits.to_owned()));
            return Ok(());
        }
        Some(MigrationState::Switched | MigrationState::Contracting | MigrationState::Done) => return Ok(()),
        Some(MigrationState::Undoing) => {
            return Err(Error::File {
                message: format!(
                    "migration {name} is being taken back; finish that with `concertina undo {name}`"
                ),
            });
        }
    }
    let (id, plan, outlook) = match row {
        Some(MigrationRow { id, plan: Some(plan), state: MigrationState::Expanding, .. }) => {
            rights::require(&run.work, &run.settings, plan, Phase::Expand).await?;
            let steps = ledger::steps(&run.work.client, *id).await?;
            let left = left(plan, &steps, *id, before_switch);
            (*id, plan.clone(), outlook::require(run, plan, left).await?)
        }
        Some(MigrationRow { simple: true, state: MigrationState::Expanding, .. }) => {
            return Err(Error::File {
                message: format!("migration {name} was begun by `apply --simple`; finish it with that"),
            });
        }
        _ => {
            let Some(file) = given.iter().find(|file| file.name == name) else { return Ok(()) };
            let plan = engine.compile(&run.work, &rows, file).await?;
            refuse_overlap(&plan, &rows, file)?;
            rights::require(&run.work, &run.settings, &plan, Phase::Expand).await?;
            let outlook = outlook::require(run, &plan, left(&plan, &[], 0, before_switch)).await?;
            let who = run.work.who.clone();
            let id = run
                .in_ledger(async {
                    let client = &run.work.client;
                    let id = ledger::insert_migration(client, NewMigration::planned(&plan), &who).await?;
                    let overtaken_by = files::overtaken_by(name, &rows);
                    ledger::out_of_order(client, name, overtaken_by, &who).await?;
                    Ok(id)
                })
                .await?;
            failpoint::reach("plan_stored");
            (id, plan, outlook)
        }
    };
    let ends = if plan.steps.iter().any(|step| step.phase >= Phase::Switch) {
        MigrationState::Expanded
    } else {
        MigrationState::Done
    };
    let went = Leg { id, plan: &plan, command: "expand", phases: before_switch, ends, outlook };
    went.run(run, outcome).await?;
    if ends == MigrationState::Expanded {
        let switches = plan.steps.iter().any(|step| step.phase == Phase::Switch);
        let waits = if switches { WAITS_FOR_SWITCH } else { WAITS_FOR_CONTRACT };
        outcome.waiting.push((name.to_owned(), waits.to_owned()));
    }
    Ok(())
}

const WAITS_FOR_SWITCH: &str = "old code works as before; switch it (`concertina switch`) once all code that runs can do with the new type";

const WAITS_FOR_CONTRACT: &str = "old and new code both work; contract it once no old code runs any more";

/// Steps of the switch that are not done.
async fn open_switch(run: &Run, id: i64, plan: &Plan) -> Result<Vec<usize>, Error> {
    let steps = ledger::steps(&run.work.client, id).await?;
    Ok(left(plan, &steps, id, switching))
}

/// The ledger calls it expanded before and after: which of its steps are done says the rest.
async fn switch_one(run: &mut Run, row: &MigrationRow, outcome: &mut Outcome) -> Result<(), Error> {
    let name = row.name.clone();
    let Some(plan) =
        row.plan.as_ref().filter(|plan| plan.steps.iter().any(|step| step.phase == Phase::Switch))
    else {
        return Ok(());
    };
    if !is_expanded(row, outcome) || row.state == MigrationState::Contracting {
        return Ok(());
    }
    let open = open_switch(run, row.id, plan).await?;
    if !open.is_empty() {
        rights::require(&run.work, &run.settings, plan, Phase::Switch).await?;
        let steps = open.iter().filter_map(|ordinal| plan.steps.get(*ordinal));
        dependents::refuse(&run.work.client, &name, "switch", steps).await?;
        quarantine::refuse(&run.work.client, row, "switch", Blocks::Switch).await?;
        let outlook = outlook::require(run, plan, open).await?;
        let ends = MigrationState::Expanded;
        let went = Leg { id: row.id, plan, command: "switch", phases: switching, ends, outlook };
        went.run(run, outcome).await?;
    }
    outcome.waiting.push((name, WAITS_FOR_CONTRACT.to_owned()));
    Ok(())
}

/// Whether it is expanded at least, and neither finished nor taken back. What is not waits for another command, which is said.
fn is_expanded(row: &MigrationRow, outcome: &mut Outcome) -> bool {
    let waits = match row.state {
        MigrationState::Expanded | MigrationState::Switched | MigrationState::Contracting => return true,
        MigrationState::Expanding => "its expand is not finished; run `concertina expand`",
        MigrationState::Undoing => "it is being taken back; run `concertina undo`",
        MigrationState::Pending | MigrationState::Done | MigrationState::Undone => return false,
    };
    outcome.waiting.push((row.name.clone(), waits.to_owned()));
    false
}

async fn contract_one(
    run: &mut Run,
    row: &MigrationRow,
    confirm: Confirm,
    outcome: &mut Outcome,
) -> Result<(), Error> {
    let name = row.name.clone();
    if !is_expanded(row, outcome) {
        return Ok(());
    }
    let Some(plan) = &row.plan else { return Ok(()) };
    let steps = ledger::steps(&run.work.client, row.id).await?;
    if !left(plan, &steps, row.id, switching).is_empty() {
        outcome.waiting.push((name, WAITS_FOR_SWITCH.to_owned()));
        return Ok(());
    }
    if !confirm.destroy {
        let destroys: Vec<String> = plan
            .steps
            .iter()
            .enumerate()
            .filter(|(ordinal, step)| step.destroys && !is_done(&steps, row.id, *ordinal))
            .map(|(_, step)| step.title.clone())
            .collect();
        if !destroys.is_empty() {
            return Err(Error::NotConfirmed { migration: name, what: destroys.join("; ") });
        }
    }
    rights::require(&run.work, &run.settings, plan, Phase::Contract).await?;
    let open = plan
        .steps
        .iter()
        .enumerate()
        .filter(|(ordinal, step)| step.phase == Phase::Contract && !is_done(&steps, row.id, *ordinal));
    dependents::refuse(&run.work.client, &name, "contract", open.map(|(_, step)| step)).await?;
    quarantine::refuse(&run.work.client, row, "contract", Blocks::Contract).await?;
    let outlook = outlook::require(run, plan, left(plan, &steps, row.id, contracting)).await?;
    if row.state == MigrationState::Expanded {
        let who = run.work.who.clone();
        let state = MigrationState::Contracting;
        run.in_ledger(ledger::set_state(&run.work.client, row.id, state, &who)).await?;
        failpoint::reach("state_changed");
    }
    let ends = MigrationState::Done;
    let went = Leg { id: row.id, plan, command: "contract", phases: contracting, ends, outlook };
    went.run(run, outcome).await
}

fn is_done(rows: &[StepRow], migration: i64, ordinal: usize) -> bool {
    let key = StepKey::forward(migration, number(ordinal));
    executor::find(rows, key).is_some_and(|row| row.state == StepState::Done)
}

fn before_switch(phase: Phase) -> bool {
    phase < Phase::Switch
}

fn switching(phase: Phase) -> bool {
    phase == Phase::Switch
}

fn contracting(phase: Phase) -> bool {
    phase == Phase::Contract
}

/// Steps of these phases that are not done.
pub(crate) fn left(plan: &Plan, rows: &[StepRow], migration: i64, phases: fn(Phase) -> bool) -> Vec<usize> {
    let open = |(ordinal, step): &(usize, &Step)| phases(step.phase) && !is_done(rows, migration, *ordinal);
    plan.steps.iter().enumerate().filter(open).map(|(ordinal, _)| ordinal).collect()
}

pub(crate) fn number(ordinal: usize) -> i32 {
    i32::try_from(ordinal).unwrap_or(i32::MAX)
}

/// One command's part of a plan.
struct Leg<'p> {
    id: i64,
    plan: &'p Plan,
    command: &'static str,
    phases: fn(Phase) -> bool,
    ends: MigrationState,
    outlook: Outlook,
}

impl Leg<'_> {
    async fn run(&self, run: &mut Run, outcome: &mut Outcome) -> Result<(), Error> {
        let started = Instant::now();
        let rows = ledger::steps(&run.work.client, self.id).await?;
        let jobs: Vec<Job> = self
            .plan
            .steps
            .iter()
            .enumerate()
            .filter(|(ordinal, step)| (self.phases)(step.phase) && !is_done(&rows, self.id, *ordinal))
            .map(|(ordinal, step)| Job {
                migration: &self.plan.migration,
                key: StepKey::forward(self.id, number(ordinal)),
                number: ordinal + 1,
                step,
                estimate: self.outlook.steps.get(ordinal),
            })
            .collect();
        let estimates: Vec<_> =
            jobs.iter().filter_map(|job| Some((job.key.ordinal, job.estimate?))).collect();
        run.in_ledger(ledger::add_estimates(&run.work.client, self.id, &estimates)).await?;
        let migration = self.plan.migration.clone();
        run.begin_migration(self.plan, self.command, jobs.len()).await?;
        match executor::run(run, &jobs, &rows).await {
            Ok(executed) => outcome.steps += executed,
            Err(error) => return Err(run.end_badly(self.id, &migration, self.command, error).await),
        }
        run.end_migration(self.id, &migration, self.command, self.ends, started).await?;
        outcome.moved.push(migration);
        Ok(())
    }
}

/// Another migration in flight claims what this one changes, or the other way round.
fn refuse_overlap(plan: &Plan, rows: &[MigrationRow], file: &MigrationFile) -> Result<(), Error> {
    let Some((other, overlap)) = first_overlap(plan, rows) else { return Ok(()) };
    let statement = plan.statements.get(overlap.own.statement).map(|statement| statement.sql.as_str());
    let sql = statement.unwrap_or_default();
    let start = file.text.find(sql).unwrap_or_default();
    Err(Error::Refused {
        migration: file.name.clone(),
        diagnostics: vec![Diagnostic {
            code: Code::Overlap,
            span: start..start + sql.len(),
            message: format!(
                "{} is claimed by migration {}, which is in flight: its step \"{}\" ({}) and \"{}\" of this one ({}) must not \
                 come between each other",
                overlap.claim.object(),
                other.name,
                overlap.theirs.title,
                overlap.theirs.phase.as_str(),
                overlap.own.title,
                overlap.own.phase.as_str(),
            ),
            help: format!("it can run {}", earliest(other)),
            kind: None,
        }],
        text: file.text.clone(),
    })
}

/// The first migration in flight that stands in the plan's way.
pub(crate) fn first_overlap<'p>(
    plan: &'p Plan,
    rows: &'p [MigrationRow],
) -> Option<(&'p MigrationRow, Overlap<'p>)> {
    let others = rows.iter().filter(|row| in_flight(row.state) && row.name != plan.migration);
    others
        .filter_map(|row| row.plan.as_ref().map(|theirs| (row, theirs)))
        .find_map(|(row, theirs)| plan.overlap(theirs).map(|overlap| (row, overlap)))
}

/// What the planner says of "a migration in flight" it says without knowing which there are.
pub(crate) fn name_in_flight(diagnostics: &mut [Diagnostic], rows: &[MigrationRow]) {
    let moments: Vec<String> = rows.iter().filter(|row| in_flight(row.state)).map(earliest).collect();
    for diagnostic in diagnostics.iter_mut().filter(|diagnostic| diagnostic.code == Code::Overlap) {
        diagnostic.help = format!("it can run {}", moments.join(", or "));
    }
}

/// The earliest moment after which a migration in flight claims nothing any more.
pub(crate) fn earliest(other: &MigrationRow) -> String {
    let name = &other.name;
    match other.state {
        MigrationState::Undoing => format!("after undo of {name} (`concertina undo {name}`)"),
        MigrationState::Expanding => format!(
            "after contract of {name} (`concertina expand {name}`, then `concertina contract {name}`), or after it is taken back \
             (`concertina undo {name}`)"
        ),
        _ => format!(
            "after contract of {name} (`concertina contract {name}`), or after it is taken back (`concertina undo {name}`)"
        ),
    }
}

impl Run {
    /// A migration's command begins: its search_path, its stall account, its events.
    pub(crate) async fn begin_migration(
        &mut self,
        plan: &Plan,
        command: &'static str,
        steps: usize,
    ) -> Result<(), Error> {
        self.use_search_path(plan).await?;
        self.stalled = std::time::Duration::ZERO;
        self.tell(&Event::MigrationStarted { migration: plan.migration.clone(), command, steps });
        self.log(&plan.migration, &format!("{command}_started"), &format!("{steps} steps to run")).await
    }

    /// It ends well.
    pub(crate) async fn end_migration(
        &mut self,
        id: i64,
        migration: &str,
        command: &str,
        state: MigrationState,
        started: Instant,
    ) -> Result<(), Error> {
        let (client, who, took) = (&self.work.client, &self.work.who, started.elapsed());
        let message = format!("took {}", crate::obstacle::seconds(took));
        self.in_ledger(async {
            ledger::set_state(client, id, state, who).await?;
            if !in_flight(state) {
                quarantine::forget(client, migration).await?;
            }
            let kind = format!("{command}_done");
            ledger::event(client, Some(migration), &kind, &message, None, who).await
        })
        .await?;
        failpoint::reach("state_changed");
        self.tell(&Event::MigrationDone { migration: migration.to_owned(), took });
        Ok(())
    }

    /// It stops with an error, which is written down if that is still possible.
    pub(crate) async fn end_badly(&self, id: i64, migration: &str, command: &str, error: Error) -> Error {
        if matches!(error, Error::Fenced | Error::Connection { .. }) {
            return error;
        }
        let (client, who, text) = (&self.work.client, &self.work.who, error.to_string());
        let interrupted = matches!(error, Error::Interrupted);
        let noted = self
            .in_ledger(async {
                ledger::set_error(client, id, (!interrupted).then_some(text.as_str())).await?;
                let kind = format!("{command}_stopped");
                ledger::event(client, Some(migration), &kind, &text, None, who).await
            })
            .await;
        if let Err(unwritten) = noted {
            tracing::warn!(%unwritten, "the end of a command could not be written down");
        }
        error
    }

    /// Appends to the event log.
    pub(crate) async fn log(&self, migration: &str, kind: &str, message: &str) -> Result<(), Error> {
        ledger::event(&self.work.client, Some(migration), kind, message, None, &self.work.who).await
    }
}
