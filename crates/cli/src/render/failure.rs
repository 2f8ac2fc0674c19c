//! Prints a failure: for people to stderr; for programs, with `--format json`, as a document to stdout too.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::{BAD, STRONG, answer, say};
use crate::args::Format;
use crate::failure::{Failure, Refusal};
use crate::wire::{self, ErrorDocument};

/// Prints it.
pub fn print(failure: &Failure, format: Format) {
    say(&text(failure));
    if format == Format::Json {
        answer(&wire::to_json(&ErrorDocument::from(failure)));
    }
}

/// What happened; why, statement by statement or row by row; what to do.
pub fn text(failure: &Failure) -> String {
    let mut out = String::new();
    if let Some(refusal) = &failure.refusal {
        out.push_str(&diagnostics(refusal));
        out.push('\n');
    }
    out.push_str(&format!("{BAD}error{BAD:#}: {STRONG}{}{STRONG:#}", failure.message));
    if let Some(sqlstate) = failure.sqlstate.as_deref().filter(|code| !failure.message.contains(*code)) {
        out.push_str(&format!(" (SQLSTATE {sqlstate})"));
    }
    for row in &failure.rows {
        out.push_str(&format!("\n  {row}"));
    }
    if let Some(hint) = &failure.hint {
        out.push_str(&format!("\n{hint}"));
    }
    out
}

/// Longer statements are marked at their first line only: the place is what matters, not a wall of text.
const LONGEST_MARK: usize = 8;

/// The refused statements, each drawn in its file with the way out.
pub fn diagnostics(refusal: &Refusal) -> String {
    let colour = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let drawn: Vec<String> = refusal
        .diagnostics
        .iter()
        .map(|diagnostic| {
            let span = marked(&refusal.text, diagnostic.span.clone());
            let kind = diagnostic.kind.as_deref().unwrap_or("");
            let mut mark = AnnotationKind::Primary.span(span);
            if !kind.is_empty() {
                mark = mark.label(kind);
            }
            let source = Snippet::source(&refusal.text).path(&refusal.origin).annotation(mark);
            let title = Level::ERROR.primary_title(&diagnostic.message).id(diagnostic.code.slug());
            let mut group = Group::with_title(title).element(source);
            if !diagnostic.help.is_empty() {
                group = group.element(Level::HELP.message(&diagnostic.help));
            }
            renderer.render(&[group]).to_string()
        })
        .collect();
    let mut text = drawn.join("\n\n");
    text.push('\n');
    text
}

/// A span that can be drawn, whatever the planner said: inside the text, on character boundaries, not too long.
fn marked(text: &str, span: std::ops::Range<usize>) -> std::ops::Range<usize> {
    let boundary = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let (start, end) = (boundary(span.start), boundary(span.end.max(span.start)));
    let lines = text[start..end].matches('\n').count();
    if lines <= LONGEST_MARK {
        return start..end;
    }
    let first = text[start..end].find('\n').unwrap_or(end - start);
    start..start + first
}

#[cfg(test)]
mod tests {
    use concertina_plan::diagnostic::{Code, Diagnostic};

    use super::*;
    use crate::exit_code::ExitCode;

    fn refusal(text: &str, span: std::ops::Range<usize>) -> Refusal {
        Refusal {
            migration: "0007_x".into(),
            origin: "migrations/0007_x.sql".into(),
            text: text.into(),
            diagnostics: vec![Diagnostic {
                code: Code::NoOnlineForm,
                span,
                message: "VACUUM FULL rewrites app.orders".into(),
                help: "use pg_repack".into(),
                kind: Some("vacuum".into()),
            }],
        }
    }

    #[test]
    fn a_refusal_shows_place_reason_and_way_out() {
        let text = "SELECT 'ü';\nVACUUM FULL app.orders;\n";
        let start = text.find("VACUUM").unwrap();
        let drawn =
            anstream::adapter::strip_str(&diagnostics(&refusal(text, start..text.len() - 2))).to_string();
        for part in [
            "error[no-online-form]",
            "migrations/0007_x.sql:2:1",
            "VACUUM FULL app.orders",
            "help: use pg_repack",
        ] {
            assert!(drawn.contains(part), "{part} in\n{drawn}");
        }
    }

    #[test]
    fn impossible_spans_are_drawn_somewhere() {
        for (start, end) in [(0, 999), (500, 600), (9, 10), (5, 2)] {
            let drawn = diagnostics(&refusal("SELECT 'ü';", start..end));
            assert!(drawn.contains("VACUUM FULL rewrites"));
        }
    }

    #[test]
    fn an_error_says_what_and_what_next() {
        let failure = Failure {
            sqlstate: Some("55P03".into()),
            rows: Box::new(["id 7".into()]),
            ..Failure::new(ExitCode::Violated, "rows of app.users where email is null").hint("Correct them.")
        };
        let text = anstream::adapter::strip_str(&text(&failure)).to_string();
        assert_eq!(
            text,
            "error: rows of app.users where email is null (SQLSTATE 55P03)\n  id 7\nCorrect them."
        );
    }
}
