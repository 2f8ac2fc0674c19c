//! Ctrl-C and SIGTERM: the first asks the run to stop at a safe point, the second leaves at once.

use std::sync::Arc;

use concertina_run::engine::Stop;
use tokio::signal::unix::{SignalKind, signal};

use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::render::progress::Progress;

/// Listens from now on until the process ends.
pub(crate) fn listen(stop: Stop, progress: Arc<Progress>) -> Result<(), Failure> {
    let mut signals = Vec::new();
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        signals.push(
            signal(kind)
                .map_err(|error| Failure::unexpected(format!("cannot listen for signals: {error}")))?,
        );
    }
    let [mut interrupt, mut terminate, mut hangup] =
        <[_; 3]>::try_from(signals).map_err(|_| Failure::unexpected("three signals were asked for"))?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
            if stop.requested() {
                progress.finish();
                progress
                    .say("Leaving at once. What was committed stays; the same command goes on from there.");
                std::process::exit(ExitCode::Interrupted as i32);
            }
            stop.request();
            progress.say("Stopping at the next safe point; once more leaves at once, and going on later is safe either way.");
        }
    });
    Ok(())
}
