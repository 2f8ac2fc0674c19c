//! Statements about archives of columns and rows.

use crate::ddl::trigger;
use crate::sql::ident::{Ident, Name, list, literal};

/// Marks keys whose row was deleted while the archive was kept up to date.
pub(crate) const GONE: &str = "concertina_gone";

/// Makes the empty archive: the key, the columns and [`GONE`], for nobody but its owner. Types, modifiers and collations
/// are those of the table.
pub(crate) fn create(archive: &Name, table: &Name, key: &[Ident], columns: &[Ident]) -> Vec<String> {
    let all = list(key.iter().chain(columns));
    vec![
        format!("CREATE TABLE {archive} AS SELECT {all} FROM {table} WITH NO DATA"),
        format!(
            "ALTER TABLE {archive} ADD COLUMN {GONE} boolean NOT NULL DEFAULT false, ADD PRIMARY KEY ({})",
            list(key)
        ),
        format!("REVOKE ALL ON TABLE {archive} FROM PUBLIC"),
    ]
}

/// An index that tells the greatest value of a column in it.
pub(crate) fn create_index(archive: &Name, column: &Ident) -> String {
    format!("CREATE INDEX ON {archive} ({column})")
}

/// Writes down in the catalog whose it is and what it holds, for an archive of which no plan tells once its migration is
/// undone. `concertina archive list` reads it.
pub(crate) fn label(archive: &Name, migration: &str, of: &str) -> String {
    let label = serde_json::json!({ "concertina": { "migration": migration, "of": of } });
    format!("COMMENT ON TABLE {archive} IS {}", literal(&label.to_string()))
}

/// Makes the empty table for rows as they are before an update or delete: the key, the columns and, of an update, what it
/// makes of them.
pub(crate) fn create_keeping(
    archive: &Name,
    table: &Name,
    key: &[Ident],
    columns: &[Ident],
    after: &[Ident],
) -> Vec<String> {
    let mut all: Vec<String> = key.iter().chain(columns).map(ToString::to_string).collect();
    all.extend(columns.iter().zip(after).map(|(column, name)| format!("{column} AS {name}")));
    vec![
        format!("CREATE TABLE {archive} AS SELECT {} FROM {table} WITH NO DATA", all.join(", ")),
        format!("ALTER TABLE {archive} ADD PRIMARY KEY ({})", list(key)),
        format!("REVOKE ALL ON TABLE {archive} FROM PUBLIC"),
    ]
}

/// Drops a table if it is there and holds no row.
pub(crate) fn drop_if_empty(archive: &Name) -> String {
    drop_without(archive, "")
}

/// Drops an archive if it is there and holds nothing but marks of rows that are gone.
pub(crate) fn drop_if_only_marks(archive: &Name) -> String {
    drop_without(archive, &format!(" WHERE NOT {GONE}"))
}

fn drop_without(archive: &Name, rows: &str) -> String {
    let body = format!(
        "BEGIN
    IF to_regclass({}) IS NOT NULL THEN
        IF NOT EXISTS (SELECT FROM {archive}{rows}) THEN
            DROP TABLE {archive};
        END IF;
    END IF;
END",
        literal(&archive.to_string())
    );
    let quote = trigger::quote(&body);
    format!("DO {quote}\n{body}\n{quote}")
}

/// A function that tells whether a row of `table` holds something else than `expected` in a column. An expression that
/// fails for a row, as it may once nothing keeps such rows out, says nothing about it: then it does.
pub(crate) fn create_judge(
    function: &Name,
    table: &Name,
    alias: &Ident,
    column: &Ident,
    expected: &str,
) -> String {
    let body = format!(
        "BEGIN
    RETURN pg_catalog.record_image_ne(ROW({alias}.{column}), ROW({expected}));
EXCEPTION WHEN OTHERS THEN
    RETURN true;
END"
    );
    let quote = trigger::quote(&body);
    format!(
        "CREATE FUNCTION {function}({alias} {table}) RETURNS boolean LANGUAGE plpgsql STABLE AS {quote}\n{body}\n{quote}"
    )
}

/// Removes what [`create_judge`] made.
pub(crate) fn drop_judge(function: &Name, table: &Name) -> String {
    format!("DROP FUNCTION IF EXISTS {function}({table})")
}

/// Drops the archive if it is there.
pub(crate) fn drop(archive: &Name) -> String {
    format!("DROP TABLE IF EXISTS {archive}")
}

