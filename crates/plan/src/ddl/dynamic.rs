//! Statements that are put together on the server, from what is in its catalogs at that moment.

use crate::sql::ident::{Name, literal};

/// The oid of a relation that is there, in such a statement.
pub(crate) fn regclass(name: &Name) -> String {
    format!("{}::regclass", literal(&name.to_string()))
}

/// An anonymous block of PL/pgSQL.
pub(crate) fn block(body: &str) -> String {
    let quote = super::trigger::quote(body);
    format!("DO {quote}\n{body}\n{quote}")
}

/// Runs each statement that a query returns.
pub(crate) fn each(query: &str) -> String {
    block(&format!(
        "DECLARE
    command text;
BEGIN
    FOR command IN
        {query}
    LOOP
        EXECUTE command;
    END LOOP;
END"
    ))
}
