//! Text to statements of PostgreSQL's grammar, each with its exact span. Errors carry their place.

use std::ops::Range;

use pg_query::NodeEnum;
use pg_query::protobuf::ParseResult;
use prost::Message;

use crate::diagnostic::{Code, Diagnostic};
use crate::sql::parser_ffi::{self, ParserError};
use crate::sql::tokens::{Kind, Tokens, line};

/// A statement as parsed. Locations inside `node` are bytes of the whole text.
#[derive(Debug)]
pub(crate) struct Parsed {
    /// Syntax tree.
    pub(crate) node: NodeEnum,
    /// Tokens of the statement: no comments around it, no semicolon.
    pub(crate) tokens: Range<usize>,
    /// Bytes of the statement.
    pub(crate) span: Range<usize>,
}

/// Room for the recursion of the parser, the decoder and our own walks: sixteen MiB suffice for the deepest tree that
/// libpg_query delivers (it stops at two MiB of its own, or ten thousand levels). Only touched pages cost memory.
const STACK: usize = 1 << 27;

/// Runs `work` on a stack deep enough for any syntax tree. A thread of its own, since libpg_query measures its recursion against the
/// stack of the thread.
pub(crate) fn deep<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work);
        match thread.map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(error) => panic!("cannot start a thread for the parser: {error}"),
        }
    })
}

/// The text as the parser takes it: a byte order mark becomes blanks, so that positions stay.
pub(crate) fn prepare(text: &str) -> String {
    match text.strip_prefix('\u{feff}') {
        Some(rest) => format!("   {rest}"),
        None => text.to_owned(),
    }
}

/// Parses a prepared text. Must run on a [`deep`] stack.
pub(crate) fn parse(text: &str) -> Result<(Vec<Parsed>, Tokens<'_>), Diagnostic> {
    if let Some(at) = text.find('\0') {
        return Err(diagnostic(
            at..at + 1,
            format!("line {} has a NUL byte", line(text, at)),
            "save the file as UTF-8 text",
        ));
    }
    let bytes = parser_ffi::parse(text).map_err(|error| explain(text, &error))?;
    let tree = ParseResult::decode(bytes.as_slice()).map_err(|error| {
        diagnostic(
            0..text.len().min(1),
            format!("the parser's answer cannot be read: {error}"),
            "report this",
        )
    })?;
    let tokens = Tokens::scan(text).ok_or_else(|| {
        diagnostic(
            0..text.len().min(1),
            "the scanner refuses what the parser accepts".to_owned(),
            "report this",
        )
    })?;
    let mut statements = Vec::with_capacity(tree.stmts.len());
    for raw in tree.stmts {
        let Some(node) = raw.stmt.and_then(|node| node.node) else { continue };
        let start = usize::try_from(raw.stmt_location).unwrap_or(0);
        let end = match usize::try_from(raw.stmt_len) {
            Ok(len) if len > 0 => start + len,
            _ => text.len(),
        };
        let (mut from, mut to) = (tokens.at(start), tokens.at(end));
        while from < to && tokens.kind(from) == Kind::Ascii59 {
            from += 1;
        }
        while from < to && tokens.kind(to - 1) == Kind::Ascii59 {
            to -= 1;
        }
        statements.push(Parsed { node, span: tokens.bytes(from, to), tokens: from..to });
    }
    Ok((statements, tokens))
}

/// Turns a parser error into a diagnostic with its place, and names what is psql's and not SQL.
fn explain(text: &str, error: &ParserError) -> Diagnostic {
    let at = error
        .cursor
        .checked_sub(1)
        .map_or(text.len(), |chars| text.char_indices().nth(chars).map_or(text.len(), |(byte, _)| byte));
    let here = &text[at..];
    let number = line(text, at);
    if here.starts_with('\\') {
        let command: String = here.chars().take_while(|c| !c.is_whitespace()).collect();
        return diagnostic(
            at..at + command.len(),
            format!("line {number}: {command} is a command of psql, not SQL"),
            "remove it; a migration file holds plain SQL",
        );
    }
    if here.starts_with(':') {
        let end = here.char_indices().skip(1).find(|(_, c)| !c.is_alphanumeric() && !"_'\"".contains(*c));
        return diagnostic(
            at..end.map_or(text.len(), |(end, _)| at + end),
            format!("line {number}: a psql variable cannot be used"),
            "write the value itself; a migration file holds plain SQL",
        );
    }
    if after_copy(&text[..at]) {
        return diagnostic(
            at..at + word(here),
            format!("line {number}: data of COPY … FROM stdin cannot be part of a migration"),
            "write INSERT … VALUES, or load the data outside the migration",
        );
    }
    let place = if at < text.len() { format!("line {number}: ") } else { String::new() };
    diagnostic(at..at + word(here), format!("{place}{}", error.message), "correct the statement")
}

