//! Writes down what happened and makes it into a report.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::workload::{Failure, Kind};

/// The length of one [`Bucket`].
pub const BUCKET: Duration = Duration::from_millis(100);
/// So many failed operations are kept in full; all are counted.
const KEPT_FAILURES: usize = 1000;

/// What the clients felt.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// How long the traffic ran.
    pub elapsed: Duration,
    /// How many operations fell due: those that succeeded, that failed, and that were never answered.
    pub scheduled: u64,
    /// Operations that succeeded.
    pub ops: u64,
    /// Operations that failed.
    pub failed: u64,
    /// Half of the successful operations took at most this long.
    pub p50: Duration,
    /// 99 of 100 successful operations took at most this long.
    pub p99: Duration,
    /// 999 of 1000 successful operations took at most this long.
    pub p999: Duration,
    /// The longest that any operation took, failed ones included.
    pub max: Duration,
    /// When the operation that took longest was due.
    pub max_at: Duration,
    /// How often a connection was lost and opened again.
    pub reconnects: u64,
    /// How many operations failed with which SQLSTATE (or `connection`, or `wrong`).
    pub errors: BTreeMap<String, u64>,
    /// The first thousand failed operations.
    pub failures: Vec<FailedOperation>,
    /// The same by kind of operation.
    pub kinds: BTreeMap<Kind, KindReport>,
    /// The same over time, by the time at which operations fell due.
    pub buckets: Vec<Bucket>,
}

impl Report {
    /// Operations that fell due and were never answered.
    pub fn unanswered(&self) -> u64 {
        self.scheduled.saturating_sub(self.ops + self.failed)
    }

    /// What the clients felt of the operations that fell due between these times, to the full [`BUCKET`].
    pub fn between(&self, from: Duration, to: Duration) -> Window {
        let buckets = self.buckets.iter().filter(|bucket| bucket.at + BUCKET > from && bucket.at < to);
        let mut window = Window::default();
        let mut times = Vec::new();
        for bucket in buckets {
            times.extend_from_slice(&bucket.times);
            window.failed += bucket.failed;
            window.max = window.max.max(bucket.max);
            for (code, count) in &bucket.errors {
                *window.errors.entry(code.clone()).or_default() += count;
            }
        }
        times.sort_unstable();
        window.ops = times.len() as u64;
        (window.p50, window.p99) = (rank(&times, 0.50), rank(&times, 0.99));
        window
    }
}

/// What the clients felt of the operations that fell due within a part of the run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Window {
    /// Operations that succeeded.
    pub ops: u64,
    /// Operations that failed.
    pub failed: u64,
    /// Half of the successful operations took at most this long.
    pub p50: Duration,
    /// 99 of 100 successful operations took at most this long.
    pub p99: Duration,
    /// The longest that any operation took, failed ones included.
    pub max: Duration,
    /// How many operations failed with which SQLSTATE (or `connection`, or `wrong`).
    pub errors: BTreeMap<String, u64>,
}

/// One kind of operation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KindReport {
    /// Operations that succeeded.
    pub ops: u64,
    /// Operations that failed.
    pub failed: u64,
    /// Median of the successful ones.
    pub p50: Duration,
    /// 99th percentile of the successful ones.
    pub p99: Duration,
    /// The longest, failed ones included.
    pub max: Duration,
}

/// Operations that fell due within one [`BUCKET`] of time.
#[derive(Debug, Clone, PartialEq)]
pub struct Bucket {
    /// Beginning of the bucket, from the start of the traffic.
    pub at: Duration,
    /// Operations answered, with success or not.
    pub count: u64,
    /// Those that failed.
    pub failed: u64,
    /// Median.
    pub p50: Duration,
    /// 99th percentile.
    pub p99: Duration,
    /// The longest.
    pub max: Duration,
    /// How many operations failed with which SQLSTATE (or `connection`, or `wrong`).
    pub errors: BTreeMap<String, u64>,
    /// Times of the successful operations in microseconds.
    times: Vec<u32>,
}

