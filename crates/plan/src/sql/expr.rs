//! A SQL expression of the user's: its source text and what the planner must know about it.
//!
//! The text is never rebuilt from the syntax tree (deparse comes out wrong now and then): it is sliced from the file
//! and rewritten by position.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::catalog::{Catalog, Volatility};
use crate::sql::ident::{Ident, Name};

/// An expression as written, with its column and function uses.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Expr {
    /// Source text, without surrounding blanks.
    pub text: String,
    /// References to columns of the statement's own table, outside subqueries, in order of position.
    pub columns: Vec<ColumnRef>,
    /// Functions called, anywhere inside.
    pub functions: Vec<FunctionRef>,
    /// Relations read by subqueries, resolved where they exist.
    pub reads: Vec<Name>,
    /// Contains a subquery.
    pub subquery: bool,
    /// Refers to the whole row (`t`, `t.*`), so columns are not all listed.
    pub whole_row: bool,
    /// Uses `CURRENT_TIMESTAMP`, `CURRENT_USER` and the like: stable.
    pub value_function: bool,
    /// When its result may be NULL.
    pub null_when: NullWhen,
    /// It is a literal, possibly cast or negated.
    pub constant: bool,
}

/// A column reference inside an [`Expr`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnRef {
    /// Bytes of [`Expr::text`] that hold the whole reference, qualifier included.
    pub at: Range<usize>,
    /// Column.
    pub column: Ident,
}

/// A function call inside an [`Expr`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionRef {
    /// Schema, if written.
    pub schema: Option<Ident>,
    /// Name.
    pub name: Ident,
}

/// When an expression may yield NULL, as far as its syntax shows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NullWhen {
    /// Never.
    Never,
    /// It is the literal NULL.
    Always,
    /// Only when one of these columns is NULL (empty is the same as [`NullWhen::Never`]).
    AnyOf(Vec<Ident>),
    /// Not known.
    #[default]
    Unknown,
}

impl Expr {
    /// The text with every column reference replaced, by position.
    pub fn rewrite(&self, replace: impl Fn(&Ident) -> String) -> String {
        let mut text = String::with_capacity(self.text.len() + 16);
        let mut from = 0;
        for reference in &self.columns {
            text.push_str(&self.text[from..reference.at.start]);
            text.push_str(&replace(&reference.column));
            from = reference.at.end;
        }
        text.push_str(&self.text[from..]);
        text
    }

    /// Whether it reads this column.
    pub fn uses(&self, column: &Ident) -> bool {
        self.whole_row || self.columns.iter().any(|reference| reference.column == *column)
    }

    /// Worst volatility of anything it calls. A function that the catalog does not know is taken for volatile.
    pub fn volatility(&self, catalog: &Catalog) -> Volatility {
        let base =
            if self.value_function || self.subquery { Volatility::Stable } else { Volatility::Immutable };
        self.functions.iter().map(|function| function.volatility(catalog)).fold(base, Volatility::max)
    }
}

impl FunctionRef {
    fn volatility(&self, catalog: &Catalog) -> Volatility {
        // Overloads are not told apart: the worst of the name counts.
        let user = catalog
            .functions
            .iter()
            .filter(|f| {
                f.name.name == self.name && self.schema.as_ref().is_none_or(|schema| *schema == f.name.schema)
            })
            .map(|f| f.volatility)
            .max();
        let system = self.schema.as_ref().is_none_or(|schema| schema.as_str() == "pg_catalog");
        let builtin = if system { catalog.builtin_volatility.get(&self.name).copied() } else { None };
        match (user, builtin) {
            (None, None) => Volatility::Volatile,
            (user, builtin) => user.max(builtin).unwrap_or(Volatility::Volatile),
        }
    }
}
