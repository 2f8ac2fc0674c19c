//! From seconds to per cent of the chart's width. Between expand and contract may lie a week: pauses are folded to a mark.

/// Part of the width that a folded pause takes, in per cent.
const FOLD: f64 = 4.0;

/// A pause is folded when it is longer than this part of all the work.
const LONG: f64 = 0.25;

/// A time axis.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Axis {
    parts: Vec<Part>,
}

/// A stretch of time that is drawn to scale; all of them to the same one.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Part {
    from: f64,
    to: f64,
    left: f64,
    right: f64,
}

/// A mark on the axis.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tick {
    /// Per cent.
    pub(crate) at: f64,
    /// Seconds.
    pub(crate) seconds: f64,
}

impl Axis {
    /// An axis from zero without folds.
    pub(crate) fn plain(to: f64) -> Axis {
        Axis { parts: vec![Part { from: 0.0, to: to.max(0.001), left: 0.0, right: 100.0 }] }
    }

    /// An axis on which all of these stretches have room, and the long pauses between them have little.
    pub(crate) fn of(busy: impl IntoIterator<Item = (f64, f64)>) -> Axis {
        let mut busy: Vec<(f64, f64)> = busy.into_iter().filter(|(from, to)| to >= from).collect();
        busy.sort_by(|a, b| a.0.total_cmp(&b.0));
        let work: f64 = busy.iter().map(|(from, to)| to - from).sum();
        let mut merged: Vec<(f64, f64)> = Vec::new();
        for (from, to) in busy {
            match merged.last_mut() {
                Some(last) if from - last.1 <= (work * LONG).max(0.05) => last.1 = last.1.max(to),
                _ => merged.push((from, to)),
            }
        }
        if merged.is_empty() {
            return Axis::plain(1.0);
        }
        // So short that it could not be seen: it still has a place.
        let least = (work * 0.02).max(0.001);
        let length = |(from, to): (f64, f64)| (to - from).max(least);
        let total: f64 = merged.iter().map(|&part| length(part)).sum();
        let room = (100.0 - FOLD * (merged.len() - 1) as f64).max(20.0);
        let mut left = 0.0;
        let parts = merged.into_iter().map(|part| {
            let right = left + room * length(part) / total;
            let drawn = Part { from: part.0, to: part.0 + length(part), left, right };
            left = right + FOLD;
            drawn
        });
        Axis { parts: parts.collect() }
    }

    /// Where a time is, in per cent.
    pub(crate) fn at(&self, seconds: f64) -> f64 {
        let mut at = 0.0;
        for part in &self.parts {
            if seconds < part.from {
                return if at == 0.0 { part.left } else { (at + part.left) / 2.0 };
            }
            if seconds <= part.to {
                return part.left + (part.right - part.left) * (seconds - part.from) / (part.to - part.from);
            }
            at = part.right;
        }
        at
    }

    /// The folds: where, in per cent, and how many seconds are missing.
    pub(crate) fn folds(&self) -> Vec<(f64, f64)> {
        let pairs = self.parts.iter().zip(self.parts.iter().skip(1));
        pairs.map(|(one, next)| ((one.right + next.left) / 2.0, next.from - one.to)).collect()
    }

    /// Round times, far enough from each other for their labels.
    pub(crate) fn ticks(&self) -> Vec<Tick> {
        let mut ticks: Vec<Tick> = Vec::new();
        for part in &self.parts {
            let step = round(18.0 * (part.to - part.from) / (part.right - part.left));
            // Within a part time counts from its beginning: the hour of a contract is of no interest to the second.
            let mut since = 0.0;
            while part.from + since <= part.to + 1e-9 {
                let at = self.at(part.from + since);
                // Where a part begins is worth more than a round time before it.
                if since == 0.0 && ticks.last().is_some_and(|last| last.seconds > 0.0 && at - last.at < 15.0)
                {
                    ticks.pop();
                }
                if ticks.last().is_none_or(|last| at - last.at >= 15.0) {
                    ticks.push(Tick { at, seconds: since });
                }
                since += step;
            }
        }
        ticks
    }
}

/// The next of 1, 2, 5, 10, 15, 30, 60, … that is not smaller.
fn round(seconds: f64) -> f64 {
    const STEPS: [f64; 18] = [
        0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0,
        300.0,
    ];
    match STEPS.into_iter().find(|step| *step >= seconds) {
        Some(step) => step,
        None => (seconds / 600.0).ceil() * 600.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_pauses_it_is_a_straight_line() {
        let axis = Axis::of([(0.0, 4.0), (4.0, 10.0)]);
        assert_eq!([0.0, 5.0, 10.0, 99.0].map(|at| axis.at(at)), [0.0, 50.0, 100.0, 100.0]);
        assert_eq!(axis.folds(), []);
        let ticks: Vec<f64> = axis.ticks().iter().map(|tick| tick.seconds).collect();
        assert_eq!(ticks, [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
    }

    #[test]
    fn a_week_between_expand_and_contract_is_folded_and_named() {
        let week = 604_800.0;
        let axis = Axis::of([(0.0, 60.0), (week, week + 20.0)]);
        assert_eq!(axis.folds(), [(74.0, week - 60.0)]);
        assert_eq!((axis.at(60.0), axis.at(week), axis.at(week + 20.0)), (72.0, 76.0, 100.0));
        assert!((72.0..=76.0).contains(&axis.at(week / 2.0)));
        assert_eq!(axis.ticks().iter().filter(|tick| tick.seconds == 0.0).count(), 2);
    }

    #[test]
    fn nothing_and_an_instant_have_an_axis() {
        for axis in
            [Axis::of([]), Axis::of([(0.0, 0.0)]), Axis::of([(5.0, 5.0), (900.0, 900.0)]), Axis::plain(0.0)]
        {
            for at in [0.0, 5.0, 900.0] {
                assert!((0.0..=100.0).contains(&axis.at(at)), "{axis:?} {at}");
            }
            assert!(!axis.ticks().is_empty() && axis.ticks().len() < 20, "{axis:?}");
        }
    }
}
