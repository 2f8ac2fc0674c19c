//! Tells on stderr what a run does: a bar on a terminal, lines at a sane rate in a log.

use std::io::{IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use concertina_plan::estimate::span;
use concertina_run::event::{Event, Observer};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{count, duration, plural};
use crate::args::{Color, Global};

/// In a log, progress and waits of one step come no faster than this; the first wait comes at once.
const PACE: Duration = Duration::from_secs(10);
/// The bar counts thousandths: a walk knows its share done better than the number of rows.
const WHOLE: u64 = 1000;

/// The observer of every command.
pub struct Progress {
    state: Mutex<State>,
}

struct State {
    show: Show,
    steps: usize,
    begun: usize,
    title: String,
    rows: Option<u64>,
    pace: Pace,
    stall: Option<(u32, Duration)>,
}

enum Show {
    /// `--quiet`
    Nothing,
    /// A log: whole lines.
    Lines(Box<dyn Write + Send>),
    /// A terminal: whole lines above one that moves.
    Bar(ProgressBar),
}

impl Progress {
    /// Fits stderr and the flags.
    pub fn new(global: &Global) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let terminal = std::io::stderr().is_terminal() && global.color != Color::Never && !dumb;
        Self::with(match (global.quiet, terminal) {
            (true, _) => Show::Nothing,
            (false, true) => Show::Bar(hidden_bar()),
            (false, false) => Show::Lines(Box::new(anstream::stderr())),
        })
    }

    fn with(show: Show) -> Self {
        let (steps, begun, title, rows, stall) = (0, 0, String::new(), None, None);
        Self { state: Mutex::new(State { show, steps, begun, title, rows, pace: Pace::default(), stall }) }
    }

    /// Writes a line without disturbing the bar.
    pub fn say(&self, line: &str) {
        self.state().line(line);
    }

    /// Nothing moves any more: results and questions follow.
    pub fn finish(&self) {
        if let Show::Bar(bar) = &self.state().show {
            bar.finish_and_clear();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Progress").finish_non_exhaustive()
    }
}

impl Observer for Progress {
    fn event(&self, event: &Event) {
        self.state().event(event, Instant::now());
    }
}

impl State {
    fn event(&mut self, event: &Event, now: Instant) {
        match event {
            Event::MigrationStarted { migration, command, steps } => {
                (self.steps, self.begun) = (*steps, 0);
                self.line(&format!("{migration}: {command}, {}", plural(*steps, "step")));
            }
            Event::StepStarted { phase, title, resumed, expected, .. } => {
                self.begun += 1;
                (self.rows, self.stall) = (None, None);
                self.pace = Pace { progress: Some(now), ..Pace::default() };
                let more = match expected {
                    _ if *resumed => ", goes on".to_owned(),
                    // What is over in a moment needs no announcement.
                    Some(expected) if expected.low >= 1.0 => format!(", expected to take {}", span(expected)),
                    _ => String::new(),
                };
                self.title = format!("{} {}: {title}{more}", self.number(), phase.as_str());
                match &self.show {
                    Show::Bar(bar) => start(bar, &self.title),
                    _ => self.line(&self.title.clone()),
                }
            }
            Event::Waiting { reason, since, .. } => {
                let text = waiting(reason, *since);
                self.moving(&text, |pace| &mut pace.waiting, now);
            }
            Event::Retry { attempt, reason, .. } => {
                let text = format!("tries again (try {attempt}): {reason}");
                self.moving(&text, |pace| &mut pace.retry, now);
            }
            Event::Progress { rows, done, rate, eta, .. } => {
                self.rows = Some(*rows);
                if let Show::Bar(bar) = &self.show {
                    bar_position(bar, *done);
                }
                self.moving(&progress(*rows, *done, *rate, *eta), |pace| &mut pace.progress, now);
            }
            Event::Stalled { victims, worst, .. } => {
                let (known, longest) = self.stall.unwrap_or_default();
                self.stall = Some((known + victims, longest.max(*worst)));
            }
            Event::StepDone { took, already, .. } => self.step_done(*took, *already),
            Event::MigrationDone { migration, took } => {
                self.clear();
                self.line(&format!("{migration}: done in {}", duration(*took)));
            }
            Event::Note(text) => self.line(text),
            // For the harness; a person has read the locks in the plan.
            Event::LocksHeld { .. } => {}
        }
    }

    fn step_done(&mut self, took: Duration, already: bool) {
        let mut text =
            if already { "was done already".to_owned() } else { format!("done in {}", duration(took)) };
        if let Some(rows) = self.rows {
            text.push_str(&format!(", {} rows", count(rows)));
        }
        if let Some((victims, worst)) = self.stall {
            let sessions = plural(victims as usize, "session");
            text.push_str(&format!(", {sessions} waited for it, at most {}", duration(worst)));
        }
        self.clear();
        match &self.show {
            // The bar showed the title only while it moved.
            Show::Bar(_) => self.line(&format!("{}: {text}", self.title)),
            _ => self.line(&format!("{} {text}", self.number())),
        }
    }

    /// What is true now and not in a moment: the bar's message, or a line when the pace allows.
    fn moving(&mut self, text: &str, slot: fn(&mut Pace) -> &mut Option<Instant>, now: Instant) {
        match &self.show {
            Show::Nothing => {}
            Show::Bar(bar) => bar.set_message(text.to_owned()),
            Show::Lines(_) => {
                let last = slot(&mut self.pace);
                if last.is_none_or(|last| now.duration_since(last) >= PACE) {
                    *last = Some(now);
                    self.line(&format!("{} {text}", self.number()));
                }
            }
        }
    }

    fn number(&self) -> String {
        // An undo may meet more steps than it announced; never show 5/4.
        format!("[{}/{}]", self.begun, self.steps.max(self.begun))
    }

    fn line(&mut self, line: &str) {
        match &mut self.show {
            Show::Nothing => {}
            Show::Lines(out) => {
                let _ = writeln!(out, "{line}");
            }
            Show::Bar(bar) => bar.suspend(|| super::say(line)),
        }
    }

    fn clear(&mut self) {
        if let Show::Bar(bar) = &self.show {
            bar.disable_steady_tick();
            bar.finish_and_clear();
        }
    }
}

/// When each sort of line was last written for the present step.
#[derive(Default)]
struct Pace {
    progress: Option<Instant>,
    waiting: Option<Instant>,
    retry: Option<Instant>,
}

fn waiting(reason: &str, since: Duration) -> String {
    if since < Duration::from_secs(1) {
        format!("waits: {reason}")
    } else {
        format!("waits, {} so far: {reason}", duration(since))
    }
}

fn progress(rows: u64, done: f64, rate: f64, eta: Option<Duration>) -> String {
    let left = eta.map(|eta| format!(", {} left", duration(eta))).unwrap_or_default();
    format!(
        "{:.1} %, {} rows, {} rows/s{left}",
        done.clamp(0.0, 1.0) * 100.0,
        count(rows),
        count(rate.max(0.0) as u64)
    )
}

fn hidden_bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(WHOLE), ProgressDrawTarget::stderr_with_hz(10));
    bar.finish_and_clear();
    bar
}

