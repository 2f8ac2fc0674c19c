//! Text to changes: split, parse, bind directives, lower. The only code that names the parser's syntax tree.

use crate::catalog::Catalog;
use crate::change::Statement;
use crate::diagnostic::{Code, Diagnostic, Refusal};
use crate::effect::fold;
use crate::policy::Policy;
use crate::sql::analyse::Scope;
use crate::sql::lower::Lower;

pub mod directive;
pub mod expr;
pub mod ident;
pub mod mentions;
pub mod pieces;

mod analyse;
mod ast;
pub(crate) mod constant;
mod directive_lines;
pub(crate) mod index_text;
pub(crate) mod lower;
pub(crate) mod names;
mod nulls;
mod parse;
mod parser_ffi;
pub(crate) mod partition;
pub(crate) mod renamed;
pub mod similar;
mod tokens;
mod types;

/// Reads a migration file. Statements that are recognised but not plannable come back with their diagnostic in
/// [`Statement::changes`]; names are resolved in `logical` with the effects of the statements before.
///
/// # Errors
/// When the file as a whole cannot be read: not SQL, NUL bytes, psql commands, misplaced directives.
pub fn read(text: &str, logical: &Catalog, policy: &Policy) -> Result<Vec<Statement>, Vec<Diagnostic>> {
    let prepared = parse::prepare(text);
    parse::deep(|| {
        let (statements, tokens) = parse::parse(&prepared).map_err(|diagnostic| vec![diagnostic])?;
        let lines = directive_lines::bind(&tokens, &statements)?;
        let mut catalog = logical.clone();
        let mut read = Vec::with_capacity(statements.len());
        let mut errors = Vec::new();
        for (statement, lines) in statements.iter().zip(lines) {
            let table = lower::table(&catalog, &statement.node);
            let scope = table.map(|table| Scope::table(&catalog, Some(table), &table.name.name));
            let mut directives = match directive_lines::parse(&lines, scope.as_ref()) {
                Ok(directives) => directives,
                Err(more) => {
                    errors.extend(more);
                    continue;
                }
            };
            let lower =
                Lower { tokens: &tokens, statement, catalog: &catalog, policy, directives: &directives };
            let outcome = lower::lower(&lower);
            if let Ok(changes) = &outcome.changes {
                errors.extend(directive_lines::unused(&lines, &directives, changes));
            }
            directives.used = outcome.allowed;
            let changes = outcome.changes.map_err(|refused| diagnostic(&catalog, statement, refused));
            read.push(Statement {
                span: statement.span.clone(),
                line: tokens.line(statement.span.start),
                sql: prepared[statement.span.clone()].to_owned(),
                directives,
                refused_effects: if changes.is_err() { outcome.effects.clone() } else { Vec::new() },
                changes,
                absorbed: Vec::new(),
            });
            catalog = fold(&catalog, &outcome.effects);
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(read)
    })
}

fn diagnostic(catalog: &Catalog, statement: &parse::Parsed, refused: lower::Refused) -> Diagnostic {
    let refusal = match &catalog.unknown_since {
        // That an object does not exist, or does, would be a guess.
        Some(since) if refused.refusal.code == Code::WillFail => Refusal::new(
            Code::SplitFile,
            format!("what is in the database after \"{since}\" is not known"),
            "put what follows it into a file of its own",
        ),
        _ => refused.refusal,
    };
    Diagnostic {
        code: refusal.code,
        span: refused.span.unwrap_or_else(|| statement.span.clone()),
        message: refusal.reason,
        help: refusal.way_out,
        kind: Some(refused.kind.to_owned()),
    }
}
