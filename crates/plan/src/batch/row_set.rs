//! The rows that a statement writes, fixed at its start in a table of ours, in the order in which they are written.

use super::{KEYS, alias, wrap, write};
use crate::plan::{Backfill, RowSet};
use crate::sql::ident::{Ident, list};

/// Column of the row set that counts its rows from 1.
const ROW: &str = "concertina_number";

/// Rows of the table whose passes follow each other; a power of two. Large enough that a pass is many batches, small
/// enough that what one pass touched is still in memory for the next.
const WINDOW: u32 = 1 << 18;

/// Passes over a window.
const PASSES: u32 = 16;

/// Rows of one pass over a window: the most that a batch may take, because pruning waits for the batch's end.
pub const PASS: u32 = WINDOW / PASSES;

/// Statements that make the row set: the keys of the rows that satisfy the filter now, in one snapshot. They belong into
/// one transaction with the journal's word that the row set exists; the first one's row count is the row set's.
///
/// Its order is that of the heap, in windows, and of each window first every 16th row, then every 16th of the others, and
/// so on: the versions that a pass leaves dead make room on their page for those of the next, so that most are HOT
/// updates. It is only an order: rows that clients move meanwhile are found by their key all the same.
pub fn row_set_create(backfill: &Backfill, row_set: &RowSet) -> Vec<String> {
    let RowSet { table, key, filter, alias } = row_set;
    let sources: Vec<String> =
        key.iter().enumerate().map(|(at, column)| format!("{alias}.{column} AS {}", numbered(at))).collect();
    let names: Vec<Ident> = (0..key.len()).map(numbered).collect();
    let filter = filter.as_deref().map(|filter| format!(" WHERE {}", wrap(filter))).unwrap_or_default();
    vec![
        format!(
            "CREATE TABLE {table} AS SELECT row_number() OVER (ORDER BY {ROW} / {WINDOW}, {ROW} % {PASSES}, {ROW}) AS {ROW}, \
             {} FROM (SELECT row_number() OVER () AS {ROW}, {} FROM ONLY {} AS {alias}{filter}) AS heap",
            list(&names),
            sources.join(", "),
            backfill.table
        ),
        format!("ALTER TABLE {table} ADD PRIMARY KEY ({ROW})"),
    ]
}

/// Settings under which the row set follows the heap: nothing that would start in its middle or mix its parts.
pub fn row_set_settings() -> &'static str {
    "SET LOCAL jit = off; SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL synchronize_seqscans = off"
}

/// The write over rows `after + 1` to `upto` of the row set that still satisfy the filter.
pub fn row_set_batch(backfill: &Backfill, row_set: &RowSet, after: u64, upto: u64) -> String {
    let alias = alias(backfill);
    let mut condition = format!("{KEYS}.{ROW} > {after} AND {KEYS}.{ROW} <= {upto}");
    for (at, column) in row_set.key.iter().enumerate() {
        condition.push_str(&format!(" AND {alias}.{column} = {KEYS}.{}", numbered(at)));
    }
    if let Some(filter) = &row_set.filter {
        condition.push_str(&format!(" AND {}", wrap(filter)));
    }
    write(backfill, &condition, Some(&row_set.table))
}

/// Removes the row set.
pub fn row_set_drop(row_set: &RowSet) -> String {
    format!("DROP TABLE IF EXISTS {}", row_set.table)
}

fn numbered(at: usize) -> Ident {
    Ident::new(format!("concertina_{}", at + 1))
}
