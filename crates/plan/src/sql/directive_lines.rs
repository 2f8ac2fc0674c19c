//! `-- concertina:` comment lines: found, bound to the statement below them, parsed.
//!
//! ```text
//! directive := "-- concertina:" verb args
//! fill COLUMN = EXPR
//! down COLUMN = EXPR
//! allow CODE reason: TEXT
//! enforce-now reason: TEXT
//! irreversible reason: TEXT
//! keep-before-image
//! ```
//!
//! Whatever cannot be meant otherwise and is not such a line is an error: a directive that is silently taken for prose would
//! be worse.

use std::ops::Range;
use std::str::FromStr;

use pg_query::NodeEnum;
use pg_query::protobuf::UpdateStmt;

use crate::change::Change;
use crate::diagnostic::{Code, Diagnostic};
use crate::sql::analyse::{self, Scope};
use crate::sql::ast;
use crate::sql::directive::Directives;
use crate::sql::expr::Expr;
use crate::sql::ident::Ident;
use crate::sql::parse::{self, Parsed};
use crate::sql::similar::{did_you_mean, nearest};
use crate::sql::tokens::{Kind, Tokens};

const VERBS: [&str; 8] =
    ["fill", "allow", "enforce-now", "irreversible", "down", "sync", "keep-before-image", "alias-view"];

/// A directive, not yet parsed.
#[derive(Clone, Debug)]
pub(crate) struct Line<'a> {
    /// The whole comment.
    span: Range<usize>,
    verb: &'a str,
    args: &'a str,
    /// Byte of the file where the arguments begin.
    args_at: usize,
}

/// All directives of a file, by the statement they bind to.
pub(crate) fn bind<'a>(
    tokens: &Tokens<'a>,
    statements: &[Parsed],
) -> Result<Vec<Vec<Line<'a>>>, Vec<Diagnostic>> {
    let mut bound = vec![Vec::new(); statements.len()];
    let mut errors = Vec::new();
    for comment in &tokens.comments {
        let line = match line(tokens.text, comment) {
            Ok(Some(line)) => line,
            Ok(None) => continue,
            Err(diagnostic) => {
                errors.push(diagnostic);
                continue;
            }
        };
        match place(tokens, statements, comment) {
            Ok(statement) => bound[statement].push(line),
            Err(message) => errors.push(error(
                comment.clone(),
                message,
                "put it on a line of its own directly above the one statement it is about",
            )),
        }
    }
    if errors.is_empty() { Ok(bound) } else { Err(errors) }
}

/// Reads a comment as a directive; `None` for prose.
fn line<'a>(text: &'a str, comment: &Range<usize>) -> Result<Option<Line<'a>>, Diagnostic> {
    let body = &text[comment.clone()];
    let form = "write `-- concertina:verb …` on a line of its own";
    if let Some(block) = body.strip_prefix("/*") {
        let is_directive = block.trim_start().to_lowercase().starts_with("concertina:");
        return if is_directive {
            Err(error(comment.clone(), "a directive in a block comment", form))
        } else {
            Ok(None)
        };
    }
    let content = body.trim_start_matches('-').trim_start();
    let Some((head, rest)) = content.split_once(':') else {
        let mut words = content.split_whitespace();
        let named = words.next().is_some_and(|word| word.eq_ignore_ascii_case("concertina"));
        return if named && words.next().is_some_and(|verb| VERBS.contains(&verb)) {
            Err(error(comment.clone(), "a directive without its colon", form))
        } else {
            Ok(None)
        };
    };
    let name = head.trim_end();
    if name.contains(char::is_whitespace) {
        let mut words = name.split_whitespace();
        let named = words.next().is_some_and(|word| word.eq_ignore_ascii_case("concertina"));
        return if named && words.next().is_some_and(|verb| VERBS.contains(&verb)) {
            Err(error(comment.clone(), "a directive without its colon", form))
        } else {
            Ok(None)
        };
    }
    let rest_trimmed = rest.trim_start();
    let verb_end = rest_trimmed.find(char::is_whitespace).unwrap_or(rest_trimmed.len());
    let verb = &rest_trimmed[..verb_end];
    if head != "concertina" {
        let meant = nearest(name, ["concertina".to_owned()]).is_some()
            && (name.eq_ignore_ascii_case("concertina") || VERBS.contains(&verb));
        return if meant {
            Err(error(comment.clone(), format!("`{head}:` is no directive"), "did you mean `concertina:`?"))
        } else {
            Ok(None)
        };
    }
    let args = rest_trimmed[verb_end..].trim();
    let args_at = args.as_ptr() as usize - text.as_ptr() as usize;
    Ok(Some(Line { span: comment.clone(), verb, args, args_at }))
}

