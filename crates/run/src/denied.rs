//! What a role lacks whom the server refused something: 42501 where nobody could know it beforehand, such as a function that an
//! expression calls, or a table that a user's trigger writes.
//!
//! The server names the object, not the statement that helps. That one is looked up by the object's name, among what the role may not
//! use. Where the server speaks another language than English, or where several objects would fit, nothing is guessed.

use concertina_plan::rights::Missing;
use concertina_plan::sql::ident::Ident;
use tokio_postgres::types::Type;

use crate::connect::Session;
use crate::error::{Doing, Error};

/// The same error, with what gives the right as far as that can be known. Any other error stays what it is.
pub(crate) async fn explained(session: &Session, error: Error, statement: &str) -> Error {
    let (place, message, hint) = match error {
        Error::Step { step, title, sqlstate, message, hint } if sqlstate == "42501" => {
            (format!("step {step} \"{title}\" failed"), message, hint)
        }
        Error::Sql { doing, sqlstate, message } if sqlstate == "42501" => {
            (doing, message, "Grant it, then run the same command again.".to_owned())
        }
        other => return other,
    };
    // What cannot be looked up must not hide what the server said.
    let missing = missing(session, &message, statement).await.unwrap_or_default();
    Error::Denied { place, message, missing, hint }
}

/// What is denied, by the first line of the server's words.
#[derive(Debug, PartialEq, Eq)]
enum Denied<'m> {
    /// The right to use an object of this class, and its name as the server spells it.
    Use(&'m str, &'m str),
    /// What only its owner may do.
    Own(&'m str, &'m str),
    /// Rows of this table, by its policies.
    Rows(&'m str),
}

/// Longer ones first: `foreign table` before `table` would be no matter, `materialized view` is.
const CLASSES: &[&str] = &[
    "materialized view",
    "foreign table",
    "procedure",
    "aggregate",
    "function",
    "sequence",
    "database",
    "relation",
    "language",
    "domain",
    "schema",
    "table",
    "index",
    "type",
    "view",
];

/// Source: `aclcheck_error` in src/backend/catalog/aclchk.c; `check_enable_rls` and `ExecWithCheckOptions` for row security.
fn denied(message: &str) -> Option<Denied<'_>> {
    let line = message.lines().next()?;
    let named = |rest: &'_ str| -> Option<(&'static str, usize)> {
        let class = CLASSES
            .iter()
            .find(|class| rest.strip_prefix(**class).is_some_and(|rest| rest.starts_with(' ')))?;
        Some((class, class.len() + 1))
    };
    if let Some(rest) = line.strip_prefix("permission denied for ") {
        return named(rest).map(|(class, at)| Denied::Use(class, &rest[at..]));
    }
    if let Some(rest) = line.strip_prefix("must be owner of ") {
        return named(rest).map(|(class, at)| Denied::Own(class, &rest[at..]));
    }
    let table = line.split_once("row-level security policy ")?.1;
    Some(Denied::Rows(table.split_once("for table \"")?.1.strip_suffix('"')?))
}

async fn missing(session: &Session, message: &str, statement: &str) -> Result<Vec<Missing>, Error> {
    let Some(denied) = denied(message) else { return Ok(Vec::new()) };
    let doing = "look up what the role lacks";
    let row = session.client.query_typed_one("SELECT current_user::text", &[]).await.doing(doing)?;
    let role = Ident::new(row.get::<_, String>(0));
    let (class, name, own) = match denied {
        Denied::Rows(table) => {
            return Ok(vec![Missing {
                what: format!("a policy of {} keeps rows from {role}", Ident::new(table)),
                grant: format!("ALTER ROLE {role} BYPASSRLS"),
            }]);
        }
        Denied::Use(class, name) => (class, name, false),
        Denied::Own(class, name) => (class, name, true),
    };
    let verbs = verbs(&format!("{statement}\n{message}"));
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 4] =
        [(&class, Type::TEXT), (&name, Type::TEXT), (&own, Type::BOOL), (&verbs, Type::TEXT_ARRAY)];
    let rows = session.client.query_typed(include_str!("sql/denied.sql"), &parameters).await.doing(doing)?;
    // One of several of the same name may be the wrong one.
    let [row] = rows.as_slice() else { return Ok(Vec::new()) };
    let (what, grant): (String, String) = (row.get(0), row.get(1));
    Ok(vec![Missing { what: format!("{role} {what}"), grant: format!("{grant} TO {role}") }])
}

/// What is done to tables, by the words of the statement and of one that the server names as its cause. An expression only reads.
fn verbs(text: &str) -> Vec<&'static str> {
    let text = text.to_ascii_lowercase();
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let mut verbs: Vec<&str> = words
        .filter_map(|word| match word {
            "select" | "from" | "returning" => Some("SELECT"),
            "insert" => Some("INSERT"),
            "update" => Some("UPDATE"),
            "delete" => Some("DELETE"),
            "truncate" => Some("TRUNCATE"),
            _ => None,
        })
        .collect();
    verbs.sort_unstable();
    verbs.dedup();
    match verbs.as_slice() {
        [] => vec!["SELECT"],
        // Values are computed, and rows chosen, by those that are there.
        ["UPDATE"] => vec!["SELECT", "UPDATE"],
        ["DELETE"] => vec!["DELETE", "SELECT"],
        _ => verbs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_statement_does_is_read_off_its_words() {
        for (text, expected) in [
            ("", vec!["SELECT"]),
            ("INSERT INTO t VALUES (1)", vec!["INSERT"]),
            ("UPDATE t SET a = a + 1", vec!["SELECT", "UPDATE"]),
            ("DELETE FROM t WHERE updated < now()\n  where: …", vec!["DELETE", "SELECT"]),
            ("TRUNCATE t", vec!["TRUNCATE"]),
        ] {
            assert_eq!(verbs(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_denied_is_read_off_the_servers_words() {
        for (message, expected) in [
            ("permission denied for table Weird Name", Some(Denied::Use("table", "Weird Name"))),
            ("permission denied for function f\n  where: …", Some(Denied::Use("function", "f"))),
            ("permission denied for materialized view m", Some(Denied::Use("materialized view", "m"))),
            ("must be owner of function app.f", Some(Denied::Own("function", "app.f"))),
            ("query would be affected by row-level security policy for table \"T\"", Some(Denied::Rows("T"))),
            ("new row violates row-level security policy \"p\" for table \"t\"", Some(Denied::Rows("t"))),
            ("permission denied to create extension \"x\"", None),
            ("keine Berechtigung für Tabelle t", None),
        ] {
            assert_eq!(denied(message), expected, "{message}");
        }
    }
}
