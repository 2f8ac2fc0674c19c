//! What a step spent its time on, for the report: noted in memory while it runs, and written to the ledger now and then.
//!
//! Times are taken from the monotonic clock and written as "so long ago", so that everything in the ledger is on the
//! server's clock. Stretches that follow each other closely become one, so that a backfill of a day leaves as many rows as
//! one of an hour, and not a row a batch. A journal that cannot be written is lost, and the run goes on: nothing depends on it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_postgres::Client;

use crate::event::Event;
use crate::ledger::{self, SpanKind, StepKey};
use crate::watch::Stalls;

/// Stretches of the same sort become one if the gap between them is below this part of the step's age.
const CLOSE: f64 = 1.0 / 200.0;

/// Rows are counted over at least so long.
const SAMPLE: Duration = Duration::from_secs(1);

/// A step that goes on is written down this often.
const WRITE_EVERY: Duration = Duration::from_secs(10);

/// A stretch of time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Span {
    pub(crate) kind: SpanKind,
    pub(crate) from: Instant,
    pub(crate) to: Instant,
    pub(crate) message: String,
    pub(crate) times: u32,
    pub(crate) busy: Duration,
    pub(crate) victims: u32,
    pub(crate) waited: Duration,
    pub(crate) worst: Duration,
    pub(crate) rows: u64,
}

impl Span {
    pub(crate) fn new(kind: SpanKind, from: Instant, to: Instant, message: impl Into<String>) -> Self {
        Self {
            kind,
            from,
            to,
            message: message.into(),
            times: 1,
            busy: to.saturating_duration_since(from),
            victims: 0,
            waited: Duration::ZERO,
            worst: Duration::ZERO,
            rows: 0,
        }
    }

    /// Takes in one that came later. The last message stands for all.
    fn join(&mut self, later: Span) {
        self.to = self.to.max(later.to);
        self.message = later.message;
        self.times += later.times;
        self.busy += later.busy;
        self.victims += later.victims;
        self.waited += later.waited;
        self.worst = self.worst.max(later.worst);
        self.rows += later.rows;
    }
}

/// Notes of the step under way.
#[derive(Debug, Default)]
pub(crate) struct Journal(Mutex<Option<Notes>>);

#[derive(Debug)]
struct Notes {
    key: StepKey,
    began: Instant,
    written: Instant,
    /// Finished stretches, the latest of each sort still open to be joined.
    spans: Vec<Span>,
    /// The wait that goes on.
    wait: Option<Span>,
    /// When rows were last counted, and how many there were.
    counted: Option<(Instant, u64)>,
}

impl Journal {
    fn notes(&self) -> MutexGuard<'_, Option<Notes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A step begins.
    pub(crate) fn begin(&self, key: StepKey) {
        let now = Instant::now();
        let (spans, wait, counted) = (Vec::new(), None, None);
        *self.notes() = Some(Notes { key, began: now, written: now, spans, wait, counted });
    }

    /// Something was told to the observer.
    pub(crate) fn hear(&self, event: &Event) {
        let mut notes = self.notes();
        let Some(notes) = notes.as_mut() else { return };
        let now = Instant::now();
        match event {
            Event::Waiting { reason, since, .. } => notes.waiting(reason, now - *since, now),
            Event::Progress { rows, done, .. } => {
                notes.end_wait(None);
                notes.count(*rows, now, *done >= 1.0);
            }
            _ => {}
        }
    }

    /// The wait that was told of is over, just now.
    pub(crate) fn waited(&self) {
        if let Some(notes) = self.notes().as_mut() {
            notes.end_wait(Some(Instant::now()));
        }
    }

    /// A stretch that ends now.
    pub(crate) fn note(&self, kind: SpanKind, from: Instant, message: impl Into<String>) {
        self.add(Span::new(kind, from, Instant::now(), message));
    }

    /// A try since `from` made others wait.
    pub(crate) fn stalled(&self, from: Instant, stalls: &Stalls) {
        if stalls.victims() > 0 {
            let mut span = Span::new(SpanKind::Stall, from, Instant::now(), "");
            (span.victims, span.waited, span.worst) = (stalls.victims(), stalls.sum(), stalls.worst());
            self.add(span);
        }
    }

    /// A stretch that is over.
    pub(crate) fn add(&self, span: Span) {
        if let Some(notes) = self.notes().as_mut() {
            notes.end_wait(None);
            notes.add(span);
        }
    }

    /// Writes down what a step that goes on has noted, if that is some time ago.
    pub(crate) async fn keep(&self, client: &Client) {
        let due = |notes: &mut Notes| notes.written.elapsed() >= WRITE_EVERY && !notes.spans.is_empty();
        if self.notes().as_mut().is_some_and(due) {
            self.write(client, false).await;
        }
    }

    /// The step ends, one way or the other.
    pub(crate) async fn end(&self, client: &Client) {
        if let Some(notes) = self.notes().as_mut() {
            notes.end_wait(None);
            let now = Instant::now();
            notes.add(Span::new(SpanKind::Run, notes.began, now, ""));
        }
        self.write(client, true).await;
        *self.notes() = None;
    }

    async fn write(&self, client: &Client, all: bool) {
        let (key, spans) = match self.notes().as_mut() {
            None => return,
            Some(notes) => {
                notes.written = Instant::now();
                (notes.key, notes.take(all))
            }
        };
        if let Err(unwritten) = ledger::add_spans(client, key, &spans).await {
            tracing::warn!(%unwritten, "the journal of a step could not be written");
        }
    }
}

