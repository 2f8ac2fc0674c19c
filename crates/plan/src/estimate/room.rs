//! Room on disk that one step may need: more rather than less, but not so much that no large table could ever be changed.
//!
//! Measured by a test on a real server (crates/run/tests/room.rs): growth of heap and indexes, and WAL written, are within these.

use std::collections::BTreeMap;

use super::sizes::{Sizes, Table};
use crate::catalog::Index;
use crate::effect::Effect;
use crate::plan::{Action, Backfill, Plan, Step, Walk, WorkKind, Write};
use crate::sql::ident::{Ident, Name};

/// Room that a step may need, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// What is still there when it is done: an index, new values, dead row versions, an archive copy.
    pub keeps: u64,
    /// What is there while it runs only: sorting, the rows that a statement was fixed to, a table beside its rewritten copy.
    pub passing: u64,
    /// WAL that it writes, wherever that goes.
    pub wal: u64,
}

/// What of a step's room lies in one tablespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// As [`Room::keeps`].
    pub keeps: u64,
    /// As [`Room::passing`].
    pub passing: u64,
}

/// Room as it is summed up, each part in its place.
#[derive(Default)]
struct Needed {
    room: Room,
    elsewhere: BTreeMap<Ident, Used>,
}

impl Needed {
    fn keeps(&mut self, space: Option<&Ident>, bytes: u64) {
        self.room.keeps += bytes;
        if let Some(space) = space {
            self.elsewhere.entry(space.clone()).or_default().keeps += bytes;
        }
    }

    fn passes(&mut self, space: Option<&Ident>, bytes: u64) {
        self.room.passing += bytes;
        if let Some(space) = space {
            self.elsewhere.entry(space.clone()).or_default().passing += bytes;
        }
    }

    fn logs(&mut self, table: &Table, bytes: u64) {
        self.room.wal += if table.unlogged { 0 } else { bytes };
    }
}

/// Header of a row with its line pointer and padding. Source: "Database Page Layout" in doc/src/sgml/storage.sgml: 23 bytes and 4,
/// aligned to 8.
const ROW: u64 = 32;

/// Header of an index entry with its line pointer and padding: 8 bytes and 4, aligned to 8.
const ENTRY: u64 = 16;

/// WAL around one row: record headers, the lock that PostgreSQL logs before it updates, the share of COMMIT and cursor.
const RECORD: u64 = 200;

/// WAL around one index entry.
const ENTRY_RECORD: u64 = 90;

/// Bytes of a value about whose column nothing is known.
const VALUE: u64 = 32;

pub(super) fn of(step: &Step, plan: &Plan, sizes: &Sizes) -> (Room, BTreeMap<Ident, Used>) {
    let mut needed = Needed::default();
    if let Action::Backfill(work) = &step.action {
        backfill(work, plan, sizes, &mut needed);
        return (needed.room, needed.elsewhere);
    }
    for work in &step.work {
        let table = sizes.of(&work.relation);
        match work.what {
            // A scan may write hint bits, which costs no room, and with page checksums WAL that an earlier scan has paid for.
            WorkKind::Scan => {}
            WorkKind::IndexBuild => index_build(step, plan, sizes, (&work.relation, table), &mut needed),
            WorkKind::Rewrite | WorkKind::Rows => {
                needed.passes(table.space.as_ref(), table.heap + table.toast);
                for (index, bytes) in &table.indexes {
                    needed.passes(table.index_spaces.get(index), *bytes);
                }
                needed.logs(table, table.heap + table.toast + table.index_bytes());
            }
        }
    }
    (needed.room, needed.elsewhere)
}

/// Pages are not filled to the last byte, and leaves of an index to 90 %.
fn paged(bytes: u64) -> u64 {
    bytes + bytes / 5
}

