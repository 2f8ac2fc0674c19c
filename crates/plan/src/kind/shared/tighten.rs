//! When a constraint may start to reject writes. Running code that does not know a constraint writes rows which break it,
//! and PostgreSQL rejects them from the instant the constraint exists, even NOT VALID.

use crate::catalog::{Relation, RelationKind};
use crate::diagnostic::Code;
use crate::kind::Ctx;
use crate::kind::shared::sync;
use crate::plan::{Action, Phase, Step, WorkKind};
use crate::sql::constant::{self, Constant};
use crate::sql::ident::{Ident, Name};

/// The moment a constraint takes hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timing {
    /// The table is made by the same file: as written, in expand.
    AsWritten,
    /// Old writers satisfy it: before contract.
    Satisfied,
    /// `enforce-now`: before contract, although old writers may feel it.
    Enforced,
    /// Proven in validate, enforced in contract.
    Contract,
}

/// What code that does not know the constraint writes into its columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OldWriters {
    /// Provably rows that satisfy it, as long as it never names the columns.
    Satisfy,
    /// Perhaps rows that break it.
    MayBreak,
}

/// What a row holds that was written by code which does not know the column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OldValue {
    /// NULL.
    Null,
    /// The column's default, a literal.
    Constant(String),
    /// Anything.
    Unknown,
}

/// Decides it from the catalog. Triggers of ours write derived columns, so that nothing is known beside one.
pub(crate) fn old_value(ctx: &Ctx, table: &Relation, name: &Ident) -> OldValue {
    let Some(column) = table.column(name).filter(|column| column.new_here) else { return OldValue::Unknown };
    let synced = ctx
        .physical
        .relation(&table.name)
        .is_some_and(|table| table.triggers.iter().any(|trigger| sync::is_ours(&trigger.name)));
    if synced || column.identity.is_some() || column.generated.is_some() {
        return OldValue::Unknown;
    }
    match column.default.as_deref() {
        None => OldValue::Null,
        Some(default) => match constant::read(default) {
            Constant::Null => OldValue::Null,
            Constant::Value => OldValue::Constant(default.to_owned()),
            Constant::No => OldValue::Unknown,
        },
    }
}

/// Decides for a constraint over `columns` of `table`. What old writers do counts only if every column is new: a column
/// that they know may get any value from them.
pub(crate) fn timing(ctx: &Ctx, table: &Relation, columns: &[Ident], old: OldWriters) -> Timing {
    let new = |name: &Ident| table.column(name).is_some_and(|column| column.new_here);
    if table.new_here {
        Timing::AsWritten
    } else if old == OldWriters::Satisfy && !columns.is_empty() && columns.iter().all(new) {
        Timing::Satisfied
    } else if ctx.directives.enforce_now.is_some() {
        Timing::Enforced
    } else {
        Timing::Contract
    }
}

/// When uniqueness may be enforced: before contract if one key column is new and old writers leave it NULL, because then
/// no row of theirs equals any other.
pub(crate) fn unique_timing<'i>(
    ctx: &Ctx,
    table: &Relation,
    columns: impl IntoIterator<Item = &'i Ident>,
    nulls_distinct: bool,
) -> Timing {
    let absent =
        columns.into_iter().find(|column| nulls_distinct && old_value(ctx, table, column) == OldValue::Null);
    match absent {
        Some(column) => timing(ctx, table, std::slice::from_ref(column), OldWriters::Satisfy),
        None => timing(ctx, table, &[], OldWriters::MayBreak),
    }
}

impl Timing {
    /// When the constraint appears. Before contract means after the backfills: NOT VALID rejects unrelated updates of rows
    /// that do not satisfy it yet.
    pub(crate) fn phase(self) -> Phase {
        match self {
            Self::AsWritten => Phase::Expand,
            Self::Satisfied | Self::Enforced => Phase::Validate,
            Self::Contract => Phase::Contract,
        }
    }

    /// Whether a [`proof`] goes before: the rows may break it, and then nothing should have been enforced.
    pub(crate) fn needs_proof(self) -> bool {
        matches!(self, Self::Enforced | Self::Contract)
    }

    /// What to tell running code's owners, if anything. `what` names the constraint: "CHECK age_positive on app.users".
    pub(crate) fn notice(self, what: &str) -> Option<(Code, String)> {
        match self {
            Self::AsWritten | Self::Satisfied => None,
            Self::Enforced => Some((
                Code::Breaks,
                format!(
                    "{what} is enforced before contract (enforce-now): code that still writes rows against it gets errors"
                ),
            )),
            Self::Contract => Some((
                Code::Announce,
                format!(
                    "{what} is enforced from contract on; until then code may still write rows against it"
                ),
            )),
        }
    }
}

/// The read-only step that shows there are no violators before anything is enforced.
pub(crate) fn proof(table: &Name, what: &str, query: String, violation: impl Into<String>) -> Step {
    Step::new(
        Phase::Validate,
        format!("Prove that no row breaks {what}"),
        "a violator found now stops the migration while nothing is enforced yet",
        Action::Proof { query, violation: violation.into() },
    )
    .work(table, WorkKind::Scan)
}

/// A query for at most five rows of `table` that satisfy `condition` (over the table's columns, unqualified or
/// qualified by the table's name), shown by their key.
pub(crate) fn violators(table: &Relation, condition: &str) -> String {
    format!("SELECT {} FROM {} WHERE {condition} LIMIT 5", shown(table), rows_of(table))
}

/// A query for at most five keys that several rows of `table` share, among those that satisfy `filter`.
pub(crate) fn duplicates(
    table: &Relation,
    keys: &[String],
    filter: Option<&str>,
    nulls_not_distinct: bool,
) -> String {
    let mut conditions: Vec<String> = filter.iter().map(|filter| format!("({filter})")).collect();
    if !nulls_not_distinct {
        conditions.extend(keys.iter().map(|key| format!("{key} IS NOT NULL")));
    }
    let condition =
        if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
    let shown: Vec<String> = keys.iter().map(|key| format!("({key})::text")).collect();
    // A constant tells no rows apart, and GROUP BY takes none (42601): `((true))` is how one says that there is one row at most.
    let apart: Vec<&str> =
        keys.iter().filter(|key| constant::read(key) == Constant::No).map(String::as_str).collect();
    let groups = if apart.is_empty() { String::new() } else { format!(" GROUP BY {}", apart.join(", ")) };
    format!(
        "SELECT {}, count(*)::text AS rows FROM {}{condition}{groups} HAVING count(*) > 1 LIMIT 5",
        shown.join(", "),
        rows_of(table),
    )
}

/// The table in a FROM clause: what a constraint of it looks at. Children by inheritance are tables of their own.
fn rows_of(table: &Relation) -> String {
    match table.kind {
        RelationKind::PartitionedTable => table.name.to_string(),
        _ => format!("ONLY {}", table.name),
    }
}

/// The columns that identify a row for people, as text; all of them where the table has no key.
pub(crate) fn shown(table: &Relation) -> String {
    let columns = table
        .row_keys()
        .into_iter()
        .next()
        .unwrap_or_else(|| table.columns.iter().map(|column| column.name.clone()).collect());
    let relation = &table.name.name;
    let list: Vec<String> =
        columns.iter().map(|column| format!("{relation}.{column}::text AS {column}")).collect();
    if list.is_empty() { "ctid::text AS ctid".to_owned() } else { list.join(", ") }
}
