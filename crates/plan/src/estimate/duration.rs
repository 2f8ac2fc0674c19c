//! From an amount of work to a range of time: what earlier steps on this server took, or, before there are any, bounds that hold on
//! slow disks and on fast ones.

use super::work::{Load, Measure};

/// What one earlier step took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Kind of work.
    pub measure: Measure,
    /// How much of it.
    pub amount: f64,
    /// Seconds at work, those that it waited left out.
    pub seconds: f64,
    /// What it was allowed.
    pub pace: Pace,
}

/// How hard a backfill may push.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// Share of the time that it works.
    pub load: f64,
    /// Seconds that one batch may take.
    pub batch: f64,
}

/// A range of seconds; it holds waiting for locks and standbys only as far as earlier steps waited.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expected {
    /// At least.
    pub low: f64,
    /// At most.
    pub high: f64,
    /// Where it comes from.
    pub basis: Basis,
}

/// Where an estimate comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Nothing was measured on this server yet.
    Unmeasured,
    /// So many earlier steps of the kind.
    Measured(u32),
}

impl Expected {
    /// A range in which nothing was measured stays unmeasured as a whole.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let basis = match (self.basis, other.basis) {
            (Basis::Measured(a), Basis::Measured(b)) => Basis::Measured(a.min(b)),
            _ => Basis::Unmeasured,
        };
        Self { low: self.low + other.low, high: self.high + other.high, basis }
    }
}

/// What every step costs, however small: round trips, COMMIT, the ledger; a lock that is not free at once.
const OVERHEAD: (f64, f64) = (0.002, 1.0);

/// A load that is larger than all that were measured: how fast the range opens with the ratio. Small steps are mostly overhead, so
/// that rates come out too low: the lower bound opens faster.
const BEYOND: (f64, f64) = (0.5, 0.25);

/// Units a second, at full load and with the default batches: the slowest that a server in use may be, and the fastest. A plain
/// spinning disk reads 30 MB a second when it has other things to do; what is in memory is read at gigabytes a second.
fn bounds(measure: Measure) -> (f64, f64) {
    const MB: f64 = 1_048_576.0;
    match measure {
        Measure::Short => (1.0, 500.0),
        Measure::Scan => (30.0 * MB, 3000.0 * MB),
        Measure::IndexBuild => (5.0 * MB, 300.0 * MB),
        Measure::Rewrite => (5.0 * MB, 500.0 * MB),
        Measure::Pages | Measure::Key => (3_000.0, 250_000.0),
        Measure::RowSet => (2_000.0, 200_000.0),
    }
}

/// How long a load may take.
pub fn expected(load: Load, samples: &[Sample], pace: Pace) -> Expected {
    if load.measure == Measure::Short {
        return short(samples);
    }
    let share = if load.measure.is_batched() { pace.load.clamp(0.001, 1.0) } else { 1.0 };
    let amount = load.amount as f64 / share;
    let own: Vec<&Sample> = usable(load.measure, samples);
    let Some(largest) = own.iter().map(|sample| sample.amount).max_by(f64::total_cmp) else {
        let (slow, fast) = bounds(load.measure);
        return Expected {
            low: OVERHEAD.0 + amount / fast,
            high: OVERHEAD.1 + amount / slow,
            basis: Basis::Unmeasured,
        };
    };
    // Ten rows say nothing about ten million when a million were measured too.
    let telling: Vec<&Sample> = own.into_iter().filter(|sample| sample.amount * 10.0 >= largest).collect();
    let count = telling.len() as f64;
    let rates = telling.iter().map(|sample| (rate(sample), opened(sample, pace)));
    let (mut slow, mut fast) = (f64::INFINITY, 0.0_f64);
    for (rate, open) in rates {
        slow = slow.min(rate / open);
        fast = fast.max(rate * open);
    }
    let spread = 1.0 + 1.0 / count;
    let beyond = (load.amount as f64 / largest).max(1.0);
    Expected {
        low: OVERHEAD.0 + amount / (fast * spread * beyond.powf(BEYOND.0)),
        high: OVERHEAD.1 + amount / slow * spread * beyond.powf(BEYOND.1),
        basis: Basis::Measured(u32::try_from(telling.len()).unwrap_or(u32::MAX)),
    }
}

fn usable(measure: Measure, samples: &[Sample]) -> Vec<&Sample> {
    let tells = |sample: &&Sample| {
        sample.measure == measure
            && sample.amount.is_finite()
            && sample.amount > 0.0
            && sample.seconds.is_finite()
            && sample.seconds > 0.0
    };
    samples.iter().filter(tells).collect()
}

/// Units a second at full load.
fn rate(sample: &Sample) -> f64 {
    let share = if sample.measure.is_batched() { sample.pace.load.clamp(0.001, 1.0) } else { 1.0 };
    sample.amount / sample.seconds / share
}

/// Longer batches write more rows in the same time: three times as many at 4 ms as at half a millisecond, and four times at 60 ms
/// (docs/configuration.md). What was measured with other batches is less certain by that much.
fn opened(sample: &Sample, pace: Pace) -> f64 {
    if !sample.measure.is_batched() || sample.pace.batch <= 0.0 || pace.batch <= 0.0 {
        return 1.0;
    }
    let ratio = pace.batch / sample.pace.batch;
    ratio.max(1.0 / ratio).sqrt().min(4.0)
}

/// What short steps take does not depend on a size.
fn short(samples: &[Sample]) -> Expected {
    let own = usable(Measure::Short, samples);
    let Some(longest) = own.iter().map(|sample| sample.seconds).max_by(f64::total_cmp) else {
        return Expected { low: OVERHEAD.0, high: OVERHEAD.1, basis: Basis::Unmeasured };
    };
    let count = u32::try_from(own.len()).unwrap_or(u32::MAX);
    let shortest = own.iter().map(|sample| sample.seconds).fold(longest, f64::min);
    let spread = 1.0 + 1.0 / f64::from(count);
    Expected { low: shortest / spread, high: longest * spread, basis: Basis::Measured(count) }
}
