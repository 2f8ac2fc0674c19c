//! What is being done, while it is done: a line that moves on a terminal, lines at a sane rate in a log.

use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::args::{Color, Global};
use crate::render::{FAINT, duration, say};

/// A log gets a line this often while something lasts.
const PACE: Duration = Duration::from_secs(10);
const WIDTH: usize = 20;

/// Where it is shown.
#[derive(Debug)]
pub struct Stage {
    show: Show,
    now: Mutex<Now>,
}

#[derive(Debug)]
enum Show {
    Nothing,
    Lines,
    Bar(ProgressBar),
}

#[derive(Debug)]
struct Now {
    title: String,
    since: Instant,
    said: Instant,
    /// The sentence that a log has had already.
    meaning: &'static str,
}

impl Stage {
    /// Fits stderr and the flags.
    pub fn new(global: &Global) -> Stage {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let terminal = std::io::stderr().is_terminal() && global.color != Color::Never && !dumb;
        let show = match (global.quiet, terminal) {
            (true, _) => Show::Nothing,
            (false, true) => Show::Bar(bar()),
            (false, false) => Show::Lines,
        };
        let now = Instant::now();
        Stage { show, now: Mutex::new(Now { title: String::new(), since: now, said: now, meaning: "" }) }
    }

    /// Something begins.
    pub fn begin(&self, title: impl Into<String>) {
        let title = title.into();
        match &self.show {
            Show::Nothing => {}
            Show::Lines => say(&format!("{title} …")),
            Show::Bar(bar) => {
                bar.reset();
                bar.set_prefix(title.clone());
                bar.set_message("");
                bar.enable_steady_tick(Duration::from_millis(120));
            }
        }
        let now = Instant::now();
        *self.now() = Now { title, since: now, said: now, meaning: "" };
    }

    /// It goes on: what is done just now, which share of it is done, what the clients feel, and what there is to see in that.
    pub fn working(&self, what: &str, done: Option<f64>, clients: &str, meaning: &'static str) {
        let what = what.lines().next().unwrap_or_default();
        let share = done.map(|done| format!(" {:.0} %", done.clamp(0.0, 1.0) * 100.0)).unwrap_or_default();
        match &self.show {
            Show::Nothing => {}
            Show::Bar(bar) => {
                let drawn = done.map(|done| format!("{} ", draw(done))).unwrap_or_default();
                bar.set_message(format!(
                    "\n    {drawn}{what}{share}\n    {clients}\n    {FAINT}{meaning}{FAINT:#}"
                ));
            }
            Show::Lines => {
                let mut now = self.now();
                if now.meaning != meaning {
                    now.meaning = meaning;
                    say(&format!("  {:>6}  {what}: {meaning}", duration(now.since.elapsed())));
                }
                if now.said.elapsed() >= PACE {
                    now.said = Instant::now();
                    say(&format!("  {:>6}  {what}{share}; {clients}", duration(now.since.elapsed())));
                }
            }
        }
    }

    /// What is done just now, where no clients run.
    pub fn live(&self, what: &str) {
        if let Show::Bar(bar) = &self.show {
            bar.set_message(format!("\n    {what}"));
        }
    }

    /// It is done; what came of it.
    pub fn done(&self, detail: &str) {
        let now = self.now();
        let took = duration(now.since.elapsed());
        match &self.show {
            Show::Nothing => {}
            Show::Lines => say(&format!("  {took}: {detail}")),
            Show::Bar(bar) => {
                bar.disable_steady_tick();
                bar.finish_and_clear();
                say(&format!("✓ {} ({took}): {detail}", now.title));
            }
        }
    }

    /// Nothing moves any more.
    pub fn finish(&self) {
        if let Show::Bar(bar) = &self.show {
            bar.disable_steady_tick();
            bar.finish_and_clear();
        }
    }

    fn now(&self) -> std::sync::MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn draw(done: f64) -> String {
    let full = (done.clamp(0.0, 1.0) * WIDTH as f64).round() as usize;
    format!("{}{}", "█".repeat(full), "░".repeat(WIDTH - full))
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
    let style = ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_spinner());
    bar.set_style(style.tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ "));
    bar.finish_and_clear();
    bar
}

const TEMPLATE: &str = "{spinner} {prefix} {elapsed}{msg}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_valid_and_the_bar_has_one_length() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
        for done in [-1.0, 0.0, 0.33, 1.0, 2.0] {
            assert_eq!(draw(done).chars().count(), WIDTH);
        }
    }
}