/// The function that keeps the archive true. It runs with its owner's rights, so that those who write the table need none on
/// the archive. It compares by image and finds rows by ON CONFLICT alone: with the pinned `search_path` it could not look
/// up the equality operators of extensions' types, and must not trust anyone else's. So a deleted row is marked.
/// Source: "Writing SECURITY DEFINER Functions Safely" in doc/src/sgml/ref/create_function.sgml.
pub(crate) fn create_function(
    function: &Name,
    archive: &Name,
    key: &[Ident],
    columns: &[Ident],
) -> Vec<String> {
    let of = |row: &str, columns: &mut dyn Iterator<Item = &Ident>| {
        columns.map(|column| format!("{row}.{column}")).collect::<Vec<_>>().join(", ")
    };
    let assign = |value: &dyn Fn(&Ident) -> String| {
        columns.iter().map(|column| format!("{column} = {}", value(column))).collect::<Vec<_>>().join(", ")
    };
    let (keys, names) = (list(key), list(columns));
    let (old, new) = (of("OLD", &mut key.iter()), of("NEW", &mut key.iter()));
    let old_row = of("OLD", &mut key.iter().chain(columns));
    let new_row = of("NEW", &mut key.iter().chain(columns));
    let (none, excluded) = (assign(&|_| "NULL".to_owned()), assign(&|column| format!("EXCLUDED.{column}")));
    let body = format!(
        "#variable_conflict use_column
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF NOT record_image_ne(ROW({old_row}), ROW({new_row})) THEN
            RETURN NULL;
        END IF;
    END IF;
    IF TG_OP = 'DELETE' OR (TG_OP = 'UPDATE' AND record_image_ne(ROW({old}), ROW({new}))) THEN
        INSERT INTO {archive} ({keys}, {GONE}) VALUES ({old}, true)
            ON CONFLICT ({keys}) DO UPDATE SET {none}, {GONE} = true;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO {archive} ({keys}, {names}) VALUES ({new_row})
            ON CONFLICT ({keys}) DO UPDATE SET {excluded}, {GONE} = false;
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

/// Lets the trigger fire in every session: one with `session_replication_role = replica`, such as that of a subscription,
/// writes the table past ordinary triggers, and what it writes after the proof would be lost.
/// Source: "ENABLE ALWAYS TRIGGER" in doc/src/sgml/ref/alter_table.sgml.
pub(crate) fn always(name: &Ident, table: &Name) -> String {
    format!("ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}")
}

/// A query for rows of the table whose values the archive does not hold, and for rows that the archive holds although the
/// table has none. `only` says which rows of the table, as `concertina_row`, must be in the archive at all.
///
/// Every value is compared by its image, and every row on both sides is met: where no row is returned, counts and any
/// checksum are equal, too. It may run before the last, short transaction, because it stays true until then: from before the
/// copy on, the trigger writes each change of the table into the archive in the transaction of that change, in every session,
/// and only the transaction that drops the column drops the trigger. So at any later instant a row differs from the archive
/// no more than at the instant of the query's snapshot.
pub(crate) fn differing(
    archive: &Name,
    from: &str,
    key: &[Ident],
    columns: &[Ident],
    only: Option<&str>,
) -> String {
    let (row, archived) = (crate::batch::ROW, "concertina_archived");
    let shown: Vec<String> =
        key.iter().map(|k| format!("coalesce({row}.{k}, {archived}.{k})::text AS {k}")).collect();
    let join: Vec<String> = key.iter().map(|k| format!("{archived}.{k} = {row}.{k}")).collect();
    let of =
        |table: &str| columns.iter().map(|column| format!("{table}.{column}")).collect::<Vec<_>>().join(", ");
    let there = key.first().map(|k| format!("{row}.{k}")).unwrap_or_default();
    format!(
        "SELECT {} FROM {from} AS {row} FULL JOIN (SELECT * FROM {archive} WHERE NOT {GONE}) AS {archived} ON {} WHERE CASE \
         WHEN {archived}.{GONE} IS NULL THEN {} WHEN {there} IS NULL THEN true ELSE \
         pg_catalog.record_image_ne(ROW({}), ROW({})) END LIMIT 5",
        shown.join(", "),
        join.join(" AND "),
        only.unwrap_or("true"),
        of(archived),
        of(row),
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
