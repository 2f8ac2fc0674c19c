//! What the ledger and the files say together.

use std::collections::BTreeMap;

use concertina_plan::Source;
use concertina_plan::diagnostic::Code;
use concertina_plan::effect::fold;
use concertina_plan::plan::{Blocks, Counted, Phase, Plan};

use crate::connect::Session;
use crate::engine::{self, Engine, in_flight};
use crate::error::{Doing, Error};
use crate::executor;
use crate::forward::{earliest, first_overlap, name_in_flight, number};
use crate::ledger::{self, EstimateRow, MigrationRow, StepKey, StepRow};
use crate::quarantine::{self, Summary};
use crate::state::{DoubleWrites, MigrationFile, MigrationState, MigrationStatus, StepState, StepStatus};

pub(crate) async fn status(
    engine: &Engine,
    session: &Session,
    rows: Vec<MigrationRow>,
    files: &[MigrationFile],
) -> Result<Vec<MigrationStatus>, Error> {
    let mut all = Vec::new();
    let unknown: Vec<&MigrationFile> =
        files.iter().filter(|file| !rows.iter().any(|row| row.name == file.name)).collect();
    let mut waiting = waiting(engine, session, &rows, &unknown).await?;
    for file in unknown {
        let mut pending = pending(file);
        pending.blocked_by.extend(waiting.remove(&file.name));
        all.push(pending);
    }
    for row in rows {
        let steps = ledger::steps(&session.client, row.id).await?;
        let estimates = ledger::estimates(&session.client, row.id).await?;
        let double_writes = double_writes(session, &row).await?;
        let waiting = quarantine::summaries(&quarantine::open(&session.client, &row).await?);
        let mut status =
            MigrationStatus { double_writes, quarantine: waiting, ..begun(row, &steps, &estimates) };
        let blocks = status.quarantine.iter().filter_map(in_quarantine).collect::<Vec<_>>();
        status.blocked_by.splice(0..0, blocks);
        all.push(status);
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

/// Pending migrations, by name, that one in flight makes wait, in words. Later files are planned as if the earlier ones had
/// run, up to the first that cannot be planned.
async fn waiting(
    engine: &Engine,
    session: &Session,
    rows: &[MigrationRow],
    files: &[&MigrationFile],
) -> Result<BTreeMap<String, String>, Error> {
    let mut waiting = BTreeMap::new();
    if files.is_empty() || !rows.iter().any(|row| in_flight(row.state)) {
        return Ok(waiting);
    }
    let (mut physical, mut logical) = engine::catalogs(session, rows).await?;
    for file in files {
        let source = Source { name: &file.name, text: &file.text };
        let plan = match concertina_plan::plan(source, &logical, &physical, &engine.policy) {
            Ok(plan) => plan,
            Err(mut diagnostics) => {
                name_in_flight(&mut diagnostics, rows);
                let overlap = diagnostics.into_iter().find(|diagnostic| diagnostic.code == Code::Overlap);
                let why = overlap.map(|overlap| format!("{}; {}", overlap.message, overlap.help));
                waiting.extend(why.map(|why| (file.name.clone(), why)));
                break;
            }
        };
        if let Some((other, overlap)) = first_overlap(&plan, rows) {
            let why = format!(
                "{} is claimed by {} (\"{}\"); it can run {}",
                overlap.claim.object(),
                other.name,
                overlap.theirs.title,
                earliest(other)
            );
            waiting.insert(file.name.clone(), why);
        }
        let effects = || plan.steps.iter().flat_map(|step| &step.provides);
        (physical, logical) = (fold(&physical, effects()), fold(&logical, effects()));
    }
    Ok(waiting)
}

fn pending(file: &MigrationFile) -> MigrationStatus {
    MigrationStatus {
        name: file.name.clone(),
        state: MigrationState::Pending,
        simple: false,
        baseline: false,
        checksum: None,
        started_at: None,
        changed_at: None,
        by: None,
        steps: Vec::new(),
        error: None,
        blocked_by: Vec::new(),
        claims: Vec::new(),
        double_writes: Vec::new(),
        quarantine: Vec::new(),
        plan: None,
    }
}

fn begun(row: MigrationRow, rows: &[StepRow], estimates: &[EstimateRow]) -> MigrationStatus {
    let steps = row.plan.as_ref().map(|plan| steps(row.id, plan, rows, estimates)).unwrap_or_default();
    let baseline = row.is_baseline();
    MigrationStatus {
        claims: row
            .plan
            .as_ref()
            .filter(|_| in_flight(row.state))
            .map(|plan| plan.claims.clone())
            .unwrap_or_default(),
        blocked_by: row.plan.as_ref().map(|plan| blocked_by(row.state, plan, &steps)).unwrap_or_default(),
        double_writes: Vec::new(),
        quarantine: Vec::new(),
        name: row.name,
        state: if row.state == MigrationState::Expanded && is_switched(&steps) {
            MigrationState::Switched
        } else {
            row.state
        },
        simple: row.simple,
        baseline,
        checksum: (!row.checksum.is_empty()).then_some(row.checksum),
        started_at: Some(row.started_at),
        changed_at: Some(row.changed_at),
        by: Some(row.by),
        steps,
        error: row.error,
        plan: row.plan,
    }
}

/// What the plan's counters say; those that are not there yet, or no more, say nothing.
async fn double_writes(session: &Session, row: &MigrationRow) -> Result<Vec<DoubleWrites>, Error> {
    let counted: Vec<&Counted> = match &row.plan {
        Some(plan) if in_flight(row.state) => plan.steps.iter().filter_map(|s| s.counts.as_ref()).collect(),
        _ => return Ok(Vec::new()),
    };
    let sequences: Vec<String> = counted.iter().map(|counted| counted.sequence.to_string()).collect();
    let sql = "SELECT CASE WHEN pg_catalog.has_sequence_privilege(s.oid, 'SELECT') \
               THEN coalesce(pg_catalog.pg_sequence_last_value(s.oid), 0) END AS count \
               FROM unnest($1::text[]) WITH ORDINALITY AS n (name, place) \
               CROSS JOIN pg_catalog.to_regclass(n.name) AS s (oid) ORDER BY n.place";
    let counts = session
        .client
        .query(sql, &[&sequences])
        .await
        .doing("read how often two columns were given different values")?;
    let known = counted.iter().zip(&counts).filter_map(|(counted, row)| {
        Some(DoubleWrites {
            table: counted.table.to_string(),
            old: counted.old.as_str().to_owned(),
            new: counted.new.as_str().to_owned(),
            count: u64::try_from(row.get::<_, Option<i64>>(0)?).ok()?,
        })
    });
    Ok(known.collect())
}

fn steps(id: i64, plan: &Plan, rows: &[StepRow], estimates: &[EstimateRow]) -> Vec<StepStatus> {
    plan.steps
        .iter()
        .enumerate()
        .map(|(ordinal, step)| {
            let row = executor::find(rows, StepKey::forward(id, number(ordinal)));
            StepStatus {
                step: ordinal + 1,
                phase: step.phase,
                title: step.title.clone(),
                state: row.map_or(StepState::Pending, |row| row.state),
                attempts: row.and_then(|row| u32::try_from(row.attempts).ok()).unwrap_or_default(),
                rows: row.and_then(|row| row.rows).and_then(|rows| u64::try_from(rows).ok()),
                seconds: row.map(|row| row.seconds),
                victim_ms: row.map(|row| row.victim_ms).unwrap_or_default(),
                estimate: estimates.iter().find(|estimate| estimate.ordinal == number(ordinal)).copied(),
                error: row.and_then(|row| row.error.clone()),
            }
        })
        .collect()
}

/// What rows in quarantine stand in the way of, going forward.
fn in_quarantine(summary: &Summary) -> Option<String> {
    let command = match summary.blocks {
        Blocks::Switch => "the switch",
        Blocks::Contract => "contract",
        Blocks::Undo => return None,
    };
    let rows = if summary.rows == 1 { "1 row".to_owned() } else { format!("{} rows", summary.rows) };
    Some(format!(
        "{command} waits for {rows} of {} in quarantine, which have no value of {} (`concertina quarantine list`)",
        summary.table, summary.column
    ))
}

fn is_switched(steps: &[StepStatus]) -> bool {
    let mut switch = steps.iter().filter(|step| step.phase == Phase::Switch).peekable();
    switch.peek().is_some() && switch.all(|step| step.state == StepState::Done)
}

fn blocked_by(state: MigrationState, plan: &Plan, steps: &[StepStatus]) -> Vec<String> {
    if !matches!(state, MigrationState::Expanded | MigrationState::Switched | MigrationState::Contracting) {
        return Vec::new();
    }
    let switch = steps.iter().any(|step| step.phase == Phase::Switch && step.state != StepState::Done);
    let waits = switch.then(|| "contract waits for the switch (`concertina switch`)".to_owned());
    let open = plan.steps.iter().zip(steps).filter(|(step, status)| {
        step.phase >= Phase::Switch && step.destroys && status.state != StepState::Done
    });
    let removes = open.map(|(step, _)| format!("contract removes data ({}) and asks for --yes", step.title));
    waits.into_iter().chain(removes).collect()
}
