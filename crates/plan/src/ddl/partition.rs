//! Statements about partitions.

use crate::sql::ident::Name;

/// Makes a table a partition; `bound` is `FOR VALUES …` or `DEFAULT`.
pub(crate) fn attach(table: &Name, partition: &Name, bound: &str) -> String {
    format!("ALTER TABLE {table} ATTACH PARTITION {partition} {bound}")
}

/// Makes a partition a table of its own, in one transaction.
pub(crate) fn detach(table: &Name, partition: &Name) -> String {
    format!("ALTER TABLE {table} DETACH PARTITION {partition}")
}

/// The same in two transactions, which blocks nobody who reads or writes the partitioned table.
pub(crate) fn detach_concurrently(table: &Name, partition: &Name) -> String {
    format!("ALTER TABLE {table} DETACH PARTITION {partition} CONCURRENTLY")
}

/// Does the second half of [`detach_concurrently`], where that was interrupted after the first.
pub(crate) fn finalize(table: &Name, partition: &Name) -> String {
    format!("ALTER TABLE {table} DETACH PARTITION {partition} FINALIZE")
}
