//! The report as one HTML file: no script, no font, no network, so that it opens wherever it is sent, in ten years, too.
//!
//! ```text
//! axis  seconds to per cent, long pauses folded      lanes  SVG of one row of a timeline      shell  the page around it
//! timeline  the rows of a plan's steps                  steps  the same in words
//! run   the page of a migration's run (wire::ReportDocument)      demo  the page of the demo (wire::DemoDocument)
//! latency  what clients felt, over time
//! ```
//! Pure functions of the document that `--format json` prints. Drawn by hand: positions in per cent and text in pixels keep a
//! chart legible from a telephone to a poster, which the chart crates, drawing into a fixed box, cannot. Whatever a colour
//! says, a shape, a pattern or a word says as well, and every chart stands beside a table. `maud` escapes all text.

mod axis;
mod demo;
mod lanes;
mod latency;
mod run;
mod shell;
mod steps;
mod timeline;

pub use demo::page as demo_page;
pub use run::page as run_page;

use std::time::Duration;

/// Seconds for people.
fn seconds(seconds: f64) -> String {
    crate::render::duration(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX))
}

/// Milliseconds for people.
fn ms(ms: f64) -> String {
    seconds(ms / 1e3)
}

/// Waits of others: who waits is looked at every 20 ms or so, and a shorter wait may go unseen.
fn seen(ms: f64) -> String {
    if ms <= 0.0 { "none seen".to_owned() } else { seconds(ms / 1e3) }
}
