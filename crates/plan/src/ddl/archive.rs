//! Statements about archives of dropped columns.

use crate::ddl::trigger;
use crate::sql::ident::{Ident, Name, list, literal};

/// Marks keys whose row was deleted while the archive was kept up to date.
pub(crate) const GONE: &str = "concertina_gone";

/// Makes the empty archive: the key, the column and [`GONE`], for nobody but its owner. Types, modifiers and collations
/// are those of the table.
pub(crate) fn create(archive: &Name, table: &Name, key: &[Ident], column: &Ident) -> Vec<String> {
    vec![
        format!("CREATE TABLE {archive} AS SELECT {}, {column} FROM {table} WITH NO DATA", list(key)),
        format!(
            "ALTER TABLE {archive} ADD COLUMN {GONE} boolean NOT NULL DEFAULT false, ADD PRIMARY KEY ({})",
            list(key)
        ),
        format!("REVOKE ALL ON TABLE {archive} FROM PUBLIC"),
    ]
}

/// Drops the archive if it is there.
pub(crate) fn drop(archive: &Name) -> String {
    format!("DROP TABLE IF EXISTS {archive}")
}

/// The function that keeps the archive true. It runs with its owner's rights, so that those who write the table need none on
/// the archive. It compares by image and finds rows by ON CONFLICT alone: with the pinned `search_path` it could not look
/// up the equality operators of extensions' types, and must not trust anyone else's. So a deleted row is marked.
/// Source: "Writing SECURITY DEFINER Functions Safely" in doc/src/sgml/ref/create_function.sgml.
pub(crate) fn create_function(function: &Name, archive: &Name, key: &[Ident], column: &Ident) -> Vec<String> {
    let of = |row: &str, columns: &[Ident]| {
        columns.iter().map(|column| format!("{row}.{column}")).collect::<Vec<_>>().join(", ")
    };
    let keys = list(key);
    let (old, new) = (of("OLD", key), of("NEW", key));
    let body = format!(
        "#variable_conflict use_column
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF NOT record_image_ne(ROW({old}, OLD.{column}), ROW({new}, NEW.{column})) THEN
            RETURN NULL;
        END IF;
    END IF;
    IF TG_OP = 'DELETE' OR (TG_OP = 'UPDATE' AND record_image_ne(ROW({old}), ROW({new}))) THEN
        INSERT INTO {archive} ({keys}, {GONE}) VALUES ({old}, true)
            ON CONFLICT ({keys}) DO UPDATE SET {column} = NULL, {GONE} = true;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO {archive} ({keys}, {column}) VALUES ({new}, NEW.{column})
            ON CONFLICT ({keys}) DO UPDATE SET {column} = EXCLUDED.{column}, {GONE} = false;
    END IF;
    RETURN NULL;
END"
    );
    vec![
        trigger::create_definer_function(function, &body),
        format!("REVOKE ALL ON FUNCTION {function}() FROM PUBLIC"),
    ]
}

/// The trigger, as `pg_get_triggerdef` gives it back.
pub(crate) fn create_trigger(name: &Ident, table: &Name, function: &Name) -> String {
    format!(
        "CREATE TRIGGER {name} AFTER INSERT OR DELETE OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION {function}()"
    )
}

/// A query for rows whose value the archive does not hold.
pub(crate) fn differing(archive: &Name, from: &str, key: &[Ident], column: &Ident) -> String {
    let shown: Vec<String> = key.iter().map(|k| format!("concertina_row.{k}::text AS {k}")).collect();
    let join: Vec<String> =
        key.iter().map(|k| format!("concertina_archived.{k} = concertina_row.{k}")).collect();
    format!(
        "SELECT {} FROM {from} AS concertina_row LEFT JOIN {archive} AS concertina_archived ON {} AND NOT \
         concertina_archived.{GONE} WHERE concertina_archived.{GONE} IS NULL OR \
         pg_catalog.record_image_ne(ROW(concertina_archived.{column}), ROW(concertina_row.{column})) LIMIT 5",
        shown.join(", "),
        join.join(" AND ")
    )
}

/// Adds the column again with the type and collation that the archive kept: the catalog of the planner does not know
/// collations.
pub(crate) fn add_column_like(table: &Name, column: &Ident, archive: &Name) -> String {
    let add = literal(&format!("ALTER TABLE {table} ADD COLUMN {column}"));
    let body = format!(
        "BEGIN
    EXECUTE (
        SELECT concat_ws(' ', {add}, format_type(a.atttypid, a.atttypmod),
            CASE WHEN a.attcollation <> t.typcollation THEN 'COLLATE ' || a.attcollation::regcollation END)
        FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
        WHERE a.attrelid = {}::regclass AND a.attname = {}
    );
END",
        literal(&archive.to_string()),
        literal(column.as_str()),
    );
    let quote = trigger::quote(&body);
    format!("DO {quote}\n{body}\n{quote}")
}
