//! Rows in quarantine, as a table.

use concertina_plan::plan::Blocks;
use concertina_run::quarantine::{Entry, Retried};

use super::{plural, table, table_text, time};
use crate::exit_code::ExitCode;
use crate::failure::Failure;

/// In the order in which they came.
pub fn text(entries: &[Entry]) -> String {
    if entries.is_empty() {
        return "No row is in quarantine.\n".to_owned();
    }
    let mut out = table(&["NUMBER", "ROW", "COLUMN", "WHY", "SINCE", "BLOCKS"]);
    for entry in entries {
        out.add_row([
            &entry.id.to_string(),
            &format!("{} {}", entry.table, entry.row()),
            &entry.column,
            &why(entry),
            &time(&entry.at),
            &format!("{} of {}", blocks(entry.blocks), entry.migration),
        ]);
    }
    format!(
        "{}\nCorrect a row through the application, or: concertina quarantine set NUMBER VALUE; concertina quarantine retry\n",
        table_text(&out)
    )
}

/// The command that does not go on without them.
pub fn blocks(what: Blocks) -> &'static str {
    match what {
        Blocks::Switch => "switch",
        Blocks::Contract => "contract",
        Blocks::Undo => "undo",
    }
}

fn why(entry: &Entry) -> String {
    format!("{} ({})", entry.message, entry.sqlstate)
}

/// All of them have their values.
pub fn retried(retried: &Retried) -> String {
    match retried.repaired.len() {
        0 => "No row is in quarantine.\n".to_owned(),
        rows => format!("{} repaired; none is left in quarantine.\n", plural(rows, "row")),
    }
}

/// Some have not.
pub fn left(retried: &Retried) -> Failure {
    let rows = retried.left.iter().take(5).map(|entry| {
        format!("{}: {} {}, column {}: {}", entry.id, entry.table, entry.row(), entry.column, why(entry))
    });
    Failure {
        rows: rows.collect(),
        ..Failure::new(
            ExitCode::Blocked,
            format!(
                "{} repaired, {} left in quarantine",
                plural(retried.repaired.len(), "row"),
                plural(retried.left.len(), "row")
            ),
        )
        .hint(
            "Correct the rows through the application, or give values with `concertina quarantine set NUMBER VALUE`. Rows of a table \
             without a unique NOT NULL key can only be corrected through the application.",
        )
    }
}

/// One has its value.
pub fn set(entry: &Entry, left: usize) -> String {
    format!(
        "{} of {} has its value in {}; {} left in quarantine.\n",
        entry.row(),
        entry.table,
        entry.column,
        plural(left, "row")
    )
}
