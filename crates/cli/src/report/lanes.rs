//! Rows of a timeline as SVG. Horizontal positions are per cent of the row's width, vertical ones pixels.

use maud::{Markup, html};

use super::axis::Axis;
use super::seconds;

/// Height of a row.
pub(crate) const ROW: f64 = 26.0;

/// How a stretch of time looks; the class of its shape, and its pattern where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// At work: an outlined box.
    Work,
    /// Waits and holds nothing: dots.
    Wait,
    /// A try that was given up: diagonal lines and a cross.
    GivenUp,
    /// A lock that keeps readers and writers waiting: solid.
    BlocksAll,
    /// One that keeps writers waiting: upright lines.
    BlocksWrites,
    /// One that keeps neither waiting: a thin line.
    BlocksNeither,
}

impl Look {
    /// What a lock of this sort looks like.
    pub(crate) fn lock(reads: bool, writes: bool) -> Look {
        match (reads, writes) {
            (true, _) => Look::BlocksAll,
            (false, true) => Look::BlocksWrites,
            (false, false) => Look::BlocksNeither,
        }
    }

    fn class(self) -> &'static str {
        match self {
            Look::Work => "work",
            Look::Wait => "wait",
            Look::GivenUp => "given-up",
            Look::BlocksAll => "all",
            Look::BlocksWrites => "writes",
            Look::BlocksNeither => "neither",
        }
    }

    /// Top and height.
    fn reach(self) -> (f64, f64) {
        match self {
            Look::Work | Look::Wait | Look::GivenUp => (5.0, 16.0),
            Look::BlocksAll | Look::BlocksWrites => (2.0, 22.0),
            Look::BlocksNeither => (22.0, 3.0),
        }
    }
}

/// A row: its name, and its chart, which says the same in words to who cannot see it.
pub(crate) fn lane(name: &Markup, words: &str, height: f64, chart: &Markup) -> Markup {
    html! {
        div.lane {
            div.name { (name) }
            svg height=(height) width="100%" role="img" aria-label=(words) { (chart) }
        }
    }
}

/// A stretch of time. However short it is, its outline is seen.
pub(crate) fn stretch(axis: &Axis, from: f64, to: f64, look: Look, words: &str) -> Markup {
    let (left, right) = (axis.at(from), axis.at(to));
    let (top, height) = look.reach();
    html! {
        rect.(look.class()) x=(per_cent(left)) y=(top) width=(per_cent(right - left)) height=(height) { title { (words) } }
        @if look == Look::GivenUp {
            text.cross x=(per_cent((left + right) / 2.0)) y="18" text-anchor="middle" { "×" }
        }
    }
}

/// Others waited: a triangle above the row.
pub(crate) fn stall(axis: &Axis, at: f64, words: &str) -> Markup {
    let at = axis.at(at);
    html! { text.stall x=(per_cent(at)) y="9" text-anchor="middle" { "▼" title { (words) } } }
}

/// Upright lines where ticks are and zigzags where time is folded, behind a row.
pub(crate) fn grid(axis: &Axis, height: f64) -> Markup {
    html! {
        @for tick in axis.ticks() {
            line.grid x1=(per_cent(tick.at)) x2=(per_cent(tick.at)) y1="0" y2=(height) {}
        }
        @for (at, _) in axis.folds() {
            line.fold x1=(per_cent(at)) x2=(per_cent(at)) y1="0" y2=(height) {}
        }
    }
}

/// The row of labels.
pub(crate) fn scale(axis: &Axis) -> Markup {
    let labels = html! {
        @for tick in axis.ticks() {
            line.grid x1=(per_cent(tick.at)) x2=(per_cent(tick.at)) y1="0" y2="5" {}
            text.label x=(per_cent(tick.at)) y="16" text-anchor=(anchor(tick.at)) { (round_time(tick.seconds)) }
        }
        @for (at, missing) in axis.folds() {
            line.fold x1=(per_cent(at)) x2=(per_cent(at)) y1="0" y2="6" {}
            text.label x=(per_cent(at)) y="30" text-anchor=(wide_anchor(at)) { "⋯ " (seconds(missing)) " later" }
        }
    };
    lane(&html! {}, "time axis", 34.0, &labels)
}

/// Labels at the edges stay inside.
fn anchor(at: f64) -> &'static str {
    match at {
        ..5.0 => "start",
        95.0.. => "end",
        _ => "middle",
    }
}

/// The same for labels that are long.
fn wide_anchor(at: f64) -> &'static str {
    match at {
        ..25.0 => "start",
        75.0.. => "end",
        _ => "middle",
    }
}

/// `0`, `500 ms`, `5 s`, `2 min`
fn round_time(at: f64) -> String {
    let part = |number: f64| {
        let text = format!("{number:.2}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    match at {
        ..1e-9 => "0".to_owned(),
        ..1.0 => format!("{} ms", part(at * 1e3)),
        ..120.0 => format!("{} s", part(at)),
        ..7200.0 => format!("{} min", part(at / 60.0)),
        _ => format!("{} h", part(at / 3600.0)),
    }
}

/// `12.5%`
pub(crate) fn per_cent(at: f64) -> String {
    format!("{:.3}%", at.clamp(0.0, 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_is_drawn_where_its_time_is_and_its_words_are_escaped() {
        let axis = Axis::plain(10.0);
        let svg = stretch(&axis, 2.5, 5.0, Look::BlocksAll, "ACCESS EXCLUSIVE on \"<b>\"").into_string();
        assert!(svg.contains(r#"class="all" x="25.000%""#) && svg.contains(r#"width="25.000%""#), "{svg}");
        assert!(svg.contains("&lt;b&gt;") && !svg.contains("<b>"), "{svg}");
        assert!(!svg.contains('×'));
        assert!(stretch(&axis, 1.0, 1.0, Look::GivenUp, "").into_string().contains('×'));
    }

    #[test]
    fn times_on_the_axis_are_short() {
        let times = [0.0, 0.002, 0.5, 1.0, 90.0, 300.0, 86_400.0].map(round_time);
        assert_eq!(times, ["0", "2 ms", "500 ms", "1 s", "90 s", "5 min", "24 h"]);
    }

    #[test]
    fn every_sort_of_lock_looks_different() {
        let looks = [(true, true), (false, true), (false, false)].map(|(r, w)| Look::lock(r, w).class());
        assert_eq!(looks, ["all", "writes", "neither"]);
    }
}