/// One operation that failed.
#[derive(Debug, Clone, PartialEq)]
pub struct FailedOperation {
    /// When it was due, from the start of the traffic.
    pub at: Duration,
    /// How long it took to fail.
    pub took: Duration,
    /// What it was.
    pub kind: Kind,
    /// The SQLSTATE, or `connection`, or `wrong`.
    pub code: String,
    /// What the server said.
    pub message: String,
}

/// The present moment, for a display.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Live {
    /// Successful operations since the start.
    pub ops: u64,
    /// Failed operations since the start.
    pub failed: u64,
    /// Operations answered that fell due within the last second.
    pub last_second: u64,
    /// Their median.
    pub p50: Duration,
    /// Their 99th percentile.
    pub p99: Duration,
    /// The longest of them.
    pub max: Duration,
    /// How long the oldest operation in flight has been waiting.
    pub waiting: Duration,
    /// The longest that any operation has taken since the start.
    pub worst: Duration,
}

#[derive(Debug, Default)]
pub(super) struct Recorder {
    kinds: BTreeMap<Kind, Tally>,
    buckets: Vec<RawBucket>,
    errors: BTreeMap<String, u64>,
    failures: Vec<FailedOperation>,
    reconnects: u64,
    max: Duration,
    max_at: Duration,
}

#[derive(Debug)]
struct Tally {
    times: Histogram<u64>,
    failed: u64,
    max: Duration,
}

/// Every single time, in microseconds: four bytes each are less than a histogram.
#[derive(Debug, Default, Clone)]
struct RawBucket {
    good: Vec<u32>,
    failed: Vec<u32>,
    errors: BTreeMap<String, u64>,
}

impl Recorder {
    pub(super) fn operation(
        &mut self,
        due: Duration,
        kind: Kind,
        took: Duration,
        outcome: Result<(), Failure>,
    ) {
        let place = (due.as_micros() / BUCKET.as_micros()) as usize;
        if self.buckets.len() <= place {
            self.buckets.resize(place + 1, RawBucket::default());
        }
        let bucket = &mut self.buckets[place];
        let time = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        if took > self.max {
            (self.max, self.max_at) = (took, due);
        }
        let tally = self.kinds.entry(kind).or_insert_with(Tally::new);
        tally.max = tally.max.max(took);
        match outcome {
            Ok(()) => {
                tally.times.saturating_record(took.as_micros() as u64);
                bucket.good.push(time);
            }
            Err(failure) => {
                tally.failed += 1;
                bucket.failed.push(time);
                let code = failure.code().to_owned();
                *bucket.errors.entry(code.clone()).or_default() += 1;
                *self.errors.entry(code.clone()).or_default() += 1;
                if self.failures.len() < KEPT_FAILURES {
                    let message = failure.to_string();
                    self.failures.push(FailedOperation { at: due, took, kind, code, message });
                }
            }
        }
    }

    pub(super) fn reconnected(&mut self) {
        self.reconnects += 1;
    }

    pub(super) fn report(&self, elapsed: Duration, scheduled: u64) -> Report {
        let mut all = histogram();
        for tally in self.kinds.values() {
            // Both have the same bounds, so that adding cannot fail.
            let _ = all.add(&tally.times);
        }
        Report {
            elapsed,
            scheduled,
            ops: all.len(),
            failed: self.kinds.values().map(|tally| tally.failed).sum(),
            p50: quantile(&all, 0.50),
            p99: quantile(&all, 0.99),
            p999: quantile(&all, 0.999),
            max: self.max,
            max_at: self.max_at,
            reconnects: self.reconnects,
            errors: self.errors.clone(),
            failures: self.failures.clone(),
            kinds: self.kinds.iter().map(|(kind, tally)| (*kind, tally.report())).collect(),
            buckets: self.buckets.iter().enumerate().map(|(place, raw)| raw.bucket(place)).collect(),
        }
    }

