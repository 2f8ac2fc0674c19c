//! Trigger functions in PL/pgSQL, and triggers.

use crate::pg::firing::Firing;
use crate::sql::ident::{Ident, Name, list, literal};

/// A trigger function whose `search_path` is pinned, so that it means the same whoever writes.
pub(crate) fn create_function(name: &Name, search_path: &[Ident], body: &str) -> String {
    let quote = quote(body);
    format!(
        "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SET search_path = {} AS {quote}\n{body}\n{quote}",
        pinned(search_path)
    )
}

/// A trigger function that runs with its owner's rights, sees PostgreSQL's own objects only and names all others in full.
pub(crate) fn create_definer_function(name: &Name, body: &str) -> String {
    let quote = quote(body);
    format!(
        "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = {} AS \
         {quote}\n{body}\n{quote}",
        pinned(&[])
    )
}

/// The same for one that writes values down as text: one value always the same text, which every session reads back.
pub(crate) fn create_recording_function(name: &Name, body: &str) -> String {
    let quote = quote(body);
    format!(
        "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = {} SET DateStyle = 'ISO, YMD' \
         SET TimeZone = 'UTC' SET IntervalStyle = 'postgres' SET extra_float_digits = 1 AS {quote}\n{body}\n{quote}",
        pinned(&[])
    )
}

/// A dollar quote that does not occur in the text.
pub(crate) fn quote(body: &str) -> String {
    let mut quote = "$concertina$".to_owned();
    while body.contains(&quote) {
        quote.insert(quote.len() - 1, '_');
    }
    quote
}

/// `DROP FUNCTION`
pub(crate) fn drop_function(name: &Name) -> String {
    format!("DROP FUNCTION IF EXISTS {name}()")
}

/// ENABLE or DISABLE TRIGGER, of several of one table.
pub(crate) fn fires(table: &Name, triggers: &[&Ident], firing: Firing) -> String {
    let parts: Vec<String> =
        triggers.iter().map(|trigger| format!("{} TRIGGER {trigger}", firing.sql())).collect();
    format!("ALTER TABLE {table} {}", parts.join(", "))
}

/// A BEFORE INSERT OR UPDATE row trigger; the text is what `pg_get_triggerdef` gives back for it.
pub(crate) fn create_trigger(name: &Ident, table: &Name, function: &Name) -> String {
    format!(
        "CREATE TRIGGER {name} BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION {function}()"
    )
}

/// The same, with an argument for the function.
pub(crate) fn create_trigger_with(name: &Ident, table: &Name, function: &Name, argument: &str) -> String {
    format!(
        "CREATE TRIGGER {name} BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION {function}({})",
        literal(argument)
    )
}

/// A BEFORE UPDATE row trigger that fires where a condition holds.
pub(crate) fn create_update_trigger_when(
    name: &Ident,
    table: &Name,
    condition: &str,
    function: &Name,
) -> String {
    format!(
        "CREATE TRIGGER {name} BEFORE UPDATE ON {table} FOR EACH ROW WHEN (({condition})) EXECUTE FUNCTION {function}()"
    )
}

/// A BEFORE INSERT OR UPDATE row trigger that fires where a condition holds.
pub(crate) fn create_trigger_when(name: &Ident, table: &Name, condition: &str, function: &Name) -> String {
    format!(
        "CREATE TRIGGER {name} BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW WHEN (({condition})) EXECUTE FUNCTION {function}()"
    )
}

/// A trigger function that names everything in full, so that no `search_path` matters to it.
pub(crate) fn create_plain_function(name: &Name, body: &str) -> String {
    let quote = quote(body);
    format!("CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS {quote}\n{body}\n{quote}")
}

/// A function that converts the values of a row and gives either the result or what was raised. Assigning to a variable of the type
/// keeps its length and precision, which a result would not.
pub(crate) fn create_attempt(
    name: &Name,
    search_path: &[Ident],
    arguments: &[&str],
    data_type: &str,
    value: &str,
) -> String {
    let body = format!(
        "DECLARE
  converted {data_type};
BEGIN
  converted := {value};
  value := converted;
EXCEPTION WHEN OTHERS THEN
  error := SQLERRM;
END"
    );
    let quote = quote(&body);
    let outs = format!("OUT value {data_type}, OUT error pg_catalog.text");
    let list: Vec<&str> = arguments.iter().copied().chain([outs.as_str()]).collect();
    format!(
        "CREATE FUNCTION {name}({}) LANGUAGE plpgsql SET search_path = {} AS {quote}\n{body}\n{quote}",
        list.join(", "),
        pinned(search_path)
    )
}

/// Drops it if it is there.
pub(crate) fn drop_attempt(name: &Name, arguments: &[&str]) -> String {
    format!("DROP FUNCTION IF EXISTS {name}({})", arguments.join(", "))
}

/// `DROP TRIGGER`
pub(crate) fn drop_trigger(name: &Ident, table: &Name) -> String {
    format!("DROP TRIGGER IF EXISTS {name} ON {table}")
}

/// `pg_catalog` is searched first unless the path says otherwise, `pg_temp` last: nobody slips a table of his own in.
/// Source: "Writing SECURITY DEFINER Functions Safely" in doc/src/sgml/ref/create_function.sgml.
fn pinned(search_path: &[Ident]) -> String {
    let catalog = Ident::new("pg_catalog");
    let temporary = Ident::new("pg_temp");
    let first = (!search_path.contains(&catalog)).then_some(&catalog);
    let last = (!search_path.contains(&temporary)).then_some(&temporary);
    list(first.into_iter().chain(search_path).chain(last))
}

/// A function that for ever returns the time at which it was made. The time is written in a way that every `DateStyle` reads.
pub(crate) fn create_clock(name: &Name) -> String {
    let create = format!(
        "CREATE FUNCTION {name}() RETURNS pg_catalog.timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE AS %L"
    );
    format!(
        "DO $concertina$ BEGIN EXECUTE pg_catalog.format({}, pg_catalog.format('SELECT %L::pg_catalog.timestamptz', \
         pg_catalog.to_char(pg_catalog.now() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US+00'))); END $concertina$",
        literal(&create)
    )
}