impl Notes {
    fn waiting(&mut self, reason: &str, from: Instant, now: Instant) {
        // The same wait is told of again and again, each time with how long it has lasted.
        let same = |wait: &Span| from <= wait.from + Duration::from_millis(100);
        if !self.wait.as_ref().is_some_and(same) {
            self.end_wait(None);
        }
        let wait = self.wait.get_or_insert_with(|| Span::new(SpanKind::Wait, from, now, reason));
        wait.message = reason.to_owned();
        (wait.to, wait.busy) = (now, now - wait.from);
    }

    /// The wait is over: at this time or, if nobody knows, when it was last told of.
    fn end_wait(&mut self, at: Option<Instant>) {
        if let Some(mut wait) = self.wait.take() {
            if let Some(at) = at {
                (wait.to, wait.busy) = (at, at - wait.from);
            }
            self.add(wait);
        }
    }

    fn count(&mut self, rows: u64, now: Instant, last: bool) {
        let Some((since, before)) = self.counted else {
            self.counted = Some((now, rows));
            return;
        };
        let age = now - self.began;
        if last || now - since >= SAMPLE.max(age.mul_f64(CLOSE)) {
            let mut span = Span::new(SpanKind::Rows, since, now, "");
            span.rows = rows.saturating_sub(before);
            self.spans.push(span);
            self.counted = Some((now, rows));
        }
    }

    fn add(&mut self, span: Span) {
        // Locks are what one looks for by the millisecond, and there are few.
        let joins = !matches!(span.kind, SpanKind::Locks | SpanKind::Rows | SpanKind::Run);
        let close = span.to.saturating_duration_since(self.began).mul_f64(CLOSE);
        let last = self.spans.iter_mut().rev().find(|known| known.kind == span.kind);
        match last {
            Some(last) if joins && span.from.saturating_duration_since(last.to) < close => last.join(span),
            _ => self.spans.push(span),
        }
    }

    /// What can be written: everything, or everything but the latest of each sort.
    fn take(&mut self, all: bool) -> Vec<Span> {
        if all {
            return std::mem::take(&mut self.spans);
        }
        let mut open = Vec::new();
        let mut done = Vec::new();
        for span in std::mem::take(&mut self.spans).into_iter().rev() {
            let latest = !open.iter().any(|known: &Span| known.kind == span.kind);
            if latest { open.push(span) } else { done.push(span) }
        }
        open.reverse();
        done.reverse();
        self.spans = open;
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn notes(began: Instant) -> Notes {
        let key = StepKey::forward(1, 0);
        Notes { key, began, written: began, spans: Vec::new(), wait: None, counted: None }
    }

    #[test]
    fn a_wait_that_is_told_of_again_is_one_and_ends_when_it_ends() {
        let zero = Instant::now();
        let mut notes = notes(zero);
        notes.waiting("pid 1", zero + MS(100), zero + MS(100));
        notes.waiting("pid 2", zero + MS(101), zero + MS(1100));
        notes.end_wait(Some(zero + MS(1500)));
        notes.waiting("pid 3", zero + MS(9000), zero + MS(9000));
        notes.end_wait(None);
        let spans = notes.take(true);
        assert_eq!(spans.len(), 2, "{spans:#?}");
        assert_eq!((spans[0].message.as_str(), spans[0].busy), ("pid 2", MS(1400)));
        assert_eq!((spans[1].message.as_str(), spans[1].busy), ("pid 3", MS(0)));
    }

    #[test]
    fn what_follows_closely_is_one_row_and_nothing_is_lost() {
        let zero = Instant::now();
        let mut notes = notes(zero);
        let stall = |from, to| {
            let mut span = Span::new(SpanKind::Stall, zero + MS(from), zero + MS(to), "");
            (span.victims, span.waited, span.worst) = (1, MS(to - from), MS(to - from));
            span
        };
        // A day's backfill that makes somebody wait for 10 ms four times a second.
        for at in 0..345_600 {
            notes.add(stall(at * 250, at * 250 + 10));
        }
        let spans = notes.take(true);
        assert!(spans.len() < 1000, "{}", spans.len());
        assert_eq!(spans.iter().map(|span| span.times).sum::<u32>(), 345_600);
        assert_eq!(spans.iter().map(|span| span.busy).sum::<Duration>(), MS(3_456_000));
        assert_eq!(spans.iter().map(|span| span.victims).sum::<u32>(), 345_600);
        assert_eq!(spans[0].worst, MS(10));
    }

    #[test]
    fn the_latest_of_each_sort_stays_open_while_the_step_goes_on() {
        let zero = Instant::now();
        let mut notes = notes(zero);
        for (kind, at) in [(SpanKind::Locks, 0), (SpanKind::GivenUp, 50), (SpanKind::Locks, 100)] {
            notes.add(Span::new(kind, zero + MS(at), zero + MS(at + 1), ""));
        }
        let kinds = |spans: Vec<Span>| spans.into_iter().map(|span| span.kind).collect::<Vec<_>>();
        assert_eq!(kinds(notes.take(false)), [SpanKind::Locks]);
        assert_eq!(kinds(notes.take(false)), []);
        assert_eq!(kinds(notes.take(true)), [SpanKind::GivenUp, SpanKind::Locks]);
    }

    #[test]
    fn rows_are_counted_by_the_second_and_to_the_last() {
        let zero = Instant::now();
        let mut notes = notes(zero);
        for tenth in 0..25 {
            notes.count(tenth * 100, zero + MS(tenth * 100), tenth == 24);
        }
        let spans = notes.take(true);
        assert_eq!(spans.iter().map(|span| span.rows).collect::<Vec<_>>(), [1000, 1000, 400]);
    }
}
