//! A wait before a try, outside any queue: whom for is told at once, then once a second.

use std::time::{Duration, Instant};

use crate::event::Event;
use crate::executor::{Job, Run};

/// How often to look whether whoever is waited for is gone.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Since when, and when it was last told.
#[derive(Debug)]
pub(crate) struct Wait {
    began: Instant,
    told: Option<Instant>,
}

impl Wait {
    /// Begins now.
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), told: None }
    }

    /// How long it lasts.
    pub(crate) fn lasts(&self) -> Duration {
        self.began.elapsed()
    }

    /// Tells whom the step waits for, `oldest` and `others` more, and returns it in words.
    pub(crate) fn tell(&mut self, run: &Run, job: &Job<'_>, oldest: &str, others: usize) -> String {
        let reason = match others {
            0 => oldest.to_owned(),
            more => format!("{oldest}, and {more} more"),
        };
        if self.told.is_none_or(|told| told.elapsed() >= Duration::from_secs(1)) {
            run.tell(&Event::Waiting { step: job.number, reason: reason.clone(), since: self.lasts() });
            self.told = Some(Instant::now());
        }
        reason
    }
}
