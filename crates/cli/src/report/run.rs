//! The page of a migration's run: figures, the timeline, then everything in words.

use maud::{Markup, html};

use super::axis::Axis;
use super::lanes::{self, Look, ROW};
use super::shell::{self, figures};
use super::{ms, seconds, seen, steps};
use crate::render::{count, time};
use crate::wire::{Direction, Phase, ReportDocument, ReportSpan, ReportStep, Spent, State};

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
        @if report.baseline {
            p { "It was recorded as applied, by " code { "baseline" } ", and never ran here: there are no steps to show." }
        } @else if report.steps.is_empty() {
            p { "It ran as written, by " code { "apply --simple" } ": there are no steps to show." }
        } @else {
            (figures(&summary(report)))
            (timeline(report))
            h2 { "Steps" }
            (steps::table(report))
            (steps::details(report))
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
        State::Contracting => "contracting",
        State::Done => "done",
        State::Undoing => "being undone",
        State::Undone => "undone",
    }
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
        (ms(waited), "it waited and held nothing"),
    ]
}

fn spans(steps: &[ReportStep], kind: Spent) -> impl Iterator<Item = &ReportSpan> {
    steps.iter().flat_map(|step| &step.spans).filter(move |span| span.kind == kind)
}

/// Runs of a step; one that was killed left none, and is drawn from its beginning to its end.
fn runs(step: &ReportStep) -> Vec<(f64, f64)> {
    let runs = step.spans.iter().filter(|span| span.kind == Spent::Run);
    let runs: Vec<(f64, f64)> = runs.map(|span| (span.from_seconds, span.to_seconds)).collect();
    match step.began_seconds {
        Some(began) if runs.is_empty() => vec![(began, step.ended_seconds.unwrap_or(began))],
        _ => runs,
    }
}

fn timeline(report: &ReportDocument) -> Markup {
    let axis = Axis::of(report.steps.iter().flat_map(runs));
    let mut last = None;
    html! {
        h2 { "Timeline" }
        figure aria-label="Timeline of the steps; the table below holds the same" {
            (legend())
            (lanes::scale(&axis))
            @for step in &report.steps {
                @if last.replace((step.direction, step.phase)) != Some((step.direction, step.phase)) {
                    div.phase { (phase(step)) }
                }
                (lane(&axis, step))
            }
            (lanes::scale(&axis))
        }
        p.faint {
            "Seconds count from the beginning of each stretch of work; long pauses are folded to a dashed line. Locks of long \
             steps and of batches, which keep no reader or writer of other rows waiting, are in the table only."
        }
    }
}

/// `Expand`, `Undo of contract`
fn phase(step: &ReportStep) -> String {
    let name = steps::phase(step.phase);
    match step.direction {
        Direction::Forward => name.to_owned(),
        Direction::Undo => format!("Undo ({name})"),
    }
}

fn lane(axis: &Axis, step: &ReportStep) -> Markup {
    let name = html! { b { (step.step) } " " (step.title) };
    let all = || step.spans.iter();
    let of = |kind: Spent| all().filter(move |span| span.kind == kind);
    let look = Look::lock(
        step.locks.iter().any(|lock| lock.blocks_reads),
        step.locks.iter().any(|lock| lock.blocks_writes),
    );
    let locks = steps::locks(step);
    let chart = html! {
        (lanes::grid(axis, ROW))
        @for (from, to) in runs(step) {
            (lanes::stretch(axis, from, to, Look::Work, &format!("at work for {}", seconds(to - from))))
        }
        @for span in of(Spent::Wait) { (lanes::stretch(axis, span.from_seconds, span.to_seconds, Look::Wait, &steps::words(span))) }
        @for span in of(Spent::GivenUp) {
            (lanes::stretch(axis, span.from_seconds, span.to_seconds, Look::GivenUp, &steps::words(span)))
        }
        @for span in of(Spent::Locks) {
            (lanes::stretch(axis, span.from_seconds, span.to_seconds, look, &format!("{locks}, held for {}", ms(span.busy_ms))))
        }
        @for span in of(Spent::Stall) { (lanes::stall(axis, span.from_seconds, &steps::words(span))) }
    };
    let words = format!("step {}, {}: {}", step.step, step.title, steps::took(step));
    html! {
        (lanes::lane(&name, &words, ROW, &chart))
        @if step.rows.is_some() && of(Spent::Rows).next().is_some() { (rate(axis, step)) }
    }
}

/// Rows a second over time, as columns.
fn rate(axis: &Axis, step: &ReportStep) -> Markup {
    const HEIGHT: f64 = 44.0;
    let samples: Vec<(&ReportSpan, f64)> = step
        .spans
        .iter()
        .filter(|span| span.kind == Spent::Rows && span.to_seconds > span.from_seconds)
        .map(|span| (span, span.rows as f64 / (span.to_seconds - span.from_seconds)))
        .collect();
    let peak = samples.iter().map(|(_, rate)| *rate).fold(0.0, f64::max);
    let peak_words = format!("rows a second, at most {}", count(peak.round() as u64));
    let chart = html! {
        (lanes::grid(axis, HEIGHT))
        @for (span, rate) in &samples {
            @let height = if peak > 0.0 { HEIGHT * rate / peak } else { 0.0 };
            @let (left, right) = (axis.at(span.from_seconds), axis.at(span.to_seconds));
            rect.chart x=(lanes::per_cent(left)) width=(lanes::per_cent(right - left))
                y=(format!("{:.1}", HEIGHT - height)) height=(format!("{height:.1}")) {
                title { (count(rate.round() as u64)) " rows/s" }
            }
        }
    };
    lanes::lane(&html! { span.faint { (peak_words) } }, &peak_words, HEIGHT, &chart)
}

/// What the shapes mean.
pub(crate) fn legend() -> Markup {
    let axis = Axis::plain(1.0);
    let looks = [
        (Look::Work, "at work"),
        (Look::Wait, "waits, and holds nothing"),
        (Look::GivenUp, "try given up"),
        (Look::BlocksAll, "lock that blocks reads and writes"),
        (Look::BlocksWrites, "lock that blocks writes"),
        (Look::BlocksNeither, "lock that blocks neither"),
    ];
    html! {
        ul.legend aria-label="legend" {
            @for (look, words) in looks {
                li { svg width="28" height=(ROW) aria-hidden="true" { (lanes::stretch(&axis, 0.0, 1.0, look, words)) } (words) }
            }
            li { svg width="16" height=(ROW) aria-hidden="true" { text.stall x="8" y="17" text-anchor="middle" { "▼" } } "others waited" }
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
    use crate::wire::{Action, Estimate, KeptEstimate, Lock, StepState};

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