/// The index, and as much again to sort it where `maintenance_work_mem` does not hold it.
/// Source: "Building Indexes Concurrently" in doc/src/sgml/ref/create_index.sgml; the whole index is logged page by page
/// (`_bt_blwritepage` in src/backend/access/nbtree/nbtsort.c).
fn index_build(
    step: &Step,
    plan: &Plan,
    sizes: &Sizes,
    (relation, table): (&Name, &Table),
    needed: &mut Needed,
) {
    let made: Vec<&Index> = step
        .provides
        .iter()
        .filter_map(|effect| match effect {
            Effect::Index { table, index } if table == relation => Some(index),
            _ => None,
        })
        .collect();
    let built: Vec<(u64, Option<Ident>)> = if made.is_empty() {
        // It builds anew what is there.
        table.indexes.iter().map(|(name, bytes)| (*bytes, table.index_spaces.get(name).cloned())).collect()
    } else {
        made.iter()
            .map(|index| (index_size(index, plan, relation, table), space(index, table, sizes)))
            .collect()
    };
    for (size, space) in built {
        let size = paged(size);
        needed.keeps(space.as_ref(), size);
        needed.passes(sizes.temporary_space.as_ref(), size);
        needed.logs(table, size);
    }
}

/// Where a new index goes. Source: "TABLESPACE" in doc/src/sgml/ref/create_index.sgml.
fn space(index: &Index, table: &Table, sizes: &Sizes) -> Option<Ident> {
    if table.indexes.contains_key(&index.name) {
        return table.index_spaces.get(&index.name).cloned();
    }
    let named = crate::sql::index_text::tablespace(&index.definition);
    match named {
        Some(name) if name.as_str() == "pg_default" => None,
        Some(name) => Some(name),
        None => sizes.default_space.clone(),
    }
}

fn index_size(index: &Index, plan: &Plan, relation: &Name, table: &Table) -> u64 {
    // One of this name is being built anew, or was built by a run before: its size is known.
    if let Some(known) = table.indexes.get(&index.name).filter(|known| **known > 0) {
        return *known;
    }
    let key = |column: &Option<Ident>| match column {
        Some(column) => width(plan, relation, table, column),
        None => VALUE,
    };
    let columns: u64 = index.columns.iter().map(key).sum::<u64>()
        + index.include.iter().map(|column| width(plan, relation, table, column)).sum::<u64>();
    let entry = ENTRY + columns.next_multiple_of(8);
    // A GIN or GiST index may have several entries a row, a BRIN index next to none.
    let method = index.definition.split_once(" USING ").map_or("btree", |(_, rest)| rest);
    let factor = if method.starts_with("gin") || method.starts_with("gist") { 3 } else { 1 };
    table.rows * entry * factor
}

/// Average bytes of a column's value: as the server knows it, or by the type that the plan gives it.
fn width(plan: &Plan, relation: &Name, table: &Table, column: &Ident) -> u64 {
    if let Some(known) = table.widths.get(column) {
        return *known;
    }
    let added = plan.steps.iter().flat_map(|step| &step.provides).find_map(|effect| match effect {
        Effect::Column { table, column: new } if new.name == *column && table == relation => Some(new),
        _ => None,
    });
    // A column of a partition is added to its parent.
    let any = || {
        plan.steps.iter().flat_map(|step| &step.provides).find_map(|effect| match effect {
            Effect::Column { column: new, .. } if new.name == *column => Some(new),
            _ => None,
        })
    };
    added.or_else(any).map_or(VALUE, |new| type_width(&new.data_type))
}

/// Bytes of a value of a type, by its name. Source: the tables of doc/src/sgml/datatype.sgml.
fn type_width(data_type: &str) -> u64 {
    let name = data_type.to_ascii_lowercase();
    let is =
        |names: &[&str]| names.iter().any(|known| name == *known || name.starts_with(&format!("{known}(")));
    if is(&["bool", "boolean", "\"char\""]) {
        1
    } else if is(&["smallint", "int2"]) {
        2
    } else if is(&["integer", "int", "int4", "real", "float4", "date", "oid"]) {
        4
    } else if is(&["bigint", "int8", "double precision", "float8", "money", "time"])
        || name.starts_with("timestamp")
    {
        8
    } else if is(&["numeric", "decimal"]) {
        12
    } else if is(&["uuid", "interval"]) {
        16
    } else if is(&["json", "jsonb", "xml", "bytea"]) {
        200
    } else {
        VALUE
    }
}

fn backfill(work: &Backfill, plan: &Plan, sizes: &Sizes, needed: &mut Needed) {
    let table = sizes.of(&work.table);
    let rows = if sizes.tables.contains_key(&work.table) { table.rows } else { work.rows };
    let row = table.heap.checked_div(rows).unwrap_or(ROW + VALUE);
    let mut wal = written(&work.write, work, plan, sizes, (table, rows, row), needed);
    if let Walk::RowSet(set) = &work.walk {
        // A table of the keys with a number each, and an index on that number.
        let key: u64 = set.key.iter().map(|column| width(plan, &work.table, table, column)).sum();
        let bytes = paged(rows * (ROW + 8 + key.next_multiple_of(8))) + paged(rows * (ENTRY + 8));
        needed.passes(sizes.default_space.as_ref(), bytes);
        wal += bytes;
    }
    needed.logs(table, wal);
}

