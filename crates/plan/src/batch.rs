//! SQL text of a [`Backfill`]'s batches. Pure, so that explain and the runner show and run the same statements.
//!
//! A walk by pages asks for [`page_pass`] over windows of heap pages; a walk by key first asks for the [`key_bound`] of
//! the next batch, then for [`key_batch`] up to it. Both end with [`any_pending`], a look at all rows in one snapshot.
//!
//! User expressions stay as they were sliced from the file. They see their own table under its alias and nothing else
//! that could capture an unqualified name: columns of our own relations are named `concertina_1`, `concertina_2`, …

use crate::plan::{Backfill, RowSet, Walk, Write};
use crate::sql::ident::{Ident, Name, list, literal};

/// Alias of the relation that a batch takes its keys from.
const KEYS: &str = "concertina_keys";

/// Which rows of a window one pass takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stride {
    /// Which of the `of` parts.
    pub part: u32,
    /// How many parts a window has.
    pub of: u32,
}

/// The write over the heap pages `from..to`; with a stride, over one part of their rows.
///
/// The range is a TID range scan (since 14). Source: release notes 14, "Allow efficient heap scanning of a range of
/// TIDs". The parts come from `hashtid`, which spreads the rows of a page evenly enough and costs next to nothing:
/// taking the offset out of `tidsend` was measured slower by more than the better spread gained. `hashtid` is signed and
/// `%` follows the sign of its left side, so the sign bit is masked out. Source: src/backend/utils/adt/tid.c.
pub fn page_pass(backfill: &Backfill, from: u64, to: u64, stride: Option<Stride>) -> String {
    let alias = alias(backfill);
    let mut range = format!("{alias}.ctid >= '({from},0)' AND {alias}.ctid < '({to},0)'");
    if let Some(Stride { part, of }) = stride {
        range.push_str(&format!(" AND (hashtid({alias}.ctid) & 2147483647) % {of} = {part}"));
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
        Write::Copy { .. } | Write::Restore { .. } => None,
    }
}

/// One past the last heap page of a table as it is now.
pub fn page_count(table: &Name) -> String {
    format!(
        "SELECT pg_relation_size({}::regclass) / current_setting('block_size')::int8",
        literal(&table.to_string())
    )
}

/// Statements that make the row set: the keys of the rows that satisfy the filter now, in one snapshot, with the key as
/// primary key. They belong into one transaction with the journal's word that the row set exists.
pub fn row_set_create(backfill: &Backfill, key: &[KeyColumn], row_set: &RowSet) -> Vec<String> {
    let RowSet { table, filter, alias } = row_set;
    let columns: Vec<String> = key
        .iter()
        .enumerate()
        .map(|(at, column)| format!("{alias}.{} AS {}", column.name, numbered(at)))
        .collect();
    let filter = filter.as_deref().map(|filter| format!(" WHERE {}", wrap(filter))).unwrap_or_default();
    let names: Vec<Ident> = (0..key.len()).map(numbered).collect();
    vec![
        format!(
            "CREATE TABLE {table} AS SELECT {} FROM ONLY {} AS {alias}{filter}",
            columns.join(", "),
            backfill.table
        ),
        format!("ALTER TABLE {table} ADD PRIMARY KEY ({})", list(&names)),
    ]
}

/// Removes the row set.
pub fn row_set_drop(row_set: &RowSet) -> String {
    format!("DROP TABLE IF EXISTS {}", row_set.table)
}

/// A column of the key that is walked, with its type: the cursor keeps values as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyColumn {
    /// Name in the table.
    pub name: Ident,
    /// `format_type(atttypid, atttypmod)`.
    pub data_type: String,
}

/// Key columns of the walk, in order; empty for a walk by pages.
pub fn key_columns(backfill: &Backfill) -> &[Ident] {
    match &backfill.walk {
        Walk::Pages { .. } => &[],
        Walk::Key { columns, .. } => columns,
    }
}

/// The relation whose keys are walked: the row set, the archive that is brought back, or the table.
pub fn key_source(backfill: &Backfill) -> &Name {
    match (&backfill.walk, &backfill.write) {
        (Walk::Key { row_set: Some(row_set), .. }, _) => &row_set.table,
        (_, Write::Restore { from, .. }) => from,
        _ => &backfill.table,
    }
}

/// Finds the greatest key there is, where the walk will end: rows that come later were written by code that already has
/// what the walk brings. Returns one row with a text for each key column; no row when there is nothing to walk.
pub fn key_end(backfill: &Backfill, key: &[KeyColumn]) -> String {
    let names = source_columns(backfill, key);
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
    let names = source_columns(backfill, key);
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
    let own: Vec<Ident> = key.iter().map(|column| column.name.clone()).collect();
    let mut condition = between(&alias.to_string(), &own, key, after, upto);
    if *key_source(backfill) == backfill.table {
        return write(backfill, &condition, None);
    }
    // The server derives equalities from others but not ranges, so both sides get theirs.
    let names = source_columns(backfill, key);
    condition.push_str(&format!(" AND {}", between(KEYS, &names, key, after, upto)));
    for (own, source) in own.iter().zip(&names) {
        condition.push_str(&format!(" AND {alias}.{own} = {KEYS}.{source}"));
    }
    if let Walk::Key { row_set: Some(RowSet { filter: Some(filter), .. }), .. } = &backfill.walk {
        condition.push_str(&format!(" AND {}", wrap(filter)));
    }
    write(backfill, &condition, Some(key_source(backfill)))
}

