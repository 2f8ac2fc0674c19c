//! ADD COLUMN, in all its forms but inline constraints, which lowering splits off.

use crate::diagnostic::Refusal;
use crate::effect::Effect;
use crate::kind::{Ctx, Kind, Online};
use crate::plan::Facts;
use serde::{Deserialize, Serialize};

use crate::catalog::{Generated, Identity};
use crate::sql::expr::Expr;
use crate::sql::ident::{Ident, Name};

/// See the module.
#[derive(Clone, Debug)]
pub struct AddColumn {
    /// Table.
    pub table: Name,
    /// Column.
    pub column: Ident,
    /// Type as written, with its modifier: `varchar(20)`, `app.mood`.
    pub data_type: String,
    /// The type's own name, resolved in the catalog when it is a user's: to find domains.
    pub user_type: Option<Name>,
    /// COLLATE, STORAGE and COMPRESSION clauses as written; empty if none.
    pub options: String,
    /// IF NOT EXISTS
    pub if_not_exists: bool,
    /// DEFAULT
    pub default: Option<Expr>,
    /// NOT NULL, inline or by a SET NOT NULL that was combined into it.
    pub not_null: bool,
    /// GENERATED … AS IDENTITY, with its sequence options as written (without parentheses).
    pub identity: Option<(Identity, String)>,
    /// serial, bigserial, smallserial: `data_type` then holds integer, bigint, smallint.
    pub serial: bool,
    /// GENERATED ALWAYS AS (expr)
    pub generated: Option<(Generated, Expr)>,
    /// `UPDATE t SET column = expr [WHERE filter]` that was combined into it.
    pub derived: Option<Derived>,
}

/// The UPDATE that fills a new column from others of its row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Derived {
    /// Alias under which the expressions see the table.
    pub alias: Ident,
    /// Expression.
    pub expr: Expr,
    /// WHERE of the UPDATE.
    pub filter: Option<Expr>,
}

impl Kind for AddColumn {
    fn name(&self) -> &'static str {
        "add_column"
    }

    fn facts(&self, _ctx: &Ctx) -> Facts {
        todo!()
    }

    fn online(&self, _ctx: &Ctx) -> Result<Online, Refusal> {
        todo!()
    }

    fn effects(&self, _ctx: &Ctx) -> Vec<Effect> {
        todo!()
    }
}
