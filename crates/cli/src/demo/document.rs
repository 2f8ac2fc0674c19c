//! The same as the screen, for programs.

use std::time::Duration;

use concertina_lab::traffic::{Bucket, Window};

use super::run::Outcome;
use super::shop::{MIGRATION, SETTINGS};
use super::{Seen, chart};
use crate::wire::{DemoDocument, Felt, Moment, Run, Span};

/// Everything that was seen.
pub fn document(seen: &Seen) -> DemoDocument {
    DemoDocument {
        server_version: seen.machine.version.clone(),
        cores: seen.machine.cores,
        settings: SETTINGS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        migration: MIGRATION.to_owned(),
        rows: seen.size.orders,
        database_bytes: seen.bytes,
        rate: seen.options.rate,
        connections: seen.options.connections,
        max_stall_ms: ms(seen.options.settings.max_stall),
        naive: run(&seen.naive),
        concertina: run(&seen.online),
        steps: seen.steps.clone(),
        faults: seen.faults(),
    }
}

fn run(outcome: &Outcome) -> Run {
    let state = &outcome.state;
    Run {
        seconds: outcome.took.as_secs_f64(),
        rows_written: outcome.written,
        rows: state.rows,
        rows_right: state.right,
        before: felt(&outcome.before()),
        during: felt(&outcome.during()),
        scheduled: outcome.report.scheduled,
        unanswered: outcome.report.unanswered(),
        acknowledged_writes: outcome.acknowledged.inserted + outcome.acknowledged.updated,
        acknowledged_writes_lost: state.lost(outcome.acknowledged),
        spans: outcome
            .spans
            .iter()
            .map(|span| Span {
                mark: span.letter,
                what: span.what.clone(),
                from_seconds: span.from.as_secs_f64(),
                to_seconds: span.to.as_secs_f64(),
            })
            .collect(),
        locks: outcome.locks.clone(),
        moments: outcome.report.buckets.iter().map(moment).collect(),
        worst_ms_by_second: chart::worst(&outcome.report, Duration::from_secs(1))
            .into_iter()
            .map(ms)
            .collect(),
    }
}

fn moment(bucket: &Bucket) -> Moment {
    Moment {
        at_seconds: bucket.at.as_secs_f64(),
        answered: bucket.count,
        errors: bucket.errors.clone(),
        p50_ms: ms(bucket.p50),
        p99_ms: ms(bucket.p99),
        worst_ms: ms(bucket.max),
    }
}

fn felt(window: &Window) -> Felt {
    Felt {
        operations: window.ops,
        failed: window.failed,
        errors: window.errors.clone(),
        p50_ms: ms(window.p50),
        p99_ms: ms(window.p99),
        worst_ms: ms(window.max),
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
