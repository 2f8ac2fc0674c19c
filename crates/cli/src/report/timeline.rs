//! Steps of a plan as rows of a timeline, under the headings of their phases.

use maud::{Markup, html};

use super::axis::Axis;
use super::lanes::{self, Look, ROW};
use super::{ms, seconds, steps};
use crate::render::count;
use crate::wire::{Direction, ReportSpan, ReportStep, Spent};

/// A row a step.
pub(crate) fn lanes_of(axis: &Axis, steps: &[ReportStep]) -> Markup {
    let mut last = None;
    html! {
        @for step in steps {
            @if last.replace((step.direction, step.phase)) != Some((step.direction, step.phase)) {
                div.phase { (phase(step)) }
            }
            (lane(axis, step))
        }
    }
}

/// Runs of a step. One that was killed or goes on has written none down: it is drawn as far as it was heard of.
pub(crate) fn runs(step: &ReportStep) -> Vec<(f64, f64)> {
    let runs = step.spans.iter().filter(|span| span.kind == Spent::Run);
    let runs: Vec<(f64, f64)> = runs.map(|span| (span.from_seconds, span.to_seconds)).collect();
    match step.began_seconds {
        Some(began) if runs.is_empty() => {
            let heard = began + step.worked_seconds.unwrap_or_default();
            vec![(began, step.ended_seconds.unwrap_or(heard))]
        }
        _ => runs,
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

/// A step: its name, and what its time was spent on.
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
