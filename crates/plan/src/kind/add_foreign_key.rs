//! ADD FOREIGN KEY: NOT VALID, then VALIDATE, in separate transactions.

use crate::catalog::{Constraint, ConstraintKind};
use crate::diagnostic::Refusal;
use crate::effect::Effect;
use crate::kind::{Ctx, Kind, Online};
use crate::plan::Facts;
use crate::sql::ident::{Ident, Name, list};

/// See the module.
#[derive(Clone, Debug)]
pub struct AddForeignKey {
    /// Referencing table.
    pub table: Name,
    /// Name: given, or as PostgreSQL would choose it.
    pub name: Ident,
    /// Referencing columns.
    pub columns: Vec<Ident>,
    /// Referenced table.
    pub references: Name,
    /// Referenced columns; where none are written, the primary key's.
    pub referenced_columns: Vec<Ident>,
    /// What follows the referenced columns, as written: `MATCH FULL ON DELETE CASCADE DEFERRABLE`, without NOT VALID.
    pub options: String,
    /// DEFERRABLE
    pub deferrable: bool,
    /// Written NOT VALID: then it stays so.
    pub not_valid: bool,
}

impl Kind for AddForeignKey {
    fn name(&self) -> &'static str {
        "add_foreign_key"
    }

    fn facts(&self, _ctx: &Ctx) -> Facts {
        todo!()
    }

    fn online(&self, _ctx: &Ctx) -> Result<Online, Refusal> {
        todo!()
    }

    fn effects(&self, _ctx: &Ctx) -> Vec<Effect> {
        vec![Effect::Constraint { table: self.table.clone(), constraint: self.constraint(!self.not_valid) }]
    }
}

impl AddForeignKey {
    /// The constraint as the catalog will show it.
    fn constraint(&self, validated: bool) -> Constraint {
        Constraint {
            name: self.name.clone(),
            kind: ConstraintKind::ForeignKey {
                table: self.references.clone(),
                columns: self.referenced_columns.clone(),
            },
            columns: self.columns.clone(),
            definition: self.definition(),
            validated,
            deferrable: self.deferrable,
            inherited: false,
        }
    }

    /// What follows `ADD CONSTRAINT name`.
    fn definition(&self) -> String {
        let options = if self.options.is_empty() { String::new() } else { format!(" {}", self.options) };
        format!(
            "FOREIGN KEY ({}) REFERENCES {} ({}){options}",
            list(&self.columns),
            self.references,
            list(&self.referenced_columns)
        )
    }
}