/// The statement that a directive binds to.
fn place(tokens: &Tokens, statements: &[Parsed], comment: &Range<usize>) -> Result<usize, String> {
    let text = tokens.text;
    if let Some(around) =
        statements.iter().find(|s| s.span.start < comment.start && comment.end <= s.span.end)
    {
        return Err(format!("a directive inside the statement of line {}", tokens.line(around.span.start)));
    }
    let line_start = text[..comment.start].rfind('\n').map_or(0, |newline| newline + 1);
    if !text[line_start..comment.start].trim().is_empty() {
        return Err("a directive behind something else on its line".to_owned());
    }
    let next = statements.partition_point(|statement| statement.span.start < comment.end);
    let Some(statement) = statements.get(next) else {
        return Err("a directive without a statement below it".to_owned());
    };
    if tokens.at(comment.end) != statement.tokens.start {
        return Err("something stands between the directive and its statement".to_owned());
    }
    let gap = comment.end..statement.span.start;
    let mut at = gap.start;
    for line in text[gap.clone()].split_inclusive('\n') {
        let (from, to) = (at, at + line.len());
        at = to;
        let inside = tokens.comments.iter().any(|c| c.start < to && c.end > from);
        // What follows the directive on its own line, and what indents the statement, are no lines.
        if from > gap.start && line.ends_with('\n') && line.trim().is_empty() && !inside {
            return Err("a blank line stands between the directive and its statement".to_owned());
        }
    }
    Ok(next)
}

/// Parses the directives of one statement. Names in expressions are those of `scope`.
pub(crate) fn parse(lines: &[Line], scope: Option<&Scope>) -> Result<Directives, Vec<Diagnostic>> {
    let mut directives = Directives::default();
    let mut errors = Vec::new();
    for line in lines {
        if let Err(diagnostic) = add(&mut directives, line, scope) {
            errors.push(diagnostic);
        }
    }
    if errors.is_empty() { Ok(directives) } else { Err(errors) }
}

fn add(directives: &mut Directives, line: &Line, scope: Option<&Scope>) -> Result<(), Diagnostic> {
    let twice = |what: &str| Err(error(line.span.clone(), format!("{what} is said twice"), "remove one"));
    match line.verb {
        "fill" => {
            let (column, expr) = value(line, scope)?;
            if directives.fill_for(&column).is_some() {
                return twice(&format!("fill {column}"));
            }
            directives.fill.push((column, expr));
        }
        "down" => {
            let (column, expr) = value(line, scope)?;
            if directives.down_for(&column).is_some() {
                return twice(&format!("down {column}"));
            }
            directives.down.push((column, expr));
        }
        "allow" => {
            let (code, rest) = line.args.split_once(char::is_whitespace).unwrap_or((line.args, ""));
            let form = "write `-- concertina:allow CODE reason: TEXT`";
            if code.is_empty() || code == "reason:" {
                return Err(error(line.span.clone(), "allow needs a code", form));
            }
            let Ok(known) = Code::from_str(code) else {
                let codes = Code::ALL.iter().map(|code| code.slug().to_owned());
                let hint = did_you_mean(code, codes).unwrap_or_else(|| form.to_owned());
                return Err(error(line.span.clone(), format!("there is no code {code}"), hint));
            };
            let reason = reason(line, rest, form)?;
            if directives.allows(known) {
                return twice(&format!("allow {known}"));
            }
            directives.allow.push((known, reason));
        }
        "enforce-now" => {
            let reason = reason(line, line.args, "write `-- concertina:enforce-now reason: TEXT`")?;
            if directives.enforce_now.replace(reason).is_some() {
                return twice("enforce-now");
            }
        }
        "alias-view" => {
            let reason = reason(line, line.args, "write `-- concertina:alias-view reason: TEXT`")?;
            if directives.alias_view.replace(reason).is_some() {
                return twice("alias-view");
            }
        }
        "irreversible" => {
            let reason = reason(line, line.args, "write `-- concertina:irreversible reason: TEXT`")?;
            if directives.irreversible.replace(reason).is_some() {
                return twice("irreversible");
            }
        }
        "keep-before-image" => {
            if !line.args.is_empty() {
                let form = "write `-- concertina:keep-before-image`";
                return Err(error(line.span.clone(), "keep-before-image takes no arguments", form));
            }
            if std::mem::replace(&mut directives.keep_before_image, true) {
                return twice("keep-before-image");
            }
        }
        "sync" => {
            return Err(Diagnostic {
                code: Code::NotYet,
                span: line.span.clone(),
                message: format!(
                    "the directive {} is known, but what it asks for is not built yet",
                    line.verb
                ),
                help: "remove it".to_owned(),
                kind: None,
            });
        }
        verb => {
            let hint = did_you_mean(verb, VERBS.map(ToOwned::to_owned))
                .unwrap_or_else(|| format!("there are {}", VERBS.join(", ")));
            return Err(error(line.span.clone(), format!("there is no directive {verb:?}"), hint));
        }
    }
    Ok(())
}

