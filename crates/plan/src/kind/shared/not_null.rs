//! NOT NULL on a column that may have rows: shown by a constraint that is validated beside running writes, so that
//! nothing is scanned under the strong lock.

use crate::catalog::{Catalog, NotNull};
use crate::ddl;
use crate::effect::Effect;
use crate::sql::ident::{Ident, Name};

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
    let taken = |name: &Ident| {
        catalog.relations.values().filter(|relation| relation.name.schema == table.schema).any(|relation| {
            relation.constraint(name).is_some()
                || relation
                    .columns
                    .iter()
                    .filter_map(|column| column.not_null.as_ref())
                    .any(|marking| marking.name.as_ref() == Some(name))
        })
    };
    let mut pass = 0;
    loop {
        let label = if pass == 0 { "not_null".to_owned() } else { format!("not_null{pass}") };
        let name = ddl::index::object_name(table.name.as_str(), column.as_str(), &label);
        if !taken(&name) {
            return name;
        }
        pass += 1;
    }
}
