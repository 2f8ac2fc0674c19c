//! Claims over a table and its partitions.

use crate::catalog::Catalog;
use crate::pg::lock::LockMode;
use crate::plan::{LockClaim, Work, WorkKind};
use crate::sql::ident::Name;

/// A lock on the table and on every partition below it.
pub(crate) fn locks(catalog: &Catalog, table: &Name, mode: LockMode) -> Vec<LockClaim> {
    catalog
        .tree(table)
        .into_iter()
        .map(|relation| LockClaim { relation: relation.name.clone(), mode })
        .collect()
}

/// A lock on the table alone.
pub(crate) fn lock(catalog: &Catalog, table: &Name, mode: LockMode) -> Vec<LockClaim> {
    catalog
        .relation(table)
        .map(|relation| LockClaim { relation: relation.name.clone(), mode })
        .into_iter()
        .collect()
}

/// Work on every part of the table that holds rows: a table that the same file makes has none.
pub(crate) fn work(catalog: &Catalog, table: &Name, what: WorkKind) -> Vec<Work> {
    catalog
        .leaves(table)
        .into_iter()
        .filter(|leaf| !leaf.new_here)
        .map(|leaf| Work { relation: leaf.name.clone(), what })
        .collect()
}