fn start(bar: &ProgressBar, title: &str) {
    bar.reset();
    bar.set_style(style("{spinner} {prefix}  {elapsed}  {wide_msg}"));
    bar.set_prefix(title.to_owned());
    bar.set_message("");
    bar.enable_steady_tick(Duration::from_millis(120));
}

/// From the first progress on there is a bar to draw.
fn bar_position(bar: &ProgressBar, done: f64) {
    if bar.position() == 0 {
        bar.set_style(style("{spinner} {prefix}\n  {bar:30} {wide_msg}"));
    }
    bar.set_position((done.clamp(0.0, 1.0) * WHOLE as f64).max(1.0) as u64);
}

fn style(template: &str) -> ProgressStyle {
    // The templates are constants, and the test below reads them.
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("█▉▊▋▌▍▎▏ ")
        .tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ")
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use concertina_plan::plan::Phase;

    use super::*;
    use concertina_plan::estimate::{Basis, Expected};

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn started() -> Event {
        Event::StepStarted {
            step: 3,
            phase: Phase::Backfill,
            title: "Fill total".into(),
            resumed: false,
            expected: None,
        }
    }

    fn at(second: u64, event: Event) -> (u64, Event) {
        (second, event)
    }

    fn log(events: Vec<(u64, Event)>) -> String {
        let sink = Sink::default();
        let progress = Progress::with(Show::Lines(Box::new(sink.clone())));
        let start = Instant::now();
        for (second, event) in events {
            progress.state().event(&event, start + Duration::from_secs(second));
        }
        String::from_utf8(sink.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn a_log_has_one_line_an_event_at_a_sane_rate() {
        let row = |rows: u64| Event::Progress {
            step: 3,
            rows,
            done: rows as f64 / 2_000_000.0,
            rate: 50_000.0,
            eta: Some(Duration::from_secs(20)),
        };
        let waiting = |since: u64| Event::Waiting {
            step: 3,
            reason: "a standby is 80 MB behind".into(),
            since: Duration::from_secs(since),
        };
        let text = log(vec![
            at(0, Event::MigrationStarted { migration: "0001_a".into(), command: "expand", steps: 2 }),
            at(0, started()),
            at(1, row(100)),
            at(2, waiting(0)),
            at(3, waiting(1)),
            at(4, waiting(2)),
            at(11, row(1_000_000)),
            at(12, row(1_100_000)),
            at(13, waiting(11)),
            at(
                30,
                Event::Stalled { step: 3, victims: 2, worst: Duration::from_millis(41), sum: Duration::ZERO },
            ),
            at(31, Event::StepDone { step: 3, took: Duration::from_secs(31), already: false }),
            at(31, Event::MigrationDone { migration: "0001_a".into(), took: Duration::from_secs(31) }),
        ]);
        assert_eq!(
            text,
            "\
0001_a: expand, 2 steps
[1/2] backfill: Fill total
[1/2] waits: a standby is 80 MB behind
[1/2] 50.0 %, 1,000,000 rows, 50,000 rows/s, 20.0 s left
[1/2] waits, 11.0 s so far: a standby is 80 MB behind
[1/2] done in 31.0 s, 1,100,000 rows, 2 sessions waited for it, at most 41 ms
0001_a: done in 31.0 s
"
        );
    }

    #[test]
    fn a_long_step_says_beforehand_what_is_expected() {
        let log = |low| {
            let expected = Some(Expected { low, high: 300.0, basis: Basis::Measured(3) });
            let Event::StepStarted { step, phase, title, resumed, .. } = started() else { unreachable!() };
            log(vec![at(0, Event::StepStarted { step, phase, title, resumed, expected })])
        };
        assert_eq!(
            log(60.0),
            "[1/1] backfill: Fill total, expected to take 60 s to 5 min (as 3 earlier steps on this server)\n"
        );
        assert_eq!(log(0.5), "[1/1] backfill: Fill total\n");
    }

    #[test]
    fn what_was_done_already_is_said() {
        let text = log(vec![
            at(0, started()),
            at(0, Event::StepDone { step: 3, took: Duration::ZERO, already: true }),
        ]);
        assert!(text.ends_with("[1/1] was done already\n"), "{text}");
    }

    #[test]
    fn the_templates_are_valid() {
        for template in
            ["{spinner} {prefix}  {elapsed}  {wide_msg}", "{spinner} {prefix}\n  {bar:30} {wide_msg}"]
        {
            assert!(ProgressStyle::with_template(template).is_ok());
        }
    }
}
