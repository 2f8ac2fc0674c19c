//! Backfills over a table and its partitions, one step a leaf.

use std::collections::BTreeSet;

use crate::catalog::{Catalog, Relation, Trigger, TriggerEvent};
use crate::diagnostic::Code;
use crate::kind::Ctx;
use crate::kind::shared::sync;
use crate::pg::firing::Firing;
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

/// How a second column gets its values, row by row, from what the row has.
#[derive(Clone, Debug)]
pub(crate) struct Filling<'a> {
    /// Why, in one sentence.
    pub(crate) why: &'a str,
    /// The value, over the table by its name.
    pub(crate) value: String,
    /// True for rows that still need it.
    pub(crate) pending: String,
}

/// Fills a second column from the one beside it, without firing users' triggers.
pub(crate) fn fill(ctx: &Ctx, table: &Name, column: &Ident, from: &Ident, by: Filling) -> Vec<Step> {
    let rows = Rows {
        title: format!("Fill column {column} of {table} from {from}"),
        why: by.why.to_owned(),
        write: Write::Update {
            alias: table.name.clone(),
            unchanged: unchanged(ctx, table, column, false),
            pending: by.pending,
            set: vec![(column.clone(), by.value)],
        },
        walk: Walk::Pages { stride: ctx.policy.stride },
        fire_triggers: false,
        undo: Undo::Nothing,
    };
    steps(ctx.physical, table, &rows)
}

/// Indexed columns of `table` that a backfill into `written` names, each with the value it has.
///
/// PostgreSQL takes an index none of whose columns is named for one that gets copies of entries it holds, and searches each
/// of its full pages for dead ones before it splits it. With keys in random order that finds next to nothing, and was
/// measured to be more than half of a backfill's time while the indexes came out equally large.
/// Source: `index_unchanged_by_update` in src/backend/executor/execIndexing.c, `_bt_bottomupdel_pass` in
/// src/backend/access/nbtree/nbtdedup.c (both 14+).
///
/// Columns of unique indexes are left out, because naming them strengthens the row lock (`ExecUpdateLockMode` in
/// src/backend/executor/execMain.c); so are columns that must not be named. None are named where it would be noticed: by a
/// trigger that fires, or by a generated column.
pub(crate) fn unchanged(ctx: &Ctx, table: &Name, written: &Ident, fire_triggers: bool) -> Vec<Ident> {
    let leaves = ctx.physical.leaves(table);
    let fires = fire_triggers || !ctx.physical.server.may_skip_triggers;
    let noticed = |leaf: &&Relation| {
        let trigger = leaf.triggers.iter().any(|trigger| fires && !trigger.update_of.is_empty());
        trigger || leaf.columns.iter().any(|column| column.generated.is_some())
    };
    if leaves.iter().any(noticed) {
        return Vec::new();
    }
    let indexes = || leaves.iter().flat_map(|leaf| &leaf.indexes);
    let key = |name: &Ident| {
        indexes().any(|index| index.unique && index.columns.iter().flatten().any(|key| key == name))
    };
    let named = |name: &&Ident| {
        let column = leaves.iter().find_map(|leaf| leaf.column(name));
        *name != written && !key(name) && column.is_some_and(|column| column.identity.is_none())
    };
    let columns: BTreeSet<&Ident> =
        indexes().flat_map(|index| index.columns.iter().flatten()).filter(named).collect();
    columns.into_iter().cloned().collect()
}

/// An expression over the columns of the table that is written, every column qualified by the alias.
pub(crate) fn qualified(alias: &Ident, expr: &Expr) -> String {
    expr.rewrite(|column| format!("{alias}.{column}"))
}

/// In parentheses, on lines of its own where it might end in a comment.
pub(crate) fn wrap(expr: &str) -> String {
    if expr.contains("--") { format!("({expr}\n)") } else { format!("({expr})") }
}

/// What users' row triggers on UPDATE see of a backfill into a new column. They are kept silent where the role may do so, but for
/// those that replicating sessions fire.
pub(crate) fn trigger_notices(ctx: &Ctx, table: &Relation, column: &Ident) -> Vec<(Code, String)> {
    let skip = ctx.physical.server.may_skip_triggers;
    let names = |which: &dyn Fn(Firing) -> bool| {
        let seen = |trigger: &&Trigger| {
            trigger.row
                && trigger.on.contains(&TriggerEvent::Update)
                && trigger.update_of.is_empty()
                && !sync::is_ours(&trigger.name)
                && which(trigger.fires)
        };
        let names: Vec<String> =
            table.triggers.iter().filter(seen).map(|trigger| trigger.name.to_string()).collect();
        names.join(", ")
    };
    let name = &table.name;
    let mut notices = Vec::new();
    let silent = names(&|fires| skip && fires.ordinary() && !fires.replicating());
    if !silent.is_empty() {
        notices.push(format!("the backfill of column {column} does not fire triggers of {name}: {silent}"));
    }
    let replicating = names(&|fires| skip && fires.replicating());
    if !replicating.is_empty() {
        notices.push(format!(
            "the backfill of column {column} fires triggers of {name} for every row, because replicating sessions do: {replicating}"
        ));
    }
    let fired = names(&|fires| !skip && fires.ordinary());
    if !fired.is_empty() {
        notices.push(format!(
            "the backfill of column {column} fires triggers of {name} for every row: {fired}; the role may not set \
             session_replication_role, which would keep them silent"
        ));
    }
    notices.into_iter().map(|said| (Code::Announce, said)).collect()
}
