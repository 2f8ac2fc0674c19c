//! Statements that move an object into the archive schema and back. Every object gets a name of its own there, because two of one
//! name may be dropped one after the other.

use crate::ddl::dynamic::{block, regclass};
use crate::sql::ident::{Ident, Name};

/// Where archived objects lie.
pub(crate) const ARCHIVE: &str = "concertina_archive";

/// `ALTER … RENAME TO`; `noun` is what follows ALTER.
pub(crate) fn rename(noun: &str, name: &Name, to: &Ident) -> String {
    format!("ALTER {noun} {name} RENAME TO {to}")
}

/// `ALTER … SET SCHEMA`
pub(crate) fn set_schema(noun: &str, name: &Name, schema: &Ident) -> String {
    format!("ALTER {noun} {name} SET SCHEMA {schema}")
}

/// Takes a table out of every publication that names it, as DROP TABLE would.
pub(crate) fn leave_publications(table: &Name) -> String {
    let body = format!(
        "DECLARE publication name;
BEGIN
    FOR publication IN
        SELECT p.pubname FROM pg_catalog.pg_publication_rel AS r
        JOIN pg_catalog.pg_publication AS p ON p.oid = r.prpubid
        WHERE r.prrelid = {}
    LOOP
        EXECUTE format('ALTER PUBLICATION %I DROP TABLE %s', publication, {0});
    END LOOP;
END",
        regclass(table),
    );
    block(&body)
}

/// Drops a table's extended statistics, which would stay in the table's old schema.
pub(crate) fn drop_statistics(table: &Name) -> String {
    let body = format!(
        "DECLARE statistics text;
BEGIN
    FOR statistics IN
        SELECT format('%I.%I', n.nspname, s.stxname) FROM pg_catalog.pg_statistic_ext AS s
        JOIN pg_catalog.pg_namespace AS n ON n.oid = s.stxnamespace
        WHERE s.stxrelid = {}
    LOOP
        EXECUTE 'DROP STATISTICS ' || statistics;
    END LOOP;
END",
        regclass(table),
    );
    block(&body)
}
