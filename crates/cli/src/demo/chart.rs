//! The longest wait over time, drawn with letters: it survives a log, a chat and a terminal without colour.

use std::time::Duration;

use concertina_lab::traffic::{BUCKET, Report};

use super::run::{Outcome, Span};

const WIDTH: u32 = 66;
/// One row of blocks each, a power of ten apart; a bar that reaches into a row is at least that long.
const ROWS: [(&str, f64); 4] = [("10 s", 10_000.0), ("1 s", 1_000.0), ("100 ms", 100.0), ("10 ms", 10.0)];
const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// How much time a column stands for, so that the longest run fits: both charts share it.
pub(crate) fn column(longest: Duration) -> Duration {
    let steps = longest.as_secs_f64() / BUCKET.as_secs_f64() / f64::from(WIDTH);
    BUCKET * (steps.ceil() as u32).max(1)
}

/// Rows of blocks, then a row that says what went on.
pub(crate) fn draw(outcome: &Outcome, column: Duration) -> Vec<String> {
    let worst = worst(&outcome.report, column);
    let mut lines: Vec<String> = ROWS
        .iter()
        .map(|(label, from)| {
            let blocks: String = worst.iter().map(|&wait| block(wait, *from)).collect();
            format!("{label:>7} │{}", blocks.trim_end())
        })
        .collect();
    lines.push(format!("{:>7} └{}", "", marks(&outcome.spans, column, worst.len())));
    lines
}

/// The longest wait of operations that fell due in each column.
pub(crate) fn worst(report: &Report, column: Duration) -> Vec<Duration> {
    let buckets = (column.as_micros() / BUCKET.as_micros()).max(1) as usize;
    let longest = |buckets: &[concertina_lab::traffic::Bucket]| buckets.iter().map(|bucket| bucket.max).max();
    report.buckets.chunks(buckets).filter_map(longest).collect()
}

/// How far into the row that begins at `from` milliseconds a wait reaches, on a logarithmic scale.
fn block(wait: Duration, from: f64) -> char {
    let ms = wait.as_secs_f64() * 1000.0;
    if ms < from {
        return BLOCKS[0];
    }
    let eighths = ((ms / from).log10() * 8.0).floor() as usize + 1;
    BLOCKS[eighths.min(8)]
}

/// For each column the letter of the shortest span in it: what lasted for milliseconds is still seen.
fn marks(spans: &[Span], column: Duration, columns: usize) -> String {
    (0..columns as u32)
        .map(|number| {
            let (from, to) = (column * number, column * (number + 1));
            let here = spans.iter().filter(|span| span.from < to && span.to > from);
            let shortest = here.min_by_key(|span| (span.letter == '.', span.to - span.from));
            shortest.map_or('.', |span| span.letter)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn span(letter: char, from: u64, to: u64) -> Span {
        Span { letter, what: String::new(), from: MS(from), to: MS(to) }
    }

    #[test]
    fn a_column_is_wide_enough_for_the_longest_run() {
        assert_eq!(column(MS(3_000)), MS(100));
        assert_eq!(column(MS(66_100)), MS(1_100));
    }

    #[test]
    fn blocks_grow_with_the_logarithm() {
        let tower = |wait: Duration| ROWS.iter().map(|(_, from)| block(wait, *from)).collect::<String>();
        assert_eq!(tower(MS(0)), "    ");
        assert_eq!(tower(MS(9)), "    ");
        assert_eq!(tower(MS(10)), "   ▁");
        assert_eq!(tower(MS(100)), "  ▁█");
        assert_eq!(tower(MS(5_000)), " ▆██");
        assert_eq!(tower(MS(200_000)), "████");
    }

    #[test]
    fn short_spans_are_seen_and_quiet_ones_give_way() {
        let spans = [span('.', 0, 1000), span('e', 1000, 1010), span('b', 1010, 2900), span('.', 2900, 4000)];
        assert_eq!(marks(&spans, MS(1000), 4), ".eb.");
        let spans = [span('b', 0, 2900), span('.', 2900, 3100)];
        assert_eq!(marks(&spans, MS(1000), 4), "bbb.");
    }
}
