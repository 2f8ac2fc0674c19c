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
    /// Where it reads the time of the transaction or statement, in order of position.
    #[serde(default)]
    pub times: Vec<TimeRef>,
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

/// A reading of the time that is the same within one statement: `now()`, `CURRENT_DATE`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeRef {
    /// Bytes of [`Expr::text`].
    pub at: Range<usize>,
    /// The type it has: `timestamptz`, `date`, `timestamptz(3)`.
    pub data_type: String,
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

    /// The same with every reading of the time replaced by `now`, an expression of type timestamptz.
    pub fn frozen(&self, now: &str) -> Self {
        let mut frozen = Self { text: String::new(), times: Vec::new(), ..self.clone() };
        let mut from = 0;
        for time in &self.times {
            frozen.text.push_str(&self.text[from..time.at.start]);
            let before = frozen.text.len();
            if time.data_type == "timestamptz" {
                frozen.text.push_str(now);
            } else {
                frozen.text.push_str(&format!("({now}::{})", time.data_type));
            }
            let (old, new) = (time.at.end - time.at.start, frozen.text.len() - before);
            for (column, original) in frozen.columns.iter_mut().zip(&self.columns) {
                if original.at.start >= time.at.end {
                    column.at.start = column.at.start + new - old;
                    column.at.end = column.at.end + new - old;
                }
            }
            from = time.at.end;
        }
        frozen.text.push_str(&self.text[from..]);
        frozen.functions.retain(|function| !function.tells_time());
        frozen
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

/// Functions that tell the time of the transaction or statement. Source: "Current Date/Time" in doc/src/sgml/func.sgml.
const CLOCK: &[&str] = &["now", "statement_timestamp", "transaction_timestamp"];

impl FunctionRef {
    /// It tells the time of the transaction or statement.
    pub fn tells_time(&self) -> bool {
        CLOCK.contains(&self.name.as_str())
            && self.schema.as_ref().is_none_or(|schema| schema.as_str() == "pg_catalog")
    }

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
