//! The page of a migration's run: figures, the timeline, then everything in words.

use maud::{Markup, html};

use super::axis::Axis;
use super::lanes;
use super::shell::{self, figures};
use super::timeline::{lanes_of, legend, runs};
use super::{ms, seconds, seen, steps};
use crate::render::{count, time};
use crate::wire::{Phase, ReportDocument, ReportSpan, ReportStep, Spent, State};

/// The whole file.
pub fn page(report: &ReportDocument) -> String {
    let body = html! {
        h1 { "Migration " (report.migration) }
        p {
            "It is " b { (state(report.state)) } " since " (time(&report.changed_at)) ". It began " (time(&report.started_at))
            ", and " (report.by) " ran it last."
            @if let Some(version) = &report.server_version { " PostgreSQL " (version) "." }
        }
        @if let Some(error) = &report.error { p.bad { "It stopped: " (error) } }
        @if let Some(command) = next(report) { p { "It goes on with " code { (command) } ", unless it is at work just now; back to the start goes " code { "concertina undo " (report.migration) } "." } }
        @if report.baseline {
            p { "It was recorded as applied, by " code { "baseline" } ", and never ran here: there are no steps to show." }
        } @else if report.steps.is_empty() {
            p { "It ran as written, by " code { "apply --simple" } ": there are no steps to show." }
        } @else {
            (figures(&summary(report)))
            (over_time(report))
            h2 { "Steps" }
            (steps::table(&report.steps))
            (steps::details(&report.steps))
        }
        h2 { "Events" }
        (steps::events(report))
    };
    shell::page(&format!("{}: Concertina report", report.migration), &body)
}

fn state(state: State) -> &'static str {
    match state {
        State::Pending => "pending",
        State::Expanding => "expanding",
        State::Expanded => "expanded",
        State::Switched => "switched",
        State::Contracting => "contracting",
        State::Done => "done",
        State::Undoing => "being undone",
        State::Undone => "undone",
    }
}

/// The command that goes on with a migration that has not come to the end of its phase.
fn next(report: &ReportDocument) -> Option<String> {
    let verb = match report.state {
        _ if report.simple => return None,
        State::Expanding => "expand",
        State::Contracting => "contract",
        State::Pending | State::Expanded | State::Switched | State::Done | State::Undoing | State::Undone => {
            return None;
        }
    };
    Some(format!("concertina {verb} {}", report.migration))
}

fn summary(report: &ReportDocument) -> Vec<(String, &'static str)> {
    let steps = &report.steps;
    let worst = steps.iter().map(|step| step.worst_victim_ms).fold(0.0, f64::max);
    let given_up: u32 = spans(steps, Spent::GivenUp).map(|span| span.times).sum();
    let waited: f64 = spans(steps, Spent::Wait).map(|span| span.busy_ms).sum();
    vec![
        (seconds(steps.iter().filter_map(|step| step.worked_seconds).sum()), "at work"),
        (count(steps.iter().filter_map(|step| step.rows).sum()), "rows written in batches"),
        (seen(steps.iter().map(|step| step.victim_ms).sum()), "others waited because of it, together"),
        (seen(worst), "longest wait of another session"),
        (count(u64::from(given_up)), "tries given up"),
        (if waited > 0.0 { ms(waited) } else { "not at all".to_owned() }, "it waited and held nothing"),
    ]
}

fn spans(steps: &[ReportStep], kind: Spent) -> impl Iterator<Item = &ReportSpan> {
    steps.iter().flat_map(|step| &step.spans).filter(move |span| span.kind == kind)
}

/// All steps, on an axis on which every one of them has room.
fn over_time(report: &ReportDocument) -> Markup {
    let axis = Axis::of(report.steps.iter().flat_map(runs));
    html! {
        h2 { "Timeline" }
        figure aria-label="Timeline of the steps; the table below holds the same" {
            (legend())
            (lanes::scale(&axis))
            (lanes_of(&axis, &report.steps))
            (lanes::scale(&axis))
        }
        p.faint {
            "Seconds count from the beginning of each stretch of work; long pauses are folded to a dashed line. Locks of long \
             steps and of batches, which keep no reader or writer of other rows waiting, are in the table only."
        }
    }
}

