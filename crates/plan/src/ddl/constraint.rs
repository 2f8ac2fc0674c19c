//! Statements about constraints.

use crate::sql::ident::{Ident, Name};

/// Adds a constraint; `definition` is what follows its name.
pub(crate) fn add(table: &Name, name: &Ident, definition: &str) -> String {
    format!("ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
}

/// Adds a constraint to the table alone, not to its partitions.
pub(crate) fn add_only(table: &Name, name: &Ident, definition: &str) -> String {
    format!("ALTER TABLE ONLY {table} ADD CONSTRAINT {name} {definition}")
}

/// Adds a CHECK or foreign key without looking at the rows there are.
pub(crate) fn add_not_valid(table: &Name, name: &Ident, definition: &str) -> String {
    format!("ALTER TABLE {table} ADD CONSTRAINT {name} {definition} NOT VALID")
}

/// What follows the name where a unique index is there; `sort` is UNIQUE or PRIMARY KEY, `deferrable` is empty or
/// `DEFERRABLE …`.
pub(crate) fn using_index(sort: &str, index: &Ident, deferrable: &str) -> String {
    format!("{sort} USING INDEX {index} {deferrable}").trim_end().to_owned()
}

/// Looks at the rows there are.
pub(crate) fn validate(table: &Name, name: &Ident) -> String {
    format!("ALTER TABLE {table} VALIDATE CONSTRAINT {name}")
}

/// Drops a constraint if it is there.
pub(crate) fn drop_if_exists(table: &Name, name: &Ident) -> String {
    format!("ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}")
}

/// `RENAME CONSTRAINT`
pub(crate) fn rename(table: &Name, name: &Ident, to: &Ident) -> String {
    format!("ALTER TABLE {table} RENAME CONSTRAINT {name} TO {to}")
}
