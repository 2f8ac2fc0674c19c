//! One file a planned kind: its facts as written, its online steps with their undo, its effect on the catalog.

use std::fmt::Debug;

use crate::catalog::{Catalog, Relation};
use crate::diagnostic::{Code, Refusal};
use crate::effect::Effect;
use crate::plan::{Facts, Step};
use crate::policy::Policy;
use crate::sql::directive::Directives;
use crate::sql::ident::Name;

pub mod add_check;
pub mod add_column;
pub mod add_foreign_key;
pub mod add_primary_key;
pub mod add_unique;
pub mod as_written;
pub mod attach_partition;
pub mod change_type;
pub mod create_index;
pub mod create_table;
pub mod create_trigger;
pub mod delete_table;
pub mod detach_partition;
pub mod drop_column;
pub mod drop_constraint;
pub mod drop_default;
pub mod drop_index;
pub mod drop_not_null;
pub mod drop_object;
pub mod drop_table;
pub mod drop_trigger;
pub mod drop_view;
pub mod enable_trigger;
pub mod identity;
pub mod policy;
pub mod reindex;
pub mod rename_column;
pub mod rename_part;
pub mod rename_table;
pub mod replace;
pub mod row_security;
pub mod rule;
pub mod set_default;
pub mod set_not_null;
pub(crate) mod shared;
pub mod update_table;

/// What a kind may look at when it plans.
#[derive(Clone, Copy, Debug)]
pub struct Ctx<'a> {
    /// What the user would see once everything before this change is contracted.
    pub logical: &'a Catalog,
    /// What is on the server, with the effects of the steps planned so far that run before contract.
    pub physical: &'a Catalog,
    /// Limits and preferences.
    pub policy: &'a Policy,
    /// Directives bound to the statement.
    pub directives: &'a Directives,
    /// Name of the migration: archives of two migrations must not meet.
    pub migration: &'a str,
}

/// A planned change.
#[derive(Clone, Debug, Default)]
pub struct Online {
    /// Steps in the order in which they must run within each phase. Phases may come in any order; `schedule` sorts by them.
    pub steps: Vec<Step>,
    /// What to tell.
    pub notices: Vec<(Code, String)>,
}

/// A kind of change. No default methods, on purpose: every kind answers every question.
pub trait Kind: Debug {
    /// Its name: `add_column`.
    fn name(&self) -> &'static str;

    /// Locks, work and failures of the statement as written.
    fn facts(&self, ctx: &Ctx) -> Facts;

    /// The online plan.
    ///
    /// # Errors
    /// A [`Refusal`] where no plan keeps both old and new code working, or the statement would fail anyway.
    fn online(&self, ctx: &Ctx) -> Result<Online, Refusal>;

    /// What the statement as written does to the catalog. Folding the effects of all steps of [`Kind::online`] must give
    /// the same catalog; the case harness checks it.
    fn effects(&self, ctx: &Ctx) -> Vec<Effect>;
}

impl<'a> Ctx<'a> {
    /// The relation in the logical catalog, or the refusal that it does not exist (SQLSTATE 42P01).
    pub fn table(&self, name: &Name) -> Result<&'a Relation, Refusal> {
        self.logical.relation(name).ok_or_else(|| {
            Refusal::new(
                Code::WillFail,
                format!("relation {name} does not exist (42P01)"),
                "correct the name, or check the search_path",
            )
        })
    }
}
