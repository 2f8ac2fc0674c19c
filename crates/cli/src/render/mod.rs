//! Text for people. Colour only underlines what the words say already: without it nothing is lost.

use std::io::Write;
use std::time::Duration;

use anstyle::{AnsiColor, Style};

pub mod adopt;
pub mod archive;
pub mod check;
pub mod failure;
pub mod history;
pub mod outcome;
pub mod plan;
pub mod progress;
pub mod quarantine;
pub mod status;

/// Names of things, headings.
pub const STRONG: Style = Style::new().bold();
/// What can be skipped.
pub const FAINT: Style = Style::new().dimmed();
/// Done, unharmed.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// Waits, or wants attention.
pub const WARN: Style = AnsiColor::Yellow.on_default();
/// Failed, refused, removes data.
pub const BAD: Style = AnsiColor::Red.on_default().bold();

/// Writes an answer to stdout. Whoever closed the pipe has read enough.
pub fn answer(text: &str) {
    let _ = anstream::stdout().write_all(text.as_bytes());
}

/// Writes a line for people to stderr.
pub fn say(text: &str) {
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// `850 ms`, `8.2 s`, `3 min 12 s`, `2 h 5 min`
pub fn duration(duration: Duration) -> String {
    let ms = duration.as_millis();
    let seconds = duration.as_secs();
    match seconds {
        0 if ms < 10 => format!("{:.1} ms", duration.as_secs_f64() * 1000.0),
        0 => format!("{ms} ms"),
        1..60 => format!("{:.1} s", duration.as_secs_f64()),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// `1,234,567`
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

pub use concertina_plan::estimate::bytes;

/// `1 step`, `2 steps`
pub fn plural(number: usize, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

/// A time from the ledger to the second: `2026-11-21 10:30:00Z`.
pub fn time(rfc3339: &str) -> String {
    match rfc3339.parse::<jiff::Timestamp>() {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
        Err(_) => rfc3339.to_owned(),
    }
}

/// A table without lines around it: it survives copying into a chat or an issue.
pub(crate) fn table(header: &[&str]) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::NOTHING).set_header(header);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

/// The table's lines without trailing blanks.
pub(crate) fn table_text(table: &comfy_table::Table) -> String {
    table.to_string().lines().flat_map(|line| [line.trim_end(), "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        assert_eq!(duration(Duration::from_micros(1234)), "1.2 ms");
        assert_eq!(duration(Duration::from_millis(850)), "850 ms");
        assert_eq!(duration(Duration::from_millis(8249)), "8.2 s");
        assert_eq!(duration(Duration::from_secs(192)), "3 min 12 s");
        assert_eq!(duration(Duration::from_secs(7500)), "2 h 5 min");
        assert_eq!(
            ["0", "999", "1,000", "1,234,567"],
            [0, 999, 1000, 1_234_567].map(count).each_ref().map(|s| s.as_str())
        );
        assert_eq!(
            [0, 1023, 1024, 3_565_158].map(bytes).each_ref().map(|s| s.as_str()),
            ["0 bytes", "1023 bytes", "1.0 kB", "3.4 MB"]
        );
        assert_eq!(time("2026-11-21T10:30:00.123+00:00"), "2026-11-21 10:30:00Z");
    }
}