fn reason(line: &Line, text: &str, form: &str) -> Result<String, Diagnostic> {
    match text.trim().strip_prefix("reason:").map(str::trim) {
        Some(reason) if !reason.is_empty() => Ok(reason.to_owned()),
        _ => Err(error(line.span.clone(), format!("{} needs a reason", line.verb), form)),
    }
}

/// `COLUMN = EXPR` is read as the SET clause of an UPDATE.
fn value(line: &Line, scope: Option<&Scope>) -> Result<(Ident, Expr), Diagnostic> {
    const PREFIX: &str = "UPDATE t SET ";
    let verb = line.verb;
    let form = format!("write `-- concertina:{verb} COLUMN = EXPR`");
    let malformed = |message: &str| error(line.span.clone(), format!("{verb} {message}"), form.clone());
    let text = format!("{PREFIX}{}", line.args);
    let (statements, tokens) = parse::parse(&text).map_err(|diagnostic| {
        let shift = |at: usize| (at.max(PREFIX.len()) - PREFIX.len() + line.args_at).min(line.span.end);
        let span = shift(diagnostic.span.start)..shift(diagnostic.span.end);
        error(span, format!("{verb} cannot be read: {}", diagnostic.message), form.clone())
    })?;
    let [statement] = statements.as_slice() else { return Err(malformed("takes one assignment")) };
    let NodeEnum::UpdateStmt(update) = &statement.node else {
        return Err(malformed("takes one assignment"));
    };
    let target = assignment(update).ok_or_else(|| malformed("takes one assignment"))?;
    let column = Ident::from(target.name.as_str());
    let Some(node) = ast::node(target.val.as_deref()) else { return Err(malformed("needs a value")) };
    let start = tokens.at(ast::byte(target.location));
    let end = statement.tokens.end;
    let equals = tokens.find(start, end, |kind| kind == Kind::Ascii61).unwrap_or(start);
    let Some(scope) = scope else {
        return Err(error(
            line.span.clone(),
            format!("the statement has no table with columns for {verb}"),
            form,
        ));
    };
    Ok((column, analyse::expr(&tokens, equals + 1..end, node, scope)))
}

fn assignment(update: &UpdateStmt) -> Option<&pg_query::protobuf::ResTarget> {
    let plain = update.from_clause.is_empty()
        && update.where_clause.is_none()
        && update.returning_clause.is_none()
        && update.with_clause.is_none();
    match (plain, update.target_list.as_slice()) {
        (true, [target]) => match &target.node {
            Some(NodeEnum::ResTarget(target)) if target.indirection.is_empty() => {
                let value = ast::node(target.val.as_deref());
                let multi = matches!(value, Some(NodeEnum::MultiAssignRef(_) | NodeEnum::SetToDefault(_)));
                (!multi).then_some(&**target)
            }
            _ => None,
        },
        _ => None,
    }
}

