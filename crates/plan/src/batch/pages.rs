//! Windows of heap pages.

use super::{alias, wrap, write};
use crate::plan::{Backfill, Write};
use crate::sql::ident::{Name, literal};

/// Which rows of a window one pass takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stride {
    /// Which of the `of` parts.
    pub part: u32,
    /// How many parts a window has: a power of two.
    pub of: u32,
}

/// The write over the heap pages `from..to`; with a stride, over one part of their rows.
///
/// The range is a TID range scan (since 14). Source: release notes 14, "Allow efficient heap scanning of a range of
/// TIDs". The parts come from `hashtid`, which spreads the rows of a page evenly enough: taking the offset out of
/// `tidsend` was measured slower by more than the better spread gained. Every pass asks it of every row of the window, so
/// it must be cheap: a mask, where `%` made the whole walk a fifth slower. Source: src/backend/utils/adt/tid.c.
pub fn page_pass(backfill: &Backfill, from: u64, to: u64, stride: Option<Stride>) -> String {
    let alias = alias(backfill);
    let mut range = format!("{alias}.ctid >= '({from},0)' AND {alias}.ctid < '({to},0)'");
    if let Some(Stride { part, of }) = stride {
        range.push_str(&format!(" AND (hashtid({alias}.ctid) & {}) = {part}", of - 1));
    }
    write(backfill, &range, None)
}

/// The write over every row that still needs it, in one statement and so in one snapshot: no row escapes by moving.
pub fn all_at_once(backfill: &Backfill) -> String {
    write(backfill, "true", None)
}

/// Returns a row if any row still needs the write; `None` where the write has no such predicate.
pub fn any_pending(backfill: &Backfill) -> Option<String> {
    match &backfill.write {
        Write::Update { alias, pending, .. } => {
            Some(format!("SELECT 1 FROM ONLY {} AS {alias} WHERE {} LIMIT 1", backfill.table, wrap(pending)))
        }
        Write::Delete { .. }
        | Write::Copy { .. }
        | Write::Restore { .. }
        | Write::Keeping { .. }
        | Write::PutBack { .. } => None,
    }
}

/// One past the last heap page of a table as it is now.
pub fn page_count(table: &Name) -> String {
    format!(
        "SELECT pg_relation_size({}::regclass) / current_setting('block_size')::int8",
        literal(&table.to_string())
    )
}
