//! Ascending batches of a key, of the table or of the archive that is brought back.

use super::{KEYS, alias, write};
use crate::plan::{Backfill, Write};
use crate::sql::ident::{Ident, Name, list, literal};

/// A column of the key that is walked, with its type: the cursor keeps values as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyColumn {
    /// Name in the table.
    pub name: Ident,
    /// `format_type(atttypid, atttypmod)`.
    pub data_type: String,
}

/// The relation whose keys are walked: the archive that is brought back, or the table.
pub fn key_source(backfill: &Backfill) -> &Name {
    match &backfill.write {
        Write::Restore { from, .. } | Write::PutBack { from, .. } => from,
        Write::Update { .. } | Write::Delete { .. } | Write::Copy { .. } | Write::Keeping { .. } => {
            &backfill.table
        }
    }
}

/// Finds the greatest key there is, where the walk will end: rows that come later were written by code that already has
/// what the walk brings. Returns one row with a text for each key column; no row when there is nothing to walk.
pub fn key_end(backfill: &Backfill, key: &[KeyColumn]) -> String {
    let names = names(key);
    format!(
        "SELECT {} FROM ONLY {} AS {KEYS} ORDER BY {} LIMIT 1",
        texts(&names, key),
        key_source(backfill),
        descending(KEYS, &names)
    )
}

/// Finds the key of the last row of the next batch: `limit` rows after `after`, or the last row up to `end`. Returns one
/// row with a text for each key column and, last, the number of rows up to it; no row when the walk is at its end.
pub fn key_bound(
    backfill: &Backfill,
    key: &[KeyColumn],
    after: Option<&[String]>,
    end: &[String],
    limit: u64,
) -> String {
    let names = names(key);
    let order = list(&names);
    format!(
        "WITH batch AS MATERIALIZED (SELECT {order} FROM ONLY {} AS {KEYS} WHERE {} ORDER BY {order} LIMIT {limit}) \
         SELECT {}, (SELECT count(*) FROM batch) FROM batch ORDER BY {} LIMIT 1",
        key_source(backfill),
        between(KEYS, &names, key, after, end),
        texts(&names, key),
        descending("batch", &names)
    )
}

/// The write over the keys after `after` up to and including `upto`. The rows come in key order, from index scans on
/// both sides where there are two, so that two writers meet in the same order.
pub fn key_batch(
    backfill: &Backfill,
    key: &[KeyColumn],
    after: Option<&[String]>,
    upto: &[String],
) -> String {
    let alias = alias(backfill);
    let names = names(key);
    // Rows that were deleted are looked for nowhere else.
    if matches!(backfill.write, Write::PutBack { deleted: true, .. }) {
        return write(backfill, &between(KEYS, &names, key, after, upto), Some(key_source(backfill)));
    }
    let mut condition = between(&alias.to_string(), &names, key, after, upto);
    if *key_source(backfill) == backfill.table {
        return write(backfill, &condition, None);
    }
    // The server derives equalities from others but not ranges, so both sides get theirs.
    condition.push_str(&format!(" AND {}", between(KEYS, &names, key, after, upto)));
    for name in &names {
        condition.push_str(&format!(" AND {alias}.{name} = {KEYS}.{name}"));
    }
    write(backfill, &condition, Some(key_source(backfill)))
}

fn names(key: &[KeyColumn]) -> Vec<Ident> {
    key.iter().map(|column| column.name.clone()).collect()
}

/// Keys after `after`, if given, up to and including `upto`.
fn between(
    alias: &str,
    names: &[Ident],
    key: &[KeyColumn],
    after: Option<&[String]>,
    upto: &[String],
) -> String {
    let upto = compare(alias, names, "<=", key, upto);
    match after {
        Some(after) => format!("{} AND {upto}", compare(alias, names, ">", key, after)),
        None => upto,
    }
}

fn texts(names: &[Ident], key: &[KeyColumn]) -> String {
    let texts: Vec<String> =
        names.iter().zip(key).map(|(name, column)| as_text(&name.to_string(), &column.data_type)).collect();
    texts.join(", ")
}

/// Qualified, because a bare name would mean the text that is returned under that name, and order by it.
/// Source: doc/src/sgml/ref/select.sgml, "ORDER BY Clause".
fn descending(relation: &str, names: &[Ident]) -> String {
    let descending: Vec<String> = names.iter().map(|name| format!("{relation}.{name} DESC")).collect();
    descending.join(", ")
}

fn compare(alias: &str, names: &[Ident], operator: &str, key: &[KeyColumn], values: &[String]) -> String {
    let columns: Vec<String> = names.iter().map(|name| format!("{alias}.{name}")).collect();
    let values: Vec<String> = values
        .iter()
        .zip(key)
        .map(|(value, column)| format!("{}::{}", literal(value), column.data_type))
        .collect();
    match (columns.as_slice(), values.as_slice()) {
        ([column], [value]) => format!("{column} {operator} {value}"),
        _ => format!("({}) {operator} ({})", columns.join(", "), values.join(", ")),
    }
}

/// A value as text that reads back as the same value whatever `DateStyle` says. Source: to_jsonb writes dates and times
/// in ISO 8601 (doc/src/sgml/func.sgml, "JSON Creation Functions").
fn as_text(column: &str, data_type: &str) -> String {
    if data_type.starts_with("timestamp") || data_type == "date" {
        format!("to_jsonb({column}) #>> '{{}}'")
    } else {
        format!("{column}::text")
    }
}
