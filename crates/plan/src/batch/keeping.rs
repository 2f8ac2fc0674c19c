//! Batches that keep what they overwrite or remove, and those that put it back.
//!
//! Each is one statement, so that a row and what is kept of it are never seen, nor lost, one without the other.

use super::{KEYS, ROW, wrap};
use crate::plan::{Backfill, Write};
use crate::sql::ident::{Ident, Name, list};

/// Rows as they were, locked before they are written.
const BEFORE: &str = "concertina_before";

/// Rows that the batch has written.
const DONE: &str = "concertina_done";

/// The table that keeps rows, and what it keeps of them.
pub(super) struct Kept<'k> {
    pub(super) into: &'k Name,
    pub(super) key: &'k [Ident],
    pub(super) columns: &'k [Ident],
}

impl Kept<'_> {
    /// Columns that hold what an update left, in the order of those that hold what was there.
    fn after(&self) -> Vec<Ident> {
        (1..=self.columns.len()).map(after).collect()
    }
}

/// Name of the column that keeps what an update left in its n-th column, from 1.
pub(crate) fn after(number: usize) -> Ident {
    Ident::new(format!("concertina_after_{number}"))
}

/// The update or delete of `backfill`, which keeps the rows.
pub(super) fn write(backfill: &Backfill, condition: &str, keys: Option<&Name>, kept: &Kept) -> String {
    let (table, Kept { into, key, columns }) = (&backfill.table, kept);
    let from = keys.map(|keys| format!(", ONLY {keys} AS {KEYS}")).unwrap_or_default();
    let all = list(key.iter().chain(*columns));
    match &backfill.write {
        // The rows are locked where they are read, in their newest version: what is kept is what is overwritten. The update
        // takes them from there, so that it writes none before it is kept, and none twice.
        Write::Update { alias, set, pending, .. } => {
            let named = |prefix: &'static str, names: &[Ident]| -> Vec<Ident> {
                (1..=names.len()).map(|at| Ident::new(format!("concertina_{prefix}{at}"))).collect()
            };
            let (old_key, old) = (named("key_", key), named("old_", columns));
            let read: Vec<String> = key
                .iter()
                .chain(*columns)
                .zip(old_key.iter().chain(&old))
                .map(|(column, name)| format!("{alias}.{column} AS {name}"))
                .collect();
            let set: Vec<String> =
                set.iter().map(|(column, expr)| format!("{column} = {}", wrap(expr))).collect();
            let same: Vec<String> = key
                .iter()
                .zip(&old_key)
                .map(|(column, name)| format!("{alias}.{column} = {BEFORE}.{name}"))
                .collect();
            let written: Vec<String> = columns
                .iter()
                .zip(kept.after())
                .map(|(column, name)| format!("{alias}.{column} AS {name}"))
                .collect();
            let before: Vec<String> =
                old_key.iter().chain(&old).map(|name| format!("{BEFORE}.{name}")).collect();
            format!(
                "WITH {BEFORE} AS MATERIALIZED (SELECT {} FROM ONLY {table} AS {alias}{from} WHERE {condition} AND {} \
                 FOR NO KEY UPDATE OF {alias}), {DONE} AS (UPDATE ONLY {table} AS {alias} SET {} FROM {BEFORE} WHERE {} \
                 RETURNING {}, {}) INSERT INTO {into} ({all}, {}) SELECT * FROM {DONE}",
                read.join(", "),
                wrap(pending),
                set.join(", "),
                same.join(" AND "),
                before.join(", "),
                written.join(", "),
                list(&kept.after()),
            )
        }
        Write::Delete { alias } => {
            let using = keys.map(|keys| format!(" USING ONLY {keys} AS {KEYS}")).unwrap_or_default();
            let gone: Vec<String> =
                key.iter().chain(*columns).map(|column| format!("{alias}.{column}")).collect();
            format!(
                "WITH {DONE} AS (DELETE FROM ONLY {table} AS {alias}{using} WHERE {condition} RETURNING {}) \
                 INSERT INTO {into} ({all}) SELECT * FROM {DONE}",
                gone.join(", ")
            )
        }
        // Nothing of what other writes change needs keeping.
        _ => super::write(backfill, condition, keys),
    }
}

/// Rows are moved back, and leave the table that kept them; what was written since by others stays there.
pub(super) fn put_back(table: &Name, condition: &str, kept: &Kept, deleted: bool) -> String {
    let Kept { into: from, key, columns } = kept;
    let numbered: Vec<Ident> = (1..=key.len()).map(|at| Ident::new(format!("concertina_{at}"))).collect();
    let returning = |row: Option<&str>| {
        let row = row.map(|row| format!("{row}.")).unwrap_or_default();
        let columns = key.iter().zip(&numbered).map(|(column, name)| format!("{row}{column} AS {name}"));
        columns.collect::<Vec<_>>().join(", ")
    };
    let back = if deleted {
        let all: Vec<&Ident> = key.iter().chain(*columns).collect();
        let values: Vec<String> = all.iter().map(|column| format!("{KEYS}.{column}")).collect();
        format!(
            "INSERT INTO {table} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM ONLY {from} AS {KEYS} WHERE {condition} \
             ON CONFLICT DO NOTHING RETURNING {}",
            list(all),
            values.join(", "),
            returning(None)
        )
    } else {
        let set: Vec<String> = columns.iter().map(|column| format!("{column} = {KEYS}.{column}")).collect();
        let now: Vec<String> = columns.iter().map(|column| format!("{ROW}.{column}")).collect();
        let left: Vec<String> = kept.after().iter().map(|column| format!("{KEYS}.{column}")).collect();
        format!(
            "UPDATE ONLY {table} AS {ROW} SET {} FROM ONLY {from} AS {KEYS} WHERE {condition} AND NOT \
             pg_catalog.record_image_ne(ROW({}), ROW({})) RETURNING {}",
            set.join(", "),
            now.join(", "),
            left.join(", "),
            returning(Some(ROW))
        )
    };
    let same: Vec<String> =
        key.iter().zip(&numbered).map(|(column, name)| format!("{KEYS}.{column} = {DONE}.{name}")).collect();
    format!(
        "WITH {DONE} AS ({back}) DELETE FROM ONLY {from} AS {KEYS} USING {DONE} WHERE {}",
        same.join(" AND ")
    )
}
