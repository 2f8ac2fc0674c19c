//! Claims over a table and its partitions.

use crate::catalog::{Catalog, Relation};
use crate::pg::lock::LockMode;
use crate::plan::{LockClaim, Work, WorkKind};
use crate::sql::ident::Name;

/// A lock on the table and on every partition below it, as far as they are seen by anyone: nobody waits for a table that
/// the same file makes.
pub(crate) fn locks(catalog: &Catalog, table: &Name, mode: LockMode) -> Vec<LockClaim> {
    catalog
        .tree(table)
        .into_iter()
        .filter(|relation| !relation.new_here)
        .map(|relation| LockClaim { relation: relation.name.clone(), mode })
        .collect()
}

/// A lock on the table alone, unless the same file makes it.
pub(crate) fn lock(catalog: &Catalog, table: &Name, mode: LockMode) -> Vec<LockClaim> {
    catalog
        .relation(table)
        .filter(|relation| !relation.new_here)
        .map(|relation| LockClaim { relation: relation.name.clone(), mode })
        .into_iter()
        .collect()
}

/// Work on every part of the table that holds rows.
pub(crate) fn work(catalog: &Catalog, table: &Name, what: WorkKind) -> Vec<Work> {
    catalog
        .leaves(table)
        .into_iter()
        .filter(|leaf| !leaf.new_here)
        .map(|leaf| Work { relation: leaf.name.clone(), what })
        .collect()
}

/// Whether it is one table with its own rows: no partitions, no children.
pub(crate) fn plain(relation: &Relation) -> bool {
    relation.kind == crate::catalog::RelationKind::Table && !relation.inherits
}
