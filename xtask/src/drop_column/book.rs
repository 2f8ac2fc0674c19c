//! What the server acknowledged, by row.

use std::collections::BTreeMap;

/// `note` of the rows that are there at first, as SQL over `i`.
pub(super) const FIRST_NOTE_SQL: &str = "CASE WHEN i % 7 <> 0 THEN 'first ' || i END";

fn first_note(id: i64) -> Option<String> {
    (id % 7 != 0).then(|| format!("first {id}"))
}

/// A row as it must be.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) stock: i32,
    pub(super) note: Option<String>,
    pub(super) deleted: bool,
}

impl Row {
    /// As it is before anybody writes it.
    pub(super) fn first(id: i64) -> Self {
        Self { stock: 0, note: first_note(id), deleted: false }
    }
}

/// Rows that one client wrote, each as the last acknowledged write left it.
#[derive(Debug, Default)]
pub(super) struct Book {
    rows: BTreeMap<i64, Row>,
    writes: u64,
}

impl Book {
    /// One book of many that have no row in common.
    pub(super) fn all(books: Vec<Self>) -> Self {
        let mut all = Self::default();
        for book in books {
            all.rows.extend(book.rows);
            all.writes += book.writes;
        }
        all
    }

    /// A write of the row was acknowledged.
    pub(super) fn knows(&self, id: i64) -> bool {
        self.rows.contains_key(&id)
    }

    /// The row as it must be; `None` for one that was deleted.
    pub(super) fn row(&self, id: i64) -> Option<Row> {
        let row = self.rows.get(&id).cloned().unwrap_or_else(|| Row::first(id));
        (!row.deleted).then_some(row)
    }

    /// The server acknowledged a write.
    pub(super) fn acknowledged(&mut self, id: i64, row: Row) {
        self.rows.insert(id, row);
        self.writes += 1;
    }

    pub(super) fn writes(&self) -> u64 {
        self.writes
    }

    pub(super) fn rows(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn greatest(&self) -> i64 {
        self.rows.last_key_value().map_or(0, |(id, _)| *id)
    }

    /// What differs between the rows found after `from` up to `upto` and those that must be there, of which the first `first`
    /// were there before.
    pub(super) fn differences(
        &self,
        first: i64,
        from: i64,
        upto: i64,
        found: &[(i64, i32, Option<String>)],
    ) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut found = found.iter().peekable();
        for id in from + 1..=upto {
            let there = found.next_if(|(found, ..)| *found == id);
            let known = id <= first || self.knows(id);
            let wanted = if known { self.row(id) } else { None };
            match (there, wanted) {
                (None, None) => {}
                (Some((_, stock, note)), Some(row)) if *stock == row.stock && *note == row.note => {}
                (there, wanted) => wrong.push(format!("row {id}: is {there:?}, must be {wanted:?}")),
            }
        }
        wrong
    }
}
