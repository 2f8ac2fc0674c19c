//! Backfills over a table and its partitions, one step a leaf.

use crate::catalog::{Catalog, Relation, Trigger, TriggerEvent};
use crate::diagnostic::Code;
use crate::kind::Ctx;
use crate::kind::shared::sync;
use crate::pg::lock::LockMode;
use crate::plan::{Action, Backfill, Phase, Step, Undo, Walk, WorkKind, Write};
use crate::sql::expr::Expr;
use crate::sql::ident::{Ident, Name};

/// What is written to each row of a table, and how its rows are visited.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    /// For people: "Fill column total of app.orders".
    pub(crate) title: String,
    /// Why, in one sentence.
    pub(crate) why: String,
    /// Per-row work; the same for every partition.
    pub(crate) write: Write,
    /// How rows are visited.
    pub(crate) walk: Walk,
    /// Users' triggers fire.
    pub(crate) fire_triggers: bool,
    /// How it is taken back.
    pub(crate) undo: Undo,
}

/// One backfill step for the table, or for each of its leaf partitions.
pub(crate) fn steps(catalog: &Catalog, table: &Name, rows: &Rows) -> Vec<Step> {
    let leaves = catalog.leaves(table);
    leaves.into_iter().map(|leaf| step(leaf, table, rows)).collect()
}

/// The step for one leaf.
pub(crate) fn step(leaf: &Relation, table: &Name, rows: &Rows) -> Step {
    let title = if leaf.name == *table {
        rows.title.clone()
    } else {
        format!("{}, partition {}", rows.title, leaf.name)
    };
    let action = Action::Backfill(Backfill {
        table: leaf.name.clone(),
        write: rows.write.clone(),
        walk: rows.walk.clone(),
        fire_triggers: rows.fire_triggers,
        rows: leaf.rows,
    });
    Step::new(Phase::Backfill, title, rows.why.clone(), action)
        .lock(&leaf.name, LockMode::RowExclusive)
        .work(&leaf.name, WorkKind::Rows)
        .undo(rows.undo.clone())
}

/// An expression over the columns of the table that is written, every column qualified by the alias.
pub(crate) fn qualified(alias: &Ident, expr: &Expr) -> String {
    expr.rewrite(|column| format!("{alias}.{column}"))
}

/// In parentheses, on lines of its own where it might end in a comment.
pub(crate) fn wrap(expr: &str) -> String {
    if expr.contains("--") { format!("({expr}\n)") } else { format!("({expr})") }
}

/// What users' row triggers on UPDATE see of a backfill into a new column. They are kept silent where the role may do so.
pub(crate) fn trigger_notices(ctx: &Ctx, table: &Relation, column: &Ident) -> Vec<(Code, String)> {
    let fires = |trigger: &&Trigger| {
        trigger.enabled
            && trigger.row
            && trigger.on.contains(&TriggerEvent::Update)
            && trigger.update_of.is_empty()
            && !sync::is_ours(&trigger.name)
    };
    let names: Vec<String> =
        table.triggers.iter().filter(fires).map(|trigger| trigger.name.to_string()).collect();
    if names.is_empty() {
        return Vec::new();
    }
    let (names, table) = (names.join(", "), &table.name);
    vec![if ctx.physical.server.may_skip_triggers {
        (
            Code::Announce,
            format!("the backfill of column {column} does not fire triggers of {table}: {names}"),
        )
    } else {
        (
            Code::Announce,
            format!(
                "the backfill of column {column} fires triggers of {table} for every row: {names}; the role may not set \
                 session_replication_role, which would keep them silent"
            ),
        )
    }]
}
