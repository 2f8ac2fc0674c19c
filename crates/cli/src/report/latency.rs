//! What clients felt over time: how long operations took, on a logarithmic scale, and which of them failed.

use std::fmt::Write as _;

use maud::{Markup, html};

use super::axis::Axis;
use super::lanes::{self, per_cent};
use super::ms;
use crate::render::count;
use crate::wire::{Moment, Run};

/// Height of a power of ten.
const DECADE: f64 = 27.0;
/// The lowest line, as a power of ten of milliseconds.
const FLOOR: f64 = -1.0;
/// The lowest line that is labelled.
const LABELS: i32 = 1;
/// Width of the area's own coordinates, which are stretched to the row's width.
const WIDTH: f64 = 1000.0;
/// More columns than this would only make the file larger.
const COLUMNS: usize = 1200;
/// So many places say what was felt there when they are pointed at.
const PLACES: usize = 120;
/// Height of the row of failures.
const FAILURES: f64 = 30.0;

/// The upright axis: the same for both runs, or they could not be compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scale {
    top: f64,
}

impl Scale {
    /// High enough for all of these.
    pub(crate) fn of(runs: [&Run; 2]) -> Scale {
        let worst =
            runs.iter().flat_map(|run| &run.moments).map(|moment| moment.worst_ms).fold(0.0, f64::max);
        Scale { top: worst.max(1.0).log10().ceil().max(3.0) }
    }

    fn height(self) -> f64 {
        (self.top - FLOOR) * DECADE
    }

    /// Where a time is, in pixels from above.
    fn y(self, ms: f64) -> f64 {
        let above = ms.max(1e-3).log10().clamp(FLOOR, self.top) - FLOOR;
        self.height() - above * DECADE
    }
}

/// The longest operations and the median over time, with a line at `budget` milliseconds where there is one.
pub(crate) fn chart(axis: &Axis, scale: Scale, run: &Run, budget: Option<f64>) -> Markup {
    let columns = merged(&run.moments, COLUMNS);
    let height = scale.height();
    let words = format!(
        "how long operations took over time, logarithmic: before the migration {} at most, from its beginning on {} at most",
        ms(run.before.worst_ms),
        ms(run.during.worst_ms)
    );
    let drawn = html! {
        (lanes::grid(axis, height))
        @for power in (FLOOR as i32)..=(scale.top as i32) {
            @let y = pixels(scale.y(10f64.powi(power)));
            line.grid x1="0" x2="100%" y1=(y) y2=(y) {}
        }
        svg x="0" y="0" width="100%" height=(height) viewBox=(format!("0 0 {WIDTH} {height}")) preserveAspectRatio="none" {
            path.worst d=(area(axis, scale, &columns, |moment| moment.worst_ms)) {}
            path.chart d=(area(axis, scale, &columns, |moment| moment.p50_ms)) {}
        }
        // Below that it would stand in the area of every quiet moment.
        @for power in LABELS..=(scale.top as i32) {
            text.label.over x="3" y=(pixels(scale.y(10f64.powi(power)) + 12.0)) { (round(power)) }
        }
        @if let Some(budget) = budget {
            @let y = scale.y(budget);
            line.budget x1="0" x2="100%" y1=(pixels(y)) y2=(pixels(y)) {}
            // On the side where the longest wait is not.
            @let left = worst(&columns).is_some_and(|worst| axis.at(worst.at) > 50.0);
            text.label.over x=(if left { "64" } else { "100%" }) y=(pixels(y - 4.0)) text-anchor=(if left { "start" } else { "end" }) { "may wait for us: " (ms(budget)) " at most" }
        }
        (peak(axis, scale, &columns))
        @for place in merged(&run.moments, PLACES) {
            rect.place x=(per_cent(axis.at(place.at))) y="0" width=(per_cent(axis.at(place.to) - axis.at(place.at))) height=(height) {
                title { (said(&place)) }
            }
        }
    };
    let name = html! {
        b { "How long operations took" } br;
        span.faint { span.key.worst-key {} " longest, " span.key.chart-key {} " median, in every tenth of a second" }
    };
    lanes::lane(&name, &words, height + 2.0, &drawn)
}

/// `100 ms`, `10 s`: a power of ten of milliseconds.
fn round(power: i32) -> String {
    match power {
        3.. => format!("{} s", 10_u64.pow(power.unsigned_abs() - 3)),
        0..3 => format!("{} ms", 10_u64.pow(power.unsigned_abs())),
        _ => format!("{} ms", 10f64.powi(power)),
    }
}

fn worst(columns: &[Column]) -> Option<&Column> {
    columns.iter().max_by(|a, b| a.worst_ms.total_cmp(&b.worst_ms))
}

/// The longest of all, named; clear of the labels at the left edge.
fn peak(axis: &Axis, scale: Scale, columns: &[Column]) -> Markup {
    let Some(worst) = worst(columns) else { return html! {} };
    let at = axis.at(f64::midpoint(worst.at, worst.to));
    let (anchor, aside) = match at {
        ..15.0 => ("start", "40"),
        90.0.. => ("end", "0"),
        _ => ("middle", "0"),
    };
    html! {
        text.peak.over x=(per_cent(at)) dx=(aside) y=(pixels((scale.y(worst.worst_ms) - 5.0).max(11.0))) text-anchor=(anchor) { (ms(worst.worst_ms)) }
    }
}