/// Returns bytes of WAL.
fn written(
    write: &Write,
    work: &Backfill,
    plan: &Plan,
    sizes: &Sizes,
    (table, rows, row): (&Table, u64, u64),
    needed: &mut Needed,
) -> u64 {
    let anew = |columns: &[&Ident], needed: &mut Needed| {
        let new = new_values(columns, plan, work, table, rows);
        versions(&work.walk, table, needed);
        needed.keeps(table.space.as_ref(), new);
        updated(table, rows, row) + new
    };
    let values = |columns: &mut dyn Iterator<Item = &Ident>| -> u64 {
        columns.map(|column| width(plan, &work.table, table, column)).sum()
    };
    // A table of rows with these bytes of values, and the index of its key.
    let copied = |values: u64, key: u64, space: &Option<Ident>, needed: &mut Needed| {
        let rows_and_index = paged(rows * (ROW + values.next_multiple_of(8)))
            + paged(rows * (ENTRY + key.next_multiple_of(8)));
        needed.keeps(space.as_ref(), rows_and_index);
        rows_and_index + rows * (RECORD + ENTRY_RECORD)
    };
    match write {
        Write::Update { set, .. } => anew(&set.iter().map(|(column, _)| column).collect::<Vec<_>>(), needed),
        Write::Restore { column, .. } => anew(&[column], needed),
        // Old values that a trigger or replica identity needs are logged with the row.
        Write::Delete { .. } => rows * RECORD + table.heap,
        Write::Copy { columns, .. } => {
            let key = match &work.walk {
                Walk::Key { columns } => values(&mut columns.iter()),
                Walk::Pages { .. } | Walk::RowSet(_) => VALUE,
            };
            copied(values(&mut columns.iter()), key, &sizes.default_space, needed)
        }
        Write::Keeping { what, key, columns, .. } => {
            // Of an update, both what it finds and what it leaves.
            let images = if matches!(**what, Write::Delete { .. }) { 1 } else { 2 };
            let key = values(&mut key.iter());
            let bytes = key + images * values(&mut columns.iter());
            let kept = copied(bytes, key, &sizes.default_space, needed);
            kept + written(what, work, plan, sizes, (table, rows, row), needed)
        }
        Write::PutBack { columns, deleted: false, .. } => anew(&columns.iter().collect::<Vec<_>>(), needed),
        Write::PutBack { key, columns, deleted: true, .. } => {
            let key_bytes = values(&mut key.iter());
            copied(key_bytes + values(&mut columns.iter()), key_bytes, &table.space, needed)
        }
    }
}

/// Values that rows did not have before.
fn new_values(columns: &[&Ident], plan: &Plan, work: &Backfill, table: &Table, rows: u64) -> u64 {
    // A column that is NULL throughout has no width that statistics would know.
    let bytes = |column: &&Ident| match table.widths.get(*column) {
        Some(known) if *known > 0 => *known,
        _ => width(plan, &work.table, &Table::default(), column),
    };
    rows * columns.iter().map(bytes).sum::<u64>().next_multiple_of(8)
}

/// Dead versions of rows and of their index entries. In passes, most new versions find room on their own page (measured: the heap
/// hardly grows); half is for a snapshot of another session that keeps them from it now and then. Otherwise every row is there twice.
fn versions(walk: &Walk, table: &Table, needed: &mut Needed) {
    let share = match walk {
        Walk::Pages { stride: 1 } | Walk::Key { .. } => 1,
        Walk::Pages { .. } | Walk::RowSet(_) => 2,
    };
    needed.keeps(table.space.as_ref(), table.heap / share);
    for (index, bytes) in &table.indexes {
        needed.keeps(table.index_spaces.get(index), bytes / share);
    }
}

/// Each row with its record and its index entries, and each page once as a whole (`full_page_writes`).
fn updated(table: &Table, rows: u64, row: u64) -> u64 {
    let indexes = table.indexes.len() as u64;
    rows * (row + RECORD + indexes * ENTRY_RECORD) + table.heap + table.index_bytes()
}
