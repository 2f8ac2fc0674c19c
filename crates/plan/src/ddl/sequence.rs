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

/// Lets the sequence go on after the numbers that an archive holds, and those it has given already.
pub(crate) fn go_past(name: &Name, archive: &Name, column: &Ident) -> String {
    let sequence = literal(&name.to_string());
    format!(
        "SELECT pg_catalog.setval({sequence}, CASE WHEN s.seqincrement > 0 THEN least(a.greatest, s.seqmax) ELSE \
         greatest(a.least, s.seqmin) END) FROM pg_catalog.pg_sequence AS s, (SELECT max({column})::bigint AS greatest, \
         min({column})::bigint AS least FROM {archive}) AS a WHERE s.seqrelid = {sequence}::pg_catalog.regclass AND CASE WHEN \
         s.seqincrement > 0 THEN a.greatest >= s.seqmin ELSE a.least <= s.seqmax END"
    )
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
