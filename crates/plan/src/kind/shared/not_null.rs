//! NOT NULL on a column that may have rows: shown by a constraint that is validated beside running writes, so that
//! nothing is scanned under the strong lock.

use crate::catalog::{Catalog, NotNull};
use crate::effect::Effect;
use crate::sql::ident::{Ident, Name};
use crate::sql::names::Namer;

/// The marking that SET NOT NULL leaves. From 18 on it is a constraint, and has a name.
pub(crate) fn marking(catalog: &Catalog, table: &Name, column: &Ident) -> NotNull {
    let named = catalog.server.version.not_null_not_valid();
    NotNull { name: named.then(|| constraint_name(catalog, table, column)), valid: true }
}

/// The effect of SET NOT NULL.
pub(crate) fn effect(catalog: &Catalog, table: &Name, column: &Ident) -> Effect {
    Effect::NotNull {
        table: table.clone(),
        column: column.clone(),
        not_null: Some(marking(catalog, table, column)),
    }
}

/// The name that PostgreSQL 18 gives to a NOT NULL constraint: `table_column_not_null`, numbered until no constraint of
/// the schema has it.
/// Source: `ChooseConstraintName` in src/backend/catalog/pg_constraint.c.
fn constraint_name(catalog: &Catalog, table: &Name, column: &Ident) -> Ident {
    Namer::new(catalog, &table.schema).constraint(&table.name, Some(column.as_str()), "not_null")
}
