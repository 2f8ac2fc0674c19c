//! Statements about policies, rules and row security.

use crate::sql::ident::{Ident, Name};

/// Drops a policy if it is there.
pub(crate) fn drop_policy(table: &Name, policy: &Ident) -> String {
    format!("DROP POLICY IF EXISTS {policy} ON {table}")
}

/// Drops a rule if it is there.
pub(crate) fn drop_rule(table: &Name, rule: &Ident) -> String {
    format!("DROP RULE IF EXISTS {rule} ON {table}")
}

/// `word` is ENABLE, DISABLE, FORCE or NO FORCE.
pub(crate) fn row_security(table: &Name, word: &str) -> String {
    format!("ALTER TABLE {table} {word} ROW LEVEL SECURITY")
}
