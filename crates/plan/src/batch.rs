//! SQL text of a [`Backfill`]'s batches. Pure, so that explain and the runner show and run the same statements.
//!
//! A walk by pages asks for [`page_pass`] over windows of heap pages and ends with [`any_pending`], a look at all rows in
//! one snapshot; a walk by key first asks for the [`key_bound`] of the next batch, then for [`key_batch`] up to it; a walk
//! over a row set makes it by [`row_set_create`] and takes slices of it by [`row_set_batch`].
//!
//! User expressions stay as they were sliced from the file. They see their own table under its alias and nothing else
//! that could capture an unqualified name: columns of our own relations are named `concertina_1`, `concertina_2`, …

mod keeping;
mod keys;
mod pages;
mod row_set;
#[cfg(test)]
mod tests;

use crate::ddl;
use crate::plan::{Backfill, RowSet, Walk, Write};
use crate::sql::ident::{Ident, Name, list};

pub(crate) use keeping::after as kept_after;
pub use keys::{KeyColumn, key_batch, key_bound, key_end, key_source};
pub use pages::{Stride, all_at_once, any_pending, page_count, page_pass};
pub use row_set::{PASS, row_set_batch, row_set_create, row_set_drop, row_set_settings};

/// Alias of the table where no expression of the user's names it.
pub(crate) const ROW: &str = "concertina_row";

/// Alias of the relation that a batch takes its keys from.
const KEYS: &str = "concertina_keys";

/// Settings that keep a batch on the path it was written for, as SET LOCAL statements. A user's subquery is left to the
/// planner's own choice.
pub fn settings(backfill: &Backfill) -> String {
    let mut settings = String::from("SET LOCAL jit = off; SET LOCAL max_parallel_workers_per_gather = 0");
    if !has_subquery(backfill) {
        settings.push_str("; SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off");
        if matches!(backfill.walk, Walk::Key { .. } | Walk::RowSet(_)) {
            // Both would leave the order of the keys.
            settings.push_str("; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off");
        }
    }
    settings
}

fn has_subquery(backfill: &Backfill) -> bool {
    // A word inside a literal only costs the settings, never a wrong result.
    let select = |text: &str| text.to_ascii_lowercase().contains("select");
    let filter = match &backfill.walk {
        Walk::RowSet(RowSet { filter: Some(filter), .. }) => select(filter),
        _ => false,
    };
    filter
        || match backfill.write.kept() {
            Write::Update { set, pending, .. } => select(pending) || set.iter().any(|(_, expr)| select(expr)),
            _ => false,
        }
}

fn write(backfill: &Backfill, condition: &str, keys: Option<&Name>) -> String {
    let table = &backfill.table;
    let from = keys.map(|keys| format!(" FROM ONLY {keys} AS {KEYS}")).unwrap_or_default();
    match &backfill.write {
        Write::Update { alias, set, unchanged, pending } => {
            let set = set.iter().map(|(column, expr)| format!("{column} = {}", wrap(expr)));
            let unchanged = unchanged.iter().map(|column| format!("{column} = {alias}.{column}"));
            let set: Vec<String> = set.chain(unchanged).collect();
            format!(
                "UPDATE ONLY {table} AS {alias} SET {}{from} WHERE {condition} AND {}",
                set.join(", "),
                wrap(pending)
            )
        }
        Write::Delete { alias } => {
            let using = keys.map(|keys| format!(" USING ONLY {keys} AS {KEYS}")).unwrap_or_default();
            format!("DELETE FROM ONLY {table} AS {alias}{using} WHERE {condition}")
        }
        Write::Copy { into, columns, only } => {
            let columns = list(columns);
            let only = only.as_ref().map(|only| format!(" AND {}", wrap(only))).unwrap_or_default();
            format!(
                "WITH batch AS MATERIALIZED (SELECT {columns} FROM ONLY {table} AS {} WHERE {condition}{only} FOR KEY SHARE) \
                 INSERT INTO {into} ({columns}) SELECT {columns} FROM batch ON CONFLICT DO NOTHING",
                alias(backfill)
            )
        }
        // What was written into the column since it came back is newer than the archive.
        Write::Restore { column, pending, same, .. } => format!(
            "UPDATE ONLY {table} AS {alias} SET {column} = {KEYS}.{column}{from} WHERE {condition} AND {}",
            restorable(&alias(backfill), column, pending.as_deref(), same),
            alias = alias(backfill)
        ),
        Write::Keeping { what, into, key, columns } => {
            let plain = Backfill { write: (**what).clone(), ..backfill.clone() };
            keeping::write(&plain, condition, keys, &keeping::Kept { into, key, columns })
        }
        Write::PutBack { from, key, columns, deleted } => {
            keeping::put_back(table, condition, &keeping::Kept { into: from, key, columns }, *deleted)
        }
    }
}

/// Whether a row takes the archive's value.
fn restorable(alias: &Ident, column: &Ident, pending: Option<&str>, same: &[Ident]) -> String {
    let Some(pending) = pending else {
        return format!("{alias}.{column} IS NULL AND {KEYS}.{column} IS NOT NULL");
    };
    let rows = |columns: &[Ident]| {
        let of =
            |row: &str| columns.iter().map(|column| format!("{row}.{column}")).collect::<Vec<_>>().join(", ");
        format!("pg_catalog.record_image_ne(ROW({}), ROW({}))", of(&alias.to_string()), of(KEYS))
    };
    let differs = rows(std::slice::from_ref(column));
    let same = if same.is_empty() { String::new() } else { format!(" AND NOT {}", rows(same)) };
    format!("{} AND NOT {KEYS}.{} AND {differs}{same}", wrap(pending), ddl::archive::GONE)
}

fn alias(backfill: &Backfill) -> Ident {
    match backfill.write.kept() {
        Write::Update { alias, .. } | Write::Delete { alias } => alias.clone(),
        _ => Ident::new(ROW),
    }
}

/// A newline before the closing parenthesis, because a user's expression may end in a `--` comment.
fn wrap(expr: &str) -> String {
    if expr.contains("--") { format!("({expr}\n)") } else { format!("({expr})") }
}
