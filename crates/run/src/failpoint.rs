//! Places where a test kills this process, as `kill -9` would: `CONCERTINA_FAILPOINT=<name>:<n>` kills at the n-th time
//! (from 1) that the place is reached. Unarmed, a place costs one atomic load.
//!
//! Several places may be listed with commas; `*` stands for any place, which is how a harness reaches every boundary
//! without knowing their names.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Name of the environment variable.
pub const VARIABLE: &str = "CONCERTINA_FAILPOINT";

/// Every place, in the order in which a migration meets them.
pub const PLACES: &[&str] = &[
    "plan_stored",
    "step_begun",
    "locks_taken",
    "before_commit",
    "after_commit",
    "alone_begun",
    "alone_running",
    "alone_failed",
    "alone_done",
    "row_set_made",
    "batch_before_commit",
    "batch_after_commit",
    "state_changed",
];

struct Armed {
    place: String,
    left: AtomicU64,
}

static ARMED: LazyLock<Vec<Armed>> = LazyLock::new(|| {
    let Ok(text) = std::env::var(VARIABLE) else { return Vec::new() };
    text.split(',')
        .filter_map(|one| {
            let (place, nth) = one.trim().split_once(':').unwrap_or((one.trim(), "1"));
            Some(Armed { place: place.to_owned(), left: AtomicU64::new(nth.parse().ok()?) })
        })
        .collect()
});

/// Dies here if armed for it.
pub(crate) fn reach(place: &'static str) {
    debug_assert!(PLACES.contains(&place), "failpoint {place} is not listed");
    for armed in ARMED.iter() {
        if (armed.place == "*" || armed.place == place) && armed.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            die();
        }
    }
}

/// Nothing of ours runs after this: no destructor, no buffered write, no polite goodbye to the server.
fn die() -> ! {
    // SIGKILL without `unsafe`: the shell sends it. Should there be no shell, abort is the next best.
    let kill = format!("kill -KILL {}", std::process::id());
    let _ = std::process::Command::new("sh").args(["-c", &kill]).status();
    std::process::abort()
}