impl Phase {
    /// With a capital, for headings.
    pub(crate) fn heading(self) -> &'static str {
        match self {
            Phase::Expand => "Expand",
            Phase::Backfill => "Backfill",
            Phase::Validate => "Validate",
            Phase::Switch => "Switch",
            Phase::Contract => "Contract",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Action, Direction, Estimate, KeptEstimate, Lock, StepState};

    fn span(kind: Spent, from: f64, to: f64) -> ReportSpan {
        ReportSpan {
            kind,
            from_seconds: from,
            to_seconds: to,
            times: 1,
            busy_ms: (to - from) * 1e3,
            message: "pid 7 <idle>".to_owned(),
            victims: 2,
            victim_ms: 31.0,
            worst_ms: 20.0,
            rows: 500,
        }
    }

    fn report(spans: Vec<ReportSpan>) -> ReportDocument {
        let step = ReportStep {
            step: 3,
            direction: Direction::Forward,
            phase: Phase::Expand,
            title: "Add column \"<script>\"".to_owned(),
            why: "It was asked for.".to_owned(),
            statement: 1,
            action: Action::Transaction { sql: vec!["ALTER TABLE t ADD \"<script>\" int".to_owned()] },
            locks: vec![Lock {
                relation: "public.t".to_owned(),
                mode: "ACCESS EXCLUSIVE".to_owned(),
                blocks_reads: true,
                blocks_writes: true,
            }],
            state: StepState::Done,
            attempts: 2,
            began_seconds: Some(1.0),
            ended_seconds: Some(3.0),
            worked_seconds: Some(2.0),
            estimate: Some(KeptEstimate {
                expected: Estimate {
                    low_seconds: 4.0,
                    high_seconds: 300.0,
                    measured_steps: 2,
                    keeps_bytes: 1,
                    passing_bytes: 2,
                    wal_bytes: 3,
                },
                took_seconds: Some(2.0),
                waited_seconds: Some(0.0),
            }),
            rows: Some(500),
            rows_per_second: Some(250.0),
            lock_wait_ms: 3.0,
            victim_ms: 31.0,
            worst_victim_ms: 20.0,
            error: None,
            spans,
        };
        ReportDocument {
            migration: "0001_<a>".to_owned(),
            state: State::Done,
            simple: false,
            baseline: false,
            checksum: "00".to_owned(),
            started_at: "2026-11-21T10:30:00Z".to_owned(),
            changed_at: "2026-11-21T10:31:00Z".to_owned(),
            by: "me".to_owned(),
            error: None,
            server_version: Some("15.18".to_owned()),
            statements: vec!["ALTER TABLE t ADD \"<script>\" int".to_owned()],
            steps: vec![step],
            events: Vec::new(),
        }
    }

    #[test]
    fn what_happened_is_on_the_page_and_escaped() {
        let kinds = [Spent::Run, Spent::Wait, Spent::GivenUp, Spent::Locks, Spent::Stall, Spent::Rows];
        let page = page(&report(kinds.map(|kind| span(kind, 1.0, 3.0)).to_vec()));
        assert!(
            !page.contains("<script") && !page.contains("<idle>") && !page.contains("0001_<a>"),
            "{page}"
        );
        for part in [
            "0001_&lt;a&gt;",
            "ADD &quot;&lt;script&gt;&quot; int",
            "ACCESS EXCLUSIVE",
            "pid 7 &lt;idle&gt;",
            "class=\"all\"",
            "class=\"wait\"",
            "class=\"given-up\"",
            "class=\"chart\"",
            "250",
            "▼",
            "31 ms",
            "4 s to 5 min (as 2 earlier steps on this server)",
        ] {
            assert!(page.contains(part), "{part} in {page}");
        }
    }

    #[test]
    fn a_runner_that_was_killed_leaves_a_step_to_be_drawn() {
        let report = report(Vec::new());
        assert_eq!(runs(&report.steps[0]), [(1.0, 3.0)]);
        assert!(page(&report).contains("class=\"work\""));
    }

    #[test]
    fn without_steps_it_says_why() {
        let report = ReportDocument { steps: Vec::new(), simple: true, ..report(Vec::new()) };
        assert!(page(&report).contains("apply --simple"));
    }
}