/// Settings that keep a batch on the path it was written for, as SET LOCAL statements. A user's subquery is left to the
/// planner's own choice.
pub fn settings(backfill: &Backfill) -> String {
    let mut settings = String::from("SET LOCAL jit = off; SET LOCAL max_parallel_workers_per_gather = 0");
    if !has_subquery(backfill) {
        settings.push_str("; SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off");
        if matches!(backfill.walk, Walk::Key { .. }) {
            // Both would leave the order of the key.
            settings.push_str("; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off");
        }
    }
    settings
}

fn has_subquery(backfill: &Backfill) -> bool {
    // A word inside a literal only costs the settings, never a wrong result.
    let select = |text: &str| text.to_ascii_lowercase().contains("select");
    let filter = match &backfill.walk {
        Walk::Key { row_set: Some(RowSet { filter: Some(filter), .. }), .. } => select(filter),
        _ => false,
    };
    filter
        || match &backfill.write {
            Write::Update { set, pending, .. } => select(pending) || set.iter().any(|(_, expr)| select(expr)),
            Write::Copy { .. } | Write::Restore { .. } => false,
        }
}

fn write(backfill: &Backfill, condition: &str, keys: Option<&Name>) -> String {
    let table = &backfill.table;
    let from = keys.map(|keys| format!(" FROM ONLY {keys} AS {KEYS}")).unwrap_or_default();
    match &backfill.write {
        Write::Update { alias, set, pending } => {
            let set: Vec<String> =
                set.iter().map(|(column, expr)| format!("{column} = {}", wrap(expr))).collect();
            format!(
                "UPDATE ONLY {table} AS {alias} SET {}{from} WHERE {condition} AND {}",
                set.join(", "),
                wrap(pending)
            )
        }
        Write::Copy { into, columns } => {
            let columns = list(columns);
            format!(
                "WITH batch AS MATERIALIZED (SELECT {columns} FROM ONLY {table} AS {} WHERE {condition} FOR KEY SHARE) \
                 INSERT INTO {into} ({columns}) SELECT {columns} FROM batch ON CONFLICT DO NOTHING",
                alias(backfill)
            )
        }
        // What was written into the column since it came back is newer than the archive.
        Write::Restore { column, .. } => format!(
            "UPDATE ONLY {table} AS {alias} SET {column} = {KEYS}.{column}{from} \
             WHERE {condition} AND {alias}.{column} IS NULL AND {KEYS}.{column} IS NOT NULL",
            alias = alias(backfill)
        ),
    }
}

fn alias(backfill: &Backfill) -> Ident {
    match &backfill.write {
        Write::Update { alias, .. } => alias.clone(),
        Write::Copy { .. } | Write::Restore { .. } => Ident::new("concertina_row"),
    }
}

/// Column names of the key in [`key_source`].
fn source_columns(backfill: &Backfill, key: &[KeyColumn]) -> Vec<Ident> {
    match (&backfill.walk, &backfill.write) {
        (Walk::Key { row_set: Some(_), .. }, _) => (0..key.len()).map(numbered).collect(),
        (_, Write::Restore { key, .. }) => key.clone(),
        _ => key.iter().map(|column| column.name.clone()).collect(),
    }
}