/// Directives that say nothing about their statement.
pub(crate) fn unused(lines: &[Line], directives: &Directives, changes: &[Change]) -> Vec<Diagnostic> {
    let mut errors = Vec::new();
    let span = |verb: &str, start: &str| {
        lines
            .iter()
            .find(|line| line.verb == verb && line.args.starts_with(start))
            .map_or(0..0, |line| line.span.clone())
    };
    for (at, (column, _)) in directives.fill.iter().enumerate() {
        let fills = changes.iter().any(|change| match change {
            Change::AddColumn(add) => add.column == *column,
            Change::SetNotNull(set) => set.column == *column,
            _ => false,
        });
        if !fills {
            let line = lines.iter().filter(|line| line.verb == "fill").nth(at);
            errors.push(error(
                line.map_or(0..0, |line| line.span.clone()),
                format!(
                    "fill {column} is unused: the statement neither adds that column nor makes it NOT NULL"
                ),
                "remove it, or correct the column",
            ));
        }
    }
    for (at, (column, _)) in directives.down.iter().enumerate() {
        let changes = changes
            .iter()
            .any(|change| matches!(change, Change::ChangeType(change) if change.column == *column));
        if !changes {
            let line = lines.iter().filter(|line| line.verb == "down").nth(at);
            errors.push(error(
                line.map_or(0..0, |line| line.span.clone()),
                format!("down {column} is unused: the statement does not change that column's type"),
                "remove it, or correct the column",
            ));
        }
    }
    let tightens = changes.iter().any(|change| match change {
        Change::AddColumn(add) => add.not_null,
        Change::SetNotNull(_)
        | Change::AddCheck(_)
        | Change::AddForeignKey(_)
        | Change::AddPrimaryKey(_)
        | Change::AddUnique(_)
        | Change::Policy(_) => true,
        Change::RowSecurity(switch) => switch.on,
        _ => false,
    });
    if directives.enforce_now.is_some() && !tightens {
        let message =
            "enforce-now is unused: the statement adds no constraint, no NOT NULL and no row security";
        errors.push(error(span("enforce-now", ""), message, "remove it"));
    }
    let renames = |change: &Change| matches!(change, Change::RenameColumn(_));
    if directives.alias_view.is_some() && !changes.iter().any(renames) {
        let message = "alias-view is unused: the statement does not rename a column";
        errors.push(error(span("alias-view", ""), message, "remove it"));
    }
    let destroys = |change: &Change| {
        matches!(
            change,
            Change::DropColumn(_)
                | Change::DropTable(_)
                | Change::DropView(_)
                | Change::DropObject(_)
                | Change::UpdateTable(_)
                | Change::DeleteTable(_)
                | Change::AddColumn(_)
                | Change::ChangeType(_)
        )
    };
    if directives.irreversible.is_some() && !changes.iter().any(destroys) {
        let message = "irreversible is unused: neither the statement nor its undo destroys anything";
        errors.push(error(span("irreversible", ""), message, "remove it"));
    }
    let overwrites = |change: &Change| matches!(change, Change::UpdateTable(_) | Change::DeleteTable(_));
    if directives.keep_before_image && !changes.iter().any(overwrites) {
        let message = "keep-before-image is unused: the statement is no UPDATE or DELETE over a table";
        errors.push(error(span("keep-before-image", ""), message, "remove it"));
    }
    if directives.keep_before_image && directives.irreversible.is_some() {
        let message = "keep-before-image and irreversible contradict each other";
        errors.push(error(span("keep-before-image", ""), message, "remove one"));
    }
    errors
}

