//! ADD COLUMN, in all its forms but inline constraints, which lowering splits off.

use std::iter;

use crate::diagnostic::Refusal;
use crate::effect::Effect;
use crate::kind::shared::not_null;
use crate::kind::{Ctx, Kind, Online};
use crate::plan::Facts;
use serde::{Deserialize, Serialize};

use crate::catalog::{Catalog, Column, Generated, Identity, Sequence};
use crate::sql::expr::Expr;
use crate::sql::ident::{Ident, Name, literal};
use crate::sql::names::Namer;

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

    fn effects(&self, ctx: &Ctx) -> Vec<Effect> {
        if self.exists(ctx) {
            return Vec::new();
        }
        let sequence = self.sequence_name(ctx.logical);
        let mut column = self.bare();
        column.default = match &sequence {
            Some(sequence) if self.serial => Some(nextval(sequence)),
            _ => self.default.as_ref().map(|expr| expr.text.clone()),
        };
        column.identity = self.identity.as_ref().map(|(identity, _)| *identity);
        column.generated = self.generated.as_ref().map(|(generated, _)| *generated);
        column.not_null = (self.not_null || self.serial || self.identity.is_some())
            .then(|| not_null::marking(ctx.logical, &self.table, &self.column));
        let sequence = sequence.map(|name| {
            Effect::Sequence(Sequence { name, owned_by: Some((self.table.clone(), self.column.clone())) })
        });
        iter::once(Effect::Column { table: self.table.clone(), column }).chain(sequence).collect()
    }
}

impl AddColumn {
    fn exists(&self, ctx: &Ctx) -> bool {
        ctx.logical.relation(&self.table).is_some_and(|table| table.column(&self.column).is_some())
    }

    /// The column as it is at first: nullable, nothing in it.
    fn bare(&self) -> Column {
        Column {
            name: self.column.clone(),
            data_type: self.data_type.clone(),
            not_null: None,
            default: None,
            identity: None,
            generated: None,
            new_here: true,
        }
    }

    /// The sequence that PostgreSQL makes for a serial or identity column, by the name it chooses.
    /// Source: `generateSerialExtraStmts` in src/backend/parser/parse_utilcmd.c.
    fn sequence_name(&self, catalog: &Catalog) -> Option<Name> {
        (self.serial || self.identity.is_some()).then(|| {
            let name = Namer::new(catalog, &self.table.schema).sequence(&self.table.name, &self.column);
            self.table.sibling(name)
        })
    }
}

fn nextval(sequence: &Name) -> String {
    format!("nextval({}::regclass)", literal(&sequence.to_string()))
}