/// Failed operations over time, one column a moment: the higher, the more.
pub(crate) fn failures(axis: &Axis, run: &Run) -> Markup {
    let columns = merged(&run.moments, COLUMNS / 3);
    let most = columns.iter().map(|column| column.failed).max().unwrap_or_default();
    let words = match run.during.failed {
        0 => "no operation failed".to_owned(),
        failed => format!("{} operations failed", count(failed)),
    };
    let drawn = html! {
        (lanes::grid(axis, FAILURES))
        @if most == 0 { text.none.over x="50%" y="19" text-anchor="middle" { "none" } }
        @for column in columns.iter().filter(|column| column.failed > 0) {
            @let height = 6.0 + (FAILURES - 6.0) * (column.failed as f64).ln_1p() / (most as f64).ln_1p();
            rect.failed x=(per_cent(axis.at(column.at))) width=(per_cent(axis.at(column.to) - axis.at(column.at)))
                y=(pixels(FAILURES - height)) height=(pixels(height)) { title { (said(column)) } }
        }
    };
    let name = html! { b { "Operations that failed" } br; span.faint { (words) } };
    lanes::lane(&name, &words, FAILURES, &drawn)
}

/// Several moments that are drawn as one column.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Column {
    pub(crate) at: f64,
    to: f64,
    pub(crate) answered: u64,
    pub(crate) failed: u64,
    pub(crate) p50_ms: f64,
    pub(crate) worst_ms: f64,
}

/// At most so many columns, or a few more; of their moments the worst counts.
pub(crate) fn merged(moments: &[Moment], most: usize) -> Vec<Column> {
    let length = match moments {
        [one, next, ..] => next.at_seconds - one.at_seconds,
        _ => 0.1,
    };
    let size = moments.len().div_ceil(most).max(1);
    let column = |part: &[Moment]| {
        let worst = |of: fn(&Moment) -> f64| part.iter().map(of).fold(0.0, f64::max);
        Column {
            at: part.first().map_or(0.0, |moment| moment.at_seconds),
            to: part.last().map_or(0.0, |moment| moment.at_seconds) + length,
            answered: part.iter().map(|moment| moment.answered).sum(),
            failed: part.iter().flat_map(|moment| moment.errors.values()).sum(),
            p50_ms: worst(|moment| moment.p50_ms),
            worst_ms: worst(|moment| moment.worst_ms),
        }
    };
    moments.chunks(size).map(column).collect()
}

/// `12.0 s: 40 operations, longest 3.1 s, 7 failed`
fn said(column: &Column) -> String {
    let failed = if column.failed > 0 { format!(", {} failed", count(column.failed)) } else { String::new() };
    let answered = count(column.answered);
    format!("{:.1} s: {answered} operations, longest {}{failed}", column.at, ms(column.worst_ms))
}

/// Steps from column to column, filled down to the lowest line.
fn area(axis: &Axis, scale: Scale, columns: &[Column], of: fn(&Column) -> f64) -> String {
    let x = |seconds: f64| axis.at(seconds) * WIDTH / 100.0;
    let Some(first) = columns.first() else { return String::new() };
    let mut path = format!("M{:.1} {:.1}", x(first.at), scale.height());
    for column in columns {
        // Writing into a string cannot fail.
        let _ = write!(path, "V{:.1}H{:.1}", scale.y(of(column)), x(column.to));
    }
    let _ = write!(path, "V{:.1}Z", scale.height());
    path
}

fn pixels(at: f64) -> String {
    format!("{at:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(at: f64, worst: f64, failed: u64) -> Moment {
        let errors = [("23502".to_owned(), failed)].into_iter().filter(|(_, failed)| *failed > 0).collect();
        Moment {
            at_seconds: at,
            answered: 40,
            errors,
            p50_ms: worst / 4.0,
            p99_ms: worst / 2.0,
            worst_ms: worst,
        }
    }

    #[test]
    fn times_are_drawn_on_a_logarithmic_scale() {
        let scale = Scale { top: 3.0 };
        assert_eq!([0.001, 0.1, 1.0, 1000.0, 1e6].map(|ms| scale.y(ms)), [108.0, 108.0, 81.0, 0.0, 0.0]);
    }

    #[test]
    fn lines_are_named_by_round_times() {
        assert_eq!([-1, 0, 2, 3, 5].map(round), ["0.1 ms", "1 ms", "100 ms", "1 s", "100 s"]);
    }

    #[test]
    fn merging_keeps_the_worst_and_every_failure() {
        let moments: Vec<Moment> = (0..10).map(|at| moment(f64::from(at) / 10.0, f64::from(at), 1)).collect();
        let columns = merged(&moments, 5);
        assert_eq!(columns.len(), 5);
        assert_eq!((columns[4].worst_ms, columns[4].failed, columns[4].answered), (9.0, 2, 80));
        assert!((columns[4].to - 1.0).abs() < 1e-9, "{columns:?}");
        assert_eq!(merged(&[], 5), []);
    }

    #[test]
    fn an_area_goes_from_step_to_step() {
        let columns = merged(&[moment(0.0, 1.0, 0), moment(5.0, 1000.0, 0)], 5);
        let path = area(&Axis::plain(10.0), Scale { top: 3.0 }, &columns, |column| column.worst_ms);
        assert_eq!(path, "M0.0 108.0V81.0H500.0V0.0H1000.0V108.0Z");
    }
}