/// Whether the last complete statement of `before` is COPY … FROM STDIN.
fn after_copy(before: &str) -> bool {
    let Some(tokens) = Tokens::scan(before) else { return false };
    let kinds: Vec<Kind> = tokens.list.iter().map(|token| token.kind).collect();
    let mut statements = kinds.split(|kind| *kind == Kind::Ascii59).rev();
    let _unfinished = statements.next();
    statements.find(|statement| !statement.is_empty()).is_some_and(|statement| {
        statement.first() == Some(&Kind::Copy)
            && statement.windows(2).any(|pair| pair == [Kind::From, Kind::Stdin])
    })
}

fn word(text: &str) -> usize {
    let mut chars = text.char_indices();
    match chars.next() {
        None => 0,
        Some((_, c)) if c.is_alphanumeric() || c == '_' => {
            chars.find(|(_, c)| !c.is_alphanumeric() && *c != '_').map_or(text.len(), |(end, _)| end)
        }
        Some((_, c)) => c.len_utf8(),
    }
}

fn diagnostic(span: Range<usize>, message: String, help: &str) -> Diagnostic {
    Diagnostic { code: Code::Syntax, span, message, help: help.to_owned(), kind: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(text: &str) -> Vec<(String, usize)> {
        let prepared = prepare(text);
        deep(|| {
            let (statements, tokens) = parse(&prepared).expect("parses");
            statements.iter().map(|s| (text[s.span.clone()].to_owned(), tokens.line(s.span.start))).collect()
        })
    }

    fn error(text: &str) -> (String, String) {
        let prepared = prepare(text);
        let diagnostic = deep(|| parse(&prepared).map(|_| ()).expect_err("is refused"));
        assert_eq!(diagnostic.code, Code::Syntax);
        (text[diagnostic.span].to_owned(), diagnostic.message)
    }

    #[test]
    fn spans_leave_out_comments_and_semicolons() {
        let text =
            "\u{feff}-- é\n/* a; */ SELECT 1 -- x\n ; ;\n\nSELECT 'é;' /* in */ , 2 /* after */;\nSELECT 3";
        assert_eq!(
            spans(text),
            [
                ("SELECT 1".to_owned(), 2),
                ("SELECT 'é;' /* in */ , 2".to_owned(), 5),
                ("SELECT 3".to_owned(), 6)
            ]
        );
        assert_eq!(spans(""), []);
        assert_eq!(spans(" ;; -- nothing\n"), []);
        let atomic = "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END";
        assert_eq!(spans(&format!("{atomic};SELECT 1"))[0].0, atomic);
    }

    #[test]
    fn errors_have_a_place() {
        assert_eq!(
            error("SELECT 'ééé';\nSELECT ü FORM x y"),
            ("x".to_owned(), "line 2: syntax error at or near \"x\"".to_owned())
        );
        assert_eq!(error("SELECT 1 FROM"), (String::new(), "syntax error at end of input".to_owned()));
        assert!(error("SELECT 'open").1.contains("unterminated quoted string"));
        assert_eq!(error("SELECT 1;\0").0, "\0");
    }

    #[test]
    fn psql_is_not_sql() {
        assert_eq!(error("SELECT 1;\n\\restrict abc\nSELECT 2;").0, "\\restrict");
        assert!(error("SELECT 1;\n\\echo it's\n").1.contains("line 2: \\echo is a command of psql"));
        assert_eq!(error("SELECT :name, 1").0, ":name");
        assert_eq!(error("SELECT :'name'").0, ":'name'");
        assert_eq!(spans("SELECT '\\d :x', $$\\d$$, a[1:n] FROM b").len(), 1);
        let (at, message) = error("COPY t (a) FROM stdin;\n1\t2\n\\.\n");
        assert_eq!(at, "1");
        assert!(message.contains("line 2: data of COPY"));
    }

    #[test]
    fn deep_expressions_do_not_crash() {
        for (operands, must) in [(41, true), (500, true), (5_000, false), (20_000, false)] {
            let text = format!("SELECT {}", vec!["a"; operands].join(" || "));
            let fine = deep(|| parse(&text).is_ok());
            assert!(fine || !must, "{operands} operands");
            let nested = format!("SELECT {}1{}", "(".repeat(operands), ")".repeat(operands));
            let _ = deep(|| parse(&nested).is_ok());
            let functions = format!("SELECT {}1{}", "f(".repeat(operands), ")".repeat(operands));
            let _ = deep(|| parse(&functions).is_ok());
        }
    }
}
