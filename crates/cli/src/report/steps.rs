//! The steps of a run in words: a table, then each with its SQL and what its time was spent on.

use maud::{Markup, html};

use super::{ms, seconds, seen, shell};
use crate::render::{count, time};
use crate::wire::{Action, Direction, Phase, ReportDocument, ReportSpan, ReportStep, Spent, StepState};

/// A row a step.
pub(crate) fn table(steps: &[ReportStep]) -> Markup {
    let head = [
        "step",
        "phase",
        "what",
        "state",
        "strongest locks",
        "took",
        "expected",
        "tries",
        "waited for locks",
        "others waited",
        "rows",
        "rows/s",
    ];
    let rows: Vec<Vec<String>> = steps.iter().map(row).collect();
    shell::table("What was planned, and what came of it", 5, &head, &rows)
}

fn row(step: &ReportStep) -> Vec<String> {
    let number = |number: Option<u64>| number.map(count).unwrap_or_default();
    let planned = match &step.action {
        Action::Backfill { estimated_rows, .. } => format!(" of about {}", count(*estimated_rows)),
        _ => String::new(),
    };
    vec![
        name(step),
        phase(step.phase).to_owned(),
        step.title.clone(),
        state(step.state).to_owned(),
        locks(step),
        step.worked_seconds.map(seconds).unwrap_or_default(),
        step.estimate.as_ref().map(|it| it.expected.words()).unwrap_or_default(),
        if step.attempts > 0 { step.attempts.to_string() } else { String::new() },
        lock_wait(step),
        if step.attempts > 0 { seen(step.victim_ms) } else { String::new() },
        step.rows.map(|rows| format!("{}{planned}", count(rows))).unwrap_or_default(),
        number(step.rows_per_second.map(|rate| rate.round() as u64)),
    ]
}

/// The ledger books a wait for locks from one millisecond on.
fn lock_wait(step: &ReportStep) -> String {
    match step.began_seconds {
        None => String::new(),
        Some(_) if step.lock_wait_ms <= 0.0 => "under 1 ms".to_owned(),
        Some(_) => ms(step.lock_wait_ms),
    }
}

/// `Step 3`, `Undo of step 3`
fn heading(step: &ReportStep) -> String {
    match step.direction {
        Direction::Forward => format!("Step {}", step.step),
        Direction::Undo => format!("Undo of step {}", step.step),
    }
}

/// `3`, `undo of 3`
fn name(step: &ReportStep) -> String {
    match step.direction {
        Direction::Forward => step.step.to_string(),
        Direction::Undo => format!("undo of {}", step.step),
    }
}

pub(crate) fn phase(phase: Phase) -> &'static str {
    phase.heading()
}

fn state(state: StepState) -> &'static str {
    match state {
        StepState::Pending => "not begun",
        // Whether somebody is at it just now, the ledger does not say.
        StepState::Running => "not finished",
        StepState::Done => "done",
        StepState::Failed => "failed",
        StepState::Undone => "taken back",
    }
}

/// `ACCESS EXCLUSIVE on public.orders`
pub(crate) fn locks(step: &ReportStep) -> String {
    let locks = step.locks.iter().map(|lock| format!("{} on {}", lock.mode, lock.relation));
    let locks: Vec<String> = locks.collect();
    if locks.is_empty() { "none".to_owned() } else { locks.join(", ") }
}

/// `done, took 1.2 s`
pub(crate) fn took(step: &ReportStep) -> String {
    match step.worked_seconds {
        Some(worked) => format!("{}, took {}", state(step.state), seconds(worked)),
        None => state(step.state).to_owned(),
    }
}

/// A section a step.
pub(crate) fn details(steps: &[ReportStep]) -> Markup {
    html! {
        @for step in steps {
            section {
                h3 { (heading(step)) ": " (step.title) }
                p { span.faint { "Why: " } (step.why) }
                p.faint { (took(step)) ". Locks: " (locks(step)) "." }
                @if let Some(error) = &step.error { p.bad { (error) } }
                (sql(&step.action))
                @let told: Vec<&ReportSpan> = step.spans.iter().filter(|span| tells(span.kind)).collect();
                @if !told.is_empty() {
                    ul { @for span in told { li { "after " (seconds(span.from_seconds)) ": " (words(span)) } } }
                }
            }
        }
    }
}

fn sql(action: &Action) -> Markup {
    let code = |sql: &str| html! { pre { code { (sql) } } };
    html! {
        @match action {
            Action::Transaction { sql } => { (code(&sql.join(";\n"))) }
            Action::Long { sql } => { (code(sql)) }
            Action::Alone { sql, .. } => { (code(sql)) }
            Action::Backfill { table, write, walk, .. } => {
                (code(&format!("{table}: {write}")))
                p.faint { "In batches, " (walk) "." }
            }
            Action::Proof { query, violation } => {
                (code(query))
                p.faint { "It must return nothing; a row would mean: " (violation) "." }
            }
        }
    }
}

/// Whether the stretch is worth a line; the others are in the chart.
fn tells(kind: Spent) -> bool {
    matches!(kind, Spent::Wait | Spent::GivenUp | Spent::Locks | Spent::Stall)
}

/// A stretch as a sentence.
pub(crate) fn words(span: &ReportSpan) -> String {
    let busy = ms(span.busy_ms);
    let times = if span.times > 1 { format!(", {} times", span.times) } else { String::new() };
    match span.kind {
        Spent::Run => format!("at work for {busy}"),
        Spent::Wait => format!("waited for {busy}{times}: {}", span.message),
        Spent::GivenUp => format!("tried for {busy}{times}, then gave way: {}", span.message),
        Spent::Locks => format!("held its locks for {busy}"),
        Spent::Stall => format!(
            "{} sessions waited because of it, {} together, {} at most",
            span.victims,
            ms(span.victim_ms),
            ms(span.worst_ms)
        ),
        Spent::Rows => format!("{} rows in {busy}", count(span.rows)),
    }
}

/// The event log.
pub(crate) fn events(report: &ReportDocument) -> Markup {
    let rows = report.events.iter().map(|it| {
        let event = &it.event;
        vec![time(&event.at), event.event.clone(), event.message.clone(), event.by.clone()]
    });
    shell::table(
        "From the ledger, oldest first",
        4,
        &["when", "event", "message", "by"],
        &rows.collect::<Vec<_>>(),
    )
}