fn error(span: Range<usize>, message: impl Into<String>, help: impl Into<String>) -> Diagnostic {
    Diagnostic { code: Code::Directive, span, message: message.into(), help: help.into(), kind: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Statement;
    use crate::policy::Policy;
    use crate::sql::lower::tests::catalog;
    use crate::sql::read;

    const DDL: &str = "CREATE TABLE users (id bigint PRIMARY KEY, name text, mail text)";

    fn statements(sql: &str) -> Result<Vec<Statement>, Vec<Diagnostic>> {
        read(sql, &catalog(DDL), &Policy::default())
    }

    fn error_of(sql: &str) -> String {
        let errors = statements(sql).expect_err("is refused");
        assert_eq!(errors.len(), 1, "{errors:?}");
        let error = &errors[0];
        assert!(error.span.end <= sql.len());
        format!("{}: {} | {}", error.code, error.message, error.help)
    }

    #[test]
    fn they_bind_to_the_statement_below() {
        let sql = "-- prose\n-- concertina:fill name = coalesce(mail, 'x') -- why\n  -- concertina:enforce-now reason: all writers set it\n-- more\n  /* and */ ALTER TABLE users ALTER name SET NOT NULL;\n\n-- concertina:allow not-yet reason: small\nINSERT INTO users SELECT * FROM users;";
        let read = statements(sql).expect("is fine");
        let first = &read[0].directives;
        assert_eq!(first.fill.len(), 1);
        let (column, expr) = &first.fill[0];
        assert_eq!((column.as_str(), expr.text.as_str()), ("name", "coalesce(mail, 'x')"));
        assert_eq!(&expr.text[expr.columns[0].at.clone()], "mail");
        assert_eq!(first.enforce_now.as_deref(), Some("all writers set it"));
        assert_eq!(read[1].directives.allow, [(Code::NotYet, "small".to_owned())]);
        assert!(
            matches!(&read[1].changes.as_deref(), Ok([Change::AsWritten(change)]) if change.kind == "insert_select")
        );
    }

    #[test]
    fn misplaced_ones_are_errors() {
        let statement = "ALTER TABLE users ALTER name SET NOT NULL";
        for (sql, expect) in [
            (format!("-- concertina:enforce-now reason: x\n\n{statement}"), "a blank line"),
            (format!("{statement}; -- concertina:enforce-now reason: x\n{statement}"), "behind something"),
            (format!("{statement};\n-- concertina:enforce-now reason: x\n"), "without a statement"),
            (
                "ALTER TABLE users\n-- concertina:enforce-now reason: x\nALTER name SET NOT NULL".to_owned(),
                "inside",
            ),
            (format!("-- concertina:enforce-now reason: x\n;\n{statement}"), "something stands between"),
            (format!("/* concertina:enforce-now reason: x */\n{statement}"), "block comment"),
        ] {
            assert!(error_of(&sql).contains(expect), "{sql}: {}", error_of(&sql));
        }
    }

    #[test]
    fn misspelt_ones_are_errors() {
        let with = |line: &str| error_of(&format!("{line}\nALTER TABLE users ALTER name SET NOT NULL"));
        for (line, expect) in [
            ("-- concertina:fil name = 1", "did you mean fill?"),
            ("-- concertina:fill name", "fill cannot be read"),
            ("-- concertina:fill name = 1 WHERE true", "one assignment"),
            ("-- concertina:fill name = 1; SELECT 1", "one assignment"),
            ("-- concertina:fill nam = 1", "fill nam is unused"),
            ("-- concertina:allow not-jet reason: x", "did you mean not-yet?"),
            ("-- concertina:allow not-yet", "needs a reason"),
            ("-- concertina:allow not-yet reason:", "needs a reason"),
            ("-- concertina:enforce-now", "needs a reason"),
            ("-- concertina:irreversible reason: x", "irreversible is unused"),
            ("-- concertina:alias-view reason: x", "alias-view is unused"),
            ("-- concertina:alias-view", "needs a reason"),
            ("-- concertina:down name = 1", "down name is unused"),
            ("-- concertina:down name", "down cannot be read"),
            ("-- concertina:sync name = 1", "not-yet: the directive sync is known"),
            ("-- concertina:keep-before-image", "keep-before-image is unused"),
            ("-- concertina:keep-before-image reason: x", "takes no arguments"),
            ("-- concertina:", "there is no directive"),
            ("-- Concertina:fill name = 1", "did you mean `concertina:`?"),
            ("-- concertna:fill name = 1", "did you mean `concertina:`?"),
            ("-- concertina fill name = 1", "without its colon"),
            ("-- concertina:fill name = 1\n-- concertina:fill name = 2", "said twice"),
        ] {
            assert!(with(line).contains(expect), "{line}: {}", with(line));
        }
    }

    #[test]
    fn prose_is_prose() {
        let sql = "-- concertina is used here: see the wiki\n-- note: concertina:fill is not this\n--\nALTER TABLE users ALTER name SET NOT NULL";
        assert_eq!(statements(sql).expect("is fine")[0].directives, Directives::default());
    }
}
