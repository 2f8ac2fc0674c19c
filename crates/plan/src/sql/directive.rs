//! `-- concertina:` comment lines: intent that SQL cannot say, bound to the one statement below them.

use serde::{Deserialize, Serialize};

use crate::diagnostic::Code;
use crate::sql::expr::Expr;
use crate::sql::ident::Ident;

/// The directives above one statement.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Directives {
    /// `fill COLUMN = EXPR`: value for rows that exist and, until contract, for old code's new rows.
    pub fill: Vec<(Ident, Expr)>,
    /// `down COLUMN = EXPR`: the old value of a column, from what new code writes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub down: Vec<(Ident, Expr)>,
    /// `allow CODE reason: TEXT`
    pub allow: Vec<(Code, String)>,
    /// `enforce-now reason: TEXT`: tighten in expand.
    pub enforce_now: Option<String>,
    /// `alias-view reason: TEXT`: the new name of a column in a view that stands for its table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias_view: Option<String>,
    /// `irreversible reason: TEXT`: no archive, no undo.
    pub irreversible: Option<String>,
    /// `keep-before-image`: undo of a whole-table UPDATE or DELETE, at its cost.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_before_image: bool,
    /// Codes of [`Directives::allow`] that were needed while lowering already.
    #[serde(skip)]
    pub used: Vec<Code>,
}

impl Directives {
    /// Whether nothing is said above the statement.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a refusal of this code was allowed.
    pub fn allows(&self, code: Code) -> bool {
        self.allow.iter().any(|(allowed, _)| *allowed == code)
    }

    /// The `fill` expression for a column.
    pub fn fill_for(&self, column: &Ident) -> Option<&Expr> {
        self.fill.iter().find(|(name, _)| name == column).map(|(_, expr)| expr)
    }

    /// The `down` expression for a column.
    pub fn down_for(&self, column: &Ident) -> Option<&Expr> {
        self.down.iter().find(|(name, _)| name == column).map(|(_, expr)| expr)
    }
}