fn numbered(at: usize) -> Ident {
    Ident::new(format!("concertina_{}", at + 1))
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

/// A newline before the closing parenthesis, because a user's expression may end in a `--` comment.
fn wrap(expr: &str) -> String {
    if expr.contains("--") { format!("({expr}\n)") } else { format!("({expr})") }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn update(walk: Walk) -> Backfill {
        Backfill {
            table: Name::new("app", "Users"),
            write: Write::Update {
                alias: Ident::new("u"),
                set: vec![(Ident::new("email lower"), "lower(email) -- as it is".into())],
                pending: "\"email lower\" IS NULL".into(),
            },
            walk,
            fire_triggers: true,
            rows: 10,
        }
    }

    fn key(columns: &[(&str, &str)]) -> Vec<KeyColumn> {
        columns
            .iter()
            .map(|(name, data_type)| KeyColumn { name: Ident::new(*name), data_type: (*data_type).into() })
            .collect()
    }

    #[test]
    fn a_strided_pass_and_the_rest_of_the_window() {
        let backfill = update(Walk::Pages { stride: 16 });
        assert_eq!(
            page_pass(&backfill, 0, 4096, Some(Stride { part: 3, of: 16 })),
            "UPDATE ONLY app.\"Users\" AS u SET \"email lower\" = (lower(email) -- as it is\n) WHERE \
             u.ctid >= '(0,0)' AND u.ctid < '(4096,0)' AND (hashtid(u.ctid) & 2147483647) % 16 = 3 \
             AND (\"email lower\" IS NULL)"
        );
        assert!(!page_pass(&backfill, 0, 4096, None).contains("hashtid"));
        assert_eq!(
            any_pending(&backfill).as_deref(),
            Some("SELECT 1 FROM ONLY app.\"Users\" AS u WHERE (\"email lower\" IS NULL) LIMIT 1")
        );
    }

    #[test]
    fn keys_in_order_with_a_composite_key() {
        let columns = vec![Ident::new("day"), Ident::new("id")];
        let backfill = update(Walk::Key { columns, row_set: None });
        let key = key(&[("day", "date"), ("id", "uuid")]);
        let after = ["2026-01-02".to_owned(), "a".to_owned()];
        assert_eq!(
            key_end(&backfill, &key),
            "SELECT to_jsonb(day) #>> '{}', id::text FROM ONLY app.\"Users\" AS concertina_keys \
             ORDER BY concertina_keys.day DESC, concertina_keys.id DESC LIMIT 1"
        );
        let end = ["2026-12-31".to_owned(), "z".to_owned()];
        assert_eq!(
            key_bound(&backfill, &key, Some(&after), &end, 500),
            "WITH batch AS MATERIALIZED (SELECT day, id FROM ONLY app.\"Users\" AS concertina_keys WHERE \
             (concertina_keys.day, concertina_keys.id) > ('2026-01-02'::date, 'a'::uuid) AND \
             (concertina_keys.day, concertina_keys.id) <= ('2026-12-31'::date, 'z'::uuid) \
             ORDER BY day, id LIMIT 500) \
             SELECT to_jsonb(day) #>> '{}', id::text, (SELECT count(*) FROM batch) FROM batch \
             ORDER BY batch.day DESC, batch.id DESC LIMIT 1"
        );
        assert!(key_batch(&backfill, &key, None, &after).contains(
            "WHERE (u.day, u.id) <= ('2026-01-02'::date, 'a'::uuid) AND (\"email lower\" IS NULL)"
        ));
    }

    #[test]
    fn a_row_set_fixes_the_rows_and_rechecks_the_filter() {
        let row_set = RowSet {
            table: Name::new("concertina", "rows_1"),
            filter: Some("id > 3".into()),
            alias: Ident::new("u"),
        };
        let columns = vec![Ident::new("id")];
        let backfill = update(Walk::Key { columns, row_set: Some(row_set.clone()) });
        let key = key(&[("id", "bigint")]);
        assert_eq!(
            row_set_create(&backfill, &key, &row_set),
            [
                "CREATE TABLE concertina.rows_1 AS SELECT u.id AS concertina_1 FROM ONLY app.\"Users\" AS u \
                 WHERE (id > 3)",
                "ALTER TABLE concertina.rows_1 ADD PRIMARY KEY (concertina_1)",
            ]
        );
        let sql = key_batch(&backfill, &key, Some(&["7".to_owned()]), &["9".to_owned()]);
        assert!(
            sql.contains("FROM ONLY concertina.rows_1 AS concertina_keys WHERE u.id > '7'::bigint AND"),
            "{sql}"
        );
        assert!(sql.contains("AND u.id = concertina_keys.concertina_1 AND (id > 3)"), "{sql}");
    }

    #[test]
    fn a_copy_locks_its_rows_and_a_restore_walks_the_archive() {
        let mut backfill = update(Walk::Key { columns: vec![Ident::new("id")], row_set: None });
        let key = key(&[("id", "bigint")]);
        let archive = Name::new("concertina_archive", "a");
        let id = Ident::new("id");
        backfill.write = Write::Copy { into: archive.clone(), columns: vec![id.clone(), Ident::new("x")] };
        assert_eq!(
            key_batch(&backfill, &key, None, &["9".to_owned()]),
            "WITH batch AS MATERIALIZED (SELECT id, x FROM ONLY app.\"Users\" AS concertina_row WHERE \
             concertina_row.id <= '9'::bigint FOR KEY SHARE) INSERT INTO concertina_archive.a (id, x) \
             SELECT id, x FROM batch ON CONFLICT DO NOTHING"
        );
        backfill.write = Write::Restore { from: archive, key: vec![id], column: Ident::new("x") };
        assert!(
            key_bound(&backfill, &key, None, &["9".to_owned()], 10)
                .contains("FROM ONLY concertina_archive.a AS concertina_keys")
        );
        assert_eq!(
            key_batch(&backfill, &key, None, &["9".to_owned()]),
            "UPDATE ONLY app.\"Users\" AS concertina_row SET x = concertina_keys.x \
             FROM ONLY concertina_archive.a AS concertina_keys WHERE concertina_row.id <= '9'::bigint \
             AND concertina_keys.id <= '9'::bigint AND concertina_row.id = concertina_keys.id \
             AND concertina_row.x IS NULL AND concertina_keys.x IS NOT NULL"
        );
    }
}
