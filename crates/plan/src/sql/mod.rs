//! Text to changes: split, parse, bind directives, lower. The only code that names the parser's syntax tree.

use crate::catalog::Catalog;
use crate::change::Statement;
use crate::diagnostic::Diagnostic;
use crate::policy::Policy;

pub mod directive;
pub mod expr;
pub mod ident;

mod analyse;
mod ast;
pub(crate) mod constant;
pub(crate) mod index_text;
pub(crate) mod names;
mod nulls;
mod parse;
mod parser_ffi;
mod tokens;
mod types;

/// Reads a migration file. Statements that are recognised but not plannable come back with their diagnostic in
/// [`Statement::changes`]; names are resolved in `logical` with the effects of the statements before.
///
/// # Errors
/// When the file as a whole cannot be read: not SQL, NUL bytes, psql commands, misplaced directives.
pub fn read(text: &str, logical: &Catalog, policy: &Policy) -> Result<Vec<Statement>, Vec<Diagnostic>> {
    let _ = (text, logical, policy);
    todo!()
}
