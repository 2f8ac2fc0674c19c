//! Sequences.

use crate::sql::ident::{Ident, Name, literal};

/// `CREATE SEQUENCE … AS type options`
pub(crate) fn create(name: &Name, data_type: &str, options: &str, unlogged: bool) -> String {
    let unlogged = if unlogged { "UNLOGGED " } else { "" };
    let options = if options.is_empty() { String::new() } else { format!(" {options}") };
    format!("CREATE {unlogged}SEQUENCE {name} AS {data_type}{options}")
}

/// `OWNER TO`
pub(crate) fn owner(name: &Name, role: &Ident) -> String {
    format!("ALTER SEQUENCE {name} OWNER TO {role}")
}

/// `OWNED BY`
pub(crate) fn owned_by(name: &Name, table: &Name, column: &Ident) -> String {
    format!("ALTER SEQUENCE {name} OWNED BY {table}.{column}")
}

/// Lets every role draw from it.
pub(crate) fn grant_usage(name: &Name) -> String {
    format!("GRANT USAGE ON SEQUENCE {name} TO PUBLIC")
}

/// `DROP SEQUENCE`
pub(crate) fn drop(name: &Name) -> String {
    format!("DROP SEQUENCE IF EXISTS {name}")
}

/// The call that draws from it, as a default reads in the catalog.
pub(crate) fn next_value(name: &Name) -> String {
    format!("nextval({}::regclass)", literal(&name.to_string()))
}

/// Lets the sequence of an identity column go on where `from` stands, also when nothing was drawn yet.
pub(crate) fn go_on(table: &Name, column: &Ident, from: &Name) -> String {
    format!(
        "SELECT pg_catalog.setval(pg_catalog.pg_get_serial_sequence({}, {})::pg_catalog.regclass, last_value, is_called) \
         FROM {from}",
        literal(&table.to_string()),
        literal(column.as_str())
    )
}
