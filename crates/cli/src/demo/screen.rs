//! The one screen at the end: plain text that says what was measured, and what it means.

use std::time::Duration;

use super::run::{AFTER, DEPLOY, Outcome};
use super::shop::{MIGRATION, SETTINGS};
use super::{Seen, chart, clients, comparison, document};
use crate::render::{BAD, FAINT, GOOD, STRONG, bytes, count, duration, table, table_text};

/// A line for each way, as it ends.
pub(crate) fn summary(outcome: &Outcome) -> String {
    let during = outcome.during();
    format!(
        "migration {}, longest wait {}, {} of {} operations failed",
        duration(outcome.took),
        duration(during.max),
        count(during.failed),
        count(during.ops + during.failed),
    )
}

/// Everything that was seen.
pub fn text(seen: &Seen) -> String {
    let mut out = String::new();
    let parts = [setting(seen), migration(seen), figures(seen), charts(seen), verdict(seen), next()];
    for part in parts {
        out.push('\n');
        out.push_str(&part);
    }
    out
}

fn setting(seen: &Seen) -> String {
    let settings: Vec<String> = SETTINGS.iter().map(|(name, value)| format!("{name} {value}")).collect();
    format!(
        "{STRONG}PostgreSQL {}{STRONG:#} on {} cores; fsync on, {}\n\
         {} orders, {} customers, {} products: {}, the same files for both runs\n\
         {} connections, {} operations a second ({} % reads), the same seed; each is timed from when it was due\n\
         Concertina may keep a client waiting for {} at most, and works {:.0} % of the time, in batches of {}, while it fills rows\n",
        seen.machine.version,
        seen.machine.cores,
        settings.join(", "),
        count(seen.size.orders),
        count(seen.size.customers),
        count(seen.size.products),
        bytes(seen.bytes),
        seen.options.connections,
        seen.options.rate,
        clients::reads(),
        duration(seen.options.settings.max_stall),
        seen.options.settings.throttle.load * 100.0,
        duration(seen.options.settings.throttle.batch),
    )
}

/// The file, numbered as in the chart, with the time of each statement.
fn migration(seen: &Seen) -> String {
    let mut out =
        format!("{STRONG}The migration{STRONG:#}, with the time of each statement in the naive run\n");
    let mut spans = seen.naive.spans.iter().filter(|span| span.letter.is_ascii_digit());
    for line in MIGRATION.lines().filter(|line| !line.starts_with("--")) {
        if let Some(span) = spans.next() {
            out.push_str(&format!("  {}  {:>8}  {line}\n", span.letter, duration(span.to - span.from)));
        }
    }
    out
}

fn figures(seen: &Seen) -> String {
    let mut rows = table(&["", "naively", "with Concertina"]);
    for row in comparison::rows(&document(seen)) {
        rows.add_row(row);
    }
    let same = if seen.difference().is_empty() { "the same" } else { "NOT the same" };
    format!(
        "{}Columns, constraints, indexes and triggers in the end: {same} in both databases.\n\
         {FAINT}before → during: {} of traffic alone → from the first statement to {} after the last.\n\
         Right after COMMIT or expand new code is deployed, connection by connection, in {}; contract follows.{FAINT:#}\n",
        table_text(&rows),
        duration(seen.options.before),
        duration(AFTER),
        duration(DEPLOY),
    )
}

fn charts(seen: &Seen) -> String {
    let column = chart::column(seen.naive.report.elapsed.max(seen.online.report.elapsed));
    let mut out = String::new();
    for (title, outcome, legend) in [
        ("naively", &seen.naive, "1-6 the statements, one transaction"),
        ("with Concertina", &seen.online, "e expand  b backfill  v validate  c contract"),
    ] {
        let title = format!("{STRONG}Longest wait {title}{STRONG:#}, a column is {}", duration(column));
        out.push_str(&format!("{title}, blank is below 10 ms\n"));
        for line in chart::draw(outcome, column) {
            out.push_str(&line);
            out.push('\n');
        }
        out.push_str(&format!("{FAINT}         {legend}  d deploy  . clients only{FAINT:#}\n"));
    }
    out
}

/// Sentences made of the figures alone.
fn verdict(seen: &Seen) -> String {
    let mut out = String::new();
    for (who, outcome) in [("Naively", &seen.naive), ("With Concertina", &seen.online)] {
        let during = outcome.during();
        let wrong = outcome.state.rows - outcome.state.right;
        let style = if during.failed + wrong == 0 { GOOD } else { BAD };
        out.push_str(&format!(
            "{STRONG}{who}{STRONG:#} an operation waited for up to {style}{}{style:#}, {style}{}{style:#} failed, \
             and {style}{}{style:#} of the orders were left with a wrong total.\n",
            duration(during.max),
            number(during.failed),
            number(wrong),
        ));
    }
    if seen.stalls.sum > Duration::ZERO || seen.stalls.retries > 0 {
        out.push_str(&format!(
            "Its locks kept others waiting for at most {}, {} together; it gave way {} times.\n",
            duration(seen.stalls.worst),
            duration(seen.stalls.sum),
            seen.stalls.retries
        ));
    }
    for fault in seen.faults() {
        out.push_str(&format!("{BAD}This must not be{BAD:#}, please report it: {fault}.\n"));
    }
    out
}

fn number(number: u64) -> String {
    if number == 0 { "none".to_owned() } else { count(number) }
}

fn next() -> String {
    format!(
        "{STRONG}On your own database{STRONG:#}, which `plan` only reads:\n\
         \x20 export DATABASE_URL=postgres://you@host/database\n\
         \x20 concertina init && concertina new first_change      # then write plain SQL into the file it names\n\
         \x20 concertina plan                                     # read it; then expand, deploy, contract\n"
    )
}
