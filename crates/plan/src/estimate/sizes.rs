//! What the server says of the tables that a plan works on.

use std::collections::{BTreeMap, BTreeSet};

use crate::plan::{Action, Plan, Write};
use crate::sql::ident::{Ident, Name};

/// Sizes by table. One that is missing does not exist yet, and is empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sizes {
    /// Plain tables, partitions and materialized views.
    pub tables: BTreeMap<Name, Table>,
    /// The tablespace of what is made without naming one; `None` is the data directory, here and below.
    pub default_space: Option<Ident>,
    /// The tablespace of temporary files.
    pub temporary_space: Option<Ident>,
}

/// The size of one table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Estimated rows.
    pub rows: u64,
    /// Bytes of the heap itself.
    pub heap: u64,
    /// Bytes of its TOAST table, maps included.
    pub toast: u64,
    /// Bytes of each index.
    pub indexes: BTreeMap<Ident, u64>,
    /// Average bytes of each column's value, as far as they are known.
    pub widths: BTreeMap<Ident, u64>,
    /// It writes no WAL.
    pub unlogged: bool,
    /// Its tablespace.
    pub space: Option<Ident>,
    /// Tablespaces of its indexes, those that lie in one of their own.
    pub index_spaces: BTreeMap<Ident, Ident>,
}

impl Sizes {
    /// The table's, or that of an empty one.
    pub(super) fn of(&self, table: &Name) -> &Table {
        const EMPTY: &Table = &Table {
            rows: 0,
            heap: 0,
            toast: 0,
            indexes: BTreeMap::new(),
            widths: BTreeMap::new(),
            unlogged: false,
            space: None,
            index_spaces: BTreeMap::new(),
        };
        self.tables.get(table).unwrap_or(EMPTY)
    }
}

impl Table {
    /// Bytes of all indexes.
    pub(super) fn index_bytes(&self) -> u64 {
        self.indexes.values().sum()
    }
}

/// The tables whose sizes an estimate of the plan depends on.
pub fn tables(plan: &Plan) -> BTreeSet<Name> {
    let mut names = BTreeSet::new();
    for step in &plan.steps {
        names.extend(step.work.iter().map(|work| work.relation.clone()));
        if let Action::Backfill(backfill) = &step.action {
            names.insert(backfill.table.clone());
            if let Write::Restore { from, .. } = &backfill.write {
                names.insert(from.clone());
            }
        }
    }
    names
}
