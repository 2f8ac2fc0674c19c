//! Loads what `pg_dump --schema-only` wrote, statement by statement, in one session.
//!
//! Not with psql: that would be a second program to find, of the right version (one that is older than the dump's `\restrict` stops
//! there), with a `.psqlrc` and a password of its own, and its answer would be text. The parser is PostgreSQL's own, so the statements
//! are those that psql would send; each that fails is known by its line.

use concertina_plan::sql::pieces::{Piece, Verbatim, split};

use crate::connect::Session;
use crate::error::{Doing, Error};

/// How pg_dump's custom format begins.
pub const CUSTOM_FORMAT: &str = "PGDMP";

/// A dump's text, and what to call it in messages.
#[derive(Clone, Debug)]
pub struct Dump {
    /// Its path.
    pub origin: String,
    /// Its text.
    pub text: String,
}

/// What came of loading it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Statements that were executed.
    pub statements: usize,
    /// Statements that were left out, since what they name is not on this server and no plan depends on it.
    pub skipped: Vec<Skipped>,
}

/// A statement that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Line of the dump, from 1.
    pub line: usize,
    /// What the server said.
    pub why: String,
}

/// The statements of a dump.
///
/// # Errors
/// [`Error::File`] for what is not a plain dump of a schema alone.
pub(crate) fn statements(dump: &Dump) -> Result<Vec<Verbatim>, Error> {
    let refuse = |line: usize, what: &str, way_out: &str| {
        Err(Error::File { message: format!("{}:{line}: {what}\n  {way_out}", dump.origin) })
    };
    if dump.text.starts_with(CUSTOM_FORMAT) {
        return refuse(
            1,
            "this is pg_dump's custom format",
            "dump with --format=plain, which is the default",
        );
    }
    let text = without_restrict(&dump.text);
    let at_line = |starts: &dyn Fn(&str) -> bool| text.lines().position(starts).map(|line| line + 1);
    let pieces = match split(&text) {
        Ok(pieces) => pieces,
        // What follows COPY and backslashes is not SQL, so it shows as a syntax error first.
        Err(diagnostic) => {
            let line = text[..diagnostic.span.start.min(text.len())].matches('\n').count() + 1;
            if let Some(line) = at_line(&|line| line.starts_with("COPY ") && line.ends_with("FROM stdin;")) {
                return refuse(line, "it holds data", "dump with --schema-only");
            }
            if let Some(line) = at_line(&|line| line.starts_with("\\connect ")) {
                return refuse(line, "it creates and connects to a database", "dump without --create");
            }
            return refuse(line, &diagnostic.message, "it must be what `pg_dump --schema-only` writes");
        }
    };
    match pieces.iter().find(|piece| piece.piece != Piece::Plain) {
        Some(piece) => refuse(
            piece.line,
            "a statement that no dump of a schema has",
            "it must be what `pg_dump --schema-only` writes, without --create",
        ),
        None => Ok(pieces),
    }
}

/// The text with psql's `\restrict KEY` and `\unrestrict KEY` as blank lines. The key is random, so nothing inside a
/// statement is ever taken for one.
/// Source: "\restrict" in doc/src/sgml/ref/psql-ref.sgml.
fn without_restrict(text: &str) -> String {
    let comment = |line: &&str| line.is_empty() || line.starts_with("--");
    let mut after = text.lines().map(|line| line.trim_end_matches('\r')).skip_while(comment);
    let Some(key) = after.next().and_then(|line| line.strip_prefix("\\restrict ")) else {
        return text.to_owned();
    };
    let ours = |line: &str| {
        let rest = line.strip_prefix("\\restrict ").or_else(|| line.strip_prefix("\\unrestrict "));
        rest.is_some_and(|rest| rest.trim_end() == key.trim_end())
    };
    let line = |line: &str| if ours(line) { "\n".to_owned() } else { line.to_owned() };
    text.split_inclusive('\n').map(line).collect()
}