    pub(super) fn live(&self, elapsed: Duration, waiting: Duration) -> Live {
        let now = (elapsed.as_micros() / BUCKET.as_micros()) as usize;
        let recent = self.buckets.iter().skip(now.saturating_sub(10));
        let mut times: Vec<u32> =
            recent.flat_map(|bucket| bucket.good.iter().chain(&bucket.failed).copied()).collect();
        times.sort_unstable();
        Live {
            ops: self.kinds.values().map(|tally| tally.times.len()).sum(),
            failed: self.kinds.values().map(|tally| tally.failed).sum(),
            last_second: times.len() as u64,
            p50: rank(&times, 0.50),
            p99: rank(&times, 0.99),
            max: rank(&times, 1.0),
            waiting,
            worst: self.max.max(waiting),
        }
    }
}

impl Tally {
    fn new() -> Tally {
        Tally { times: histogram(), failed: 0, max: Duration::ZERO }
    }

    fn report(&self) -> KindReport {
        KindReport {
            ops: self.times.len(),
            failed: self.failed,
            p50: quantile(&self.times, 0.50),
            p99: quantile(&self.times, 0.99),
            max: self.max,
        }
    }
}

impl RawBucket {
    fn bucket(&self, place: usize) -> Bucket {
        let mut all = self.good.clone();
        all.extend_from_slice(&self.failed);
        all.sort_unstable();
        Bucket {
            at: BUCKET * place as u32,
            count: all.len() as u64,
            failed: self.failed.len() as u64,
            p50: rank(&all, 0.50),
            p99: rank(&all, 0.99),
            max: rank(&all, 1.0),
            errors: self.errors.clone(),
            times: self.good.clone(),
        }
    }
}

/// Microseconds up to an hour, to three digits.
#[expect(clippy::expect_used, reason = "constant bounds, and the test below makes one")]
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 3_600_000_000, 3).expect("valid bounds")
}

fn quantile(times: &Histogram<u64>, quantile: f64) -> Duration {
    if times.is_empty() { Duration::ZERO } else { Duration::from_micros(times.value_at_quantile(quantile)) }
}

/// The value at this quantile of sorted times.
fn rank(sorted: &[u32], quantile: f64) -> Duration {
    let place = (sorted.len() as f64 * quantile).ceil() as usize;
    let value = sorted.get(place.saturating_sub(1)).copied().unwrap_or(0);
    Duration::from_micros(u64::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_ranks() {
        let mut recorder = Recorder::default();
        for i in 1..=100_u64 {
            let due = Duration::from_millis(i);
            recorder.operation(due, "read", Duration::from_millis(i), Ok(()));
        }
        let wrong = Err(Failure::Wrong("seven".to_owned()));
        recorder.operation(Duration::from_millis(250), "write", Duration::from_millis(300), wrong);
        let report = recorder.report(Duration::from_secs(1), 103);
        assert_eq!((report.ops, report.failed, report.unanswered()), (100, 1, 2));
        assert_eq!(report.max, Duration::from_millis(300));
        assert_eq!(report.max_at, Duration::from_millis(250));
        assert_eq!(report.p50.as_millis(), 50);
        assert_eq!(report.errors["wrong"], 1);
        assert_eq!(report.failures[0].message, "seven");
        assert_eq!(report.kinds["write"].failed, 1);
        let counts: Vec<u64> = report.buckets.iter().map(|bucket| bucket.count).collect();
        assert_eq!(counts, [99, 1, 1]);
        assert_eq!(report.buckets[0].max, Duration::from_millis(99));

        let all = report.between(Duration::ZERO, report.elapsed);
        assert_eq!((all.ops, all.failed, all.p50, all.max), (100, 1, Duration::from_millis(50), report.max));
        let late = report.between(Duration::from_millis(200), Duration::from_millis(300));
        assert_eq!((late.ops, late.failed, late.max), (0, 1, Duration::from_millis(300)));
        assert_eq!(late.errors["wrong"], 1);
        let early = report.between(Duration::ZERO, Duration::from_millis(100));
        assert_eq!(
            (early.ops, early.p99, early.max),
            (99, Duration::from_millis(99), Duration::from_millis(99))
        );
    }
}
