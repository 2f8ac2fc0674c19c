//! The two runs side by side: the same rows on the screen and on the page.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::render::{count, duration};
use crate::wire::{DemoDocument, Felt, Run};

/// What is compared, then the naive run, then Concertina's.
pub(crate) fn rows(seen: &DemoDocument) -> Vec<[String; 3]> {
    let runs = [&seen.naive, &seen.concertina];
    let mut rows = Vec::new();
    let mut add = |name: &str, cell: &dyn Fn(&Run) -> String| {
        let [naive, online] = runs.map(cell);
        rows.push([name.to_owned(), naive, online]);
    };
    let felt = |show: fn(&Felt) -> f64| {
        move |run: &Run| format!("{} → {}", ms(show(&run.before)), ms(show(&run.during)))
    };
    add("longest wait of an operation", &felt(|felt| felt.worst_ms));
    add("p99", &felt(|felt| felt.p99_ms));
    add("p50", &felt(|felt| felt.p50_ms));
    add("operations that failed", &|run| {
        let all = run.during.operations + run.during.failed;
        format!("{} → {} of {}", count(run.before.failed), count(run.during.failed), count(all))
    });
    let codes: BTreeSet<&String> = runs.iter().flat_map(|run| run.during.errors.keys()).collect();
    for code in codes {
        let failed = |run: &Run| count(run.during.errors.get(code).copied().unwrap_or(0));
        add(format!("  {code} {}", meaning(code)).trim_end(), &failed);
    }
    add("orders with a wrong total in the end", &|run| count(wrong(run)));
    add("acknowledged writes lost", &|run| count(run.acknowledged_writes_lost));
    add("rows changed by the migration", &|run| count(run.rows_written));
    add("time the migration took", &|run| ms(run.seconds * 1e3));
    rows
}

/// Orders without the right total.
pub(crate) fn wrong(run: &Run) -> u64 {
    run.rows.saturating_sub(run.rows_right)
}

/// Milliseconds for people.
pub(crate) fn ms(ms: f64) -> String {
    duration(Duration::try_from_secs_f64(ms.max(0.0) / 1e3).unwrap_or(Duration::MAX))
}

/// What the demo's statements can run into, in words.
pub(crate) fn meaning(code: &str) -> &'static str {
    match code {
        "23502" => "null value: old code does not know the column",
        "40P01" => "deadlock",
        "55P03" => "lock timeout",
        "57014" => "cancelled",
        "0A000" => "cached plan",
        "connection" => "lost",
        "wrong" => "answer",
        _ => "",
    }
}