/// Executes them.
pub(crate) async fn load(session: &Session, dump: &Dump, pieces: &[Verbatim]) -> Result<Loaded, Error> {
    let client = &session.client;
    client.batch_execute("SET lock_timeout = 0").await.doing("set up the session")?;
    let mut loaded = Loaded::default();
    for piece in pieces {
        let what = format!("load {}, line {}", dump.origin, piece.line);
        match client.batch_execute(&piece.sql).await.doing(&what) {
            Ok(()) => loaded.statements += 1,
            Err(Error::Sql { sqlstate, message, .. }) if may_be_skipped(&piece.sql, &sqlstate) => {
                loaded.skipped.push(Skipped { line: piece.line, why: message });
            }
            Err(Error::Sql { sqlstate, message, .. }) => {
                let place = format!("{}:{}", dump.origin, piece.line);
                return Err(Error::Load { place, sqlstate, message });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(loaded)
}

/// Owners and grants for roles that are not on this server or not ours, settings of a newer pg_dump, and the schema that every
/// database has.
fn may_be_skipped(sql: &str, sqlstate: &str) -> bool {
    let owner = || {
        let role = sql.starts_with("ALTER ").then(|| sql.rsplit_once(" OWNER TO ")).flatten();
        role.is_some_and(|(_, role)| role.starts_with('"') || !role.contains([' ', '\'', '"']))
    };
    let starts = |words: &[&str]| words.iter().any(|word| sql.starts_with(word));
    let rights = || starts(&["GRANT ", "REVOKE ", "ALTER DEFAULT PRIVILEGES "]) || owner();
    match sqlstate {
        // undefined_object: a role, or a setting.
        "42704" => starts(&["SET "]) || rights(),
        // insufficient_privilege: we may not make another role the owner, nor comment on what an extension's owner has.
        "42501" => starts(&["COMMENT ON EXTENSION "]) || rights(),
        // Where public was dropped and made again it is dumped as any other.
        "42P06" => sql == "CREATE SCHEMA public",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dump(text: &str) -> Dump {
        Dump { origin: "prod.sql".to_owned(), text: text.to_owned() }
    }

    #[test]
    fn restrict_lines_go_and_everything_keeps_its_line() {
        let text = "--\n-- PostgreSQL database dump\n--\n\n\\restrict aB3\n\nSET statement_timeout = 0;\n\
                    CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$ SELECT '\n\\restrict other\n'; $$;\n\n\\unrestrict aB3\n\n";
        let pieces = statements(&dump(text)).unwrap();
        assert_eq!(pieces.iter().map(|piece| piece.line).collect::<Vec<_>>(), [7, 8]);
        assert!(pieces[1].sql.contains("\\restrict other"));
        assert_eq!(statements(&dump("CREATE TABLE t ();\n")).unwrap().len(), 1);
        assert!(statements(&dump("-- nothing\n")).unwrap().is_empty());
    }

    #[test]
    fn what_is_not_a_schema_alone_is_refused_with_the_way_out() {
        for (text, line, way_out) in [
            ("PGDMP\u{1}", 1, "--format=plain"),
            ("CREATE TABLE t (a int);\nCOPY public.t (a) FROM stdin;\n1\n\\.\n", 2, "--schema-only"),
            ("CREATE DATABASE x;\n\\connect x\nCREATE TABLE t ();", 2, "without --create"),
            ("CREATE DATABASE x;", 1, "without --create"),
            ("SET x = 1;\nCREATE TABEL t ();", 2, "pg_dump --schema-only"),
        ] {
            let error = statements(&dump(text)).unwrap_err().to_string();
            assert!(error.starts_with(&format!("prod.sql:{line}: ")) && error.contains(way_out), "{error}");
        }
    }

    #[test]
    fn only_what_no_plan_depends_on_may_be_skipped() {
        assert!(may_be_skipped("ALTER TABLE public.\"A b\" OWNER TO \"the owner\"", "42704"));
        assert!(may_be_skipped("GRANT SELECT ON TABLE public.t TO app", "42704"));
        assert!(may_be_skipped("SET transaction_timeout = 0", "42704"));
        assert!(may_be_skipped("ALTER SCHEMA app OWNER TO postgres", "42501"));
        assert!(!may_be_skipped("CREATE EXTENSION dblink WITH SCHEMA public", "42501"));
        assert!(!may_be_skipped("GRANT SELECT ON TABLE public.t TO app", "42P01"));
        assert!(!may_be_skipped("CREATE POLICY p ON public.t TO app USING (true)", "42704"));
        assert!(!may_be_skipped("ALTER TABLE t ADD CHECK (x <> ' OWNER TO ' AND y::z)", "42704"));
    }
}
