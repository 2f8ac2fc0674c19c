//! A batched write that is not to fire triggers which running code still does: where the file disables or drops them before it,
//! they stay on the server until contract, or for good.

use crate::catalog::{ConstraintKind, Relation, Trigger, TriggerEvent};
use crate::diagnostic::{Code, Refusal};
use crate::kind::Ctx;
use crate::kind::shared::sync;
use crate::kind::shared::whole_table::{Whole, fires};
use crate::sql::ident::{Ident, Name};

/// Whether the batches fire users' triggers. They run as a replicating session where no trigger may fire that would, and where that
/// keeps nothing else from happening.
///
/// Source: `TriggerEnabled` in src/backend/commands/trigger.c, `matchLocks` in src/backend/rewrite/rewriteHandler.c.
pub(crate) fn fire(ctx: &Ctx, whole: &Whole) -> Result<bool, Refusal> {
    let mut unwanted: Option<(&Name, &Ident)> = None;
    let mut wanted: Option<&Ident> = None;
    for there in ctx.physical.tree(whole.table) {
        let said = ctx.logical.relation(&there.name);
        for trigger in users(there).filter(|trigger| fires(trigger, whole.event, &whole.written)) {
            let fires_there = |said: &Relation| {
                said.trigger(&trigger.name).is_some_and(|said| fires(said, whole.event, &whole.written))
            };
            if said.is_some_and(fires_there) {
                wanted.get_or_insert(&trigger.name);
            } else {
                unwanted.get_or_insert((&there.name, &trigger.name));
            }
        }
    }
    let Some((on, trigger)) = unwanted else { return Ok(true) };
    let refuse = |why: String, way_out: &str| {
        Err(Refusal::new(
            Code::SplitFile,
            format!(
                "trigger {trigger} of {on} still fires for running code when the {} runs, which this file says does not fire it; {why}",
                whole.verb
            ),
            way_out,
        ))
    };
    let split = "split the file: drop or disable the trigger in a file of its own, and contract that before you expand the rest";
    if let Some(other) = wanted {
        return refuse(format!("its batches cannot fire trigger {other} and not that one"), split);
    }
    if !ctx.physical.server.may_skip_triggers {
        return refuse(
            "only a role that may set session_replication_role can keep it silent for the batches alone"
                .to_owned(),
            "let a superuser GRANT SET ON PARAMETER session_replication_role to the role (15 and later), or leave out what disables or \
             drops the trigger: then the batches fire it",
        );
    }
    match ctx.physical.tree(whole.table).into_iter().find_map(|there| silenced(ctx, there, whole)) {
        Some(other) => refuse(format!("to keep it silent for the batches would {other}"), split),
        None => Ok(false),
    }
}

fn users(relation: &Relation) -> impl Iterator<Item = &Trigger> {
    relation.triggers.iter().filter(|trigger| !sync::is_ours(&trigger.name))
}

/// What else a replicating session does or leaves out.
fn silenced(ctx: &Ctx, there: &Relation, whole: &Whole) -> Option<String> {
    let writes = |columns: &[Ident]| {
        whole.event == TriggerEvent::Delete || columns.iter().any(|column| whole.written.contains(&column))
    };
    let of_event = |trigger: &&Trigger| trigger.on.contains(&whole.event);
    let name = &there.name;
    if let Some(trigger) = there
        .triggers
        .iter()
        .filter(of_event)
        .find(|trigger| sync::is_ours(&trigger.name) && !trigger.fires.replicating())
    {
        return Some(format!(
            "silence trigger {} of {name}, by which Concertina keeps columns in step",
            trigger.name
        ));
    }
    if let Some(trigger) = users(there).filter(of_event).find(|trigger| trigger.fires.replicating()) {
        return Some(format!("fire trigger {} of {name}, which replicating sessions do", trigger.name));
    }
    if let Some(rule) = there.rules.first() {
        return Some(format!("pass by rule {} of {name}", rule.name));
    }
    let own = there
        .constraints
        .iter()
        .filter(|constraint| matches!(constraint.kind, ConstraintKind::ForeignKey { .. }));
    // A row that goes refers to nothing any more.
    if let Some(key) = own.filter(|_| whole.event != TriggerEvent::Delete).find(|key| writes(&key.columns)) {
        return Some(format!("leave foreign key {} of {name} unchecked", key.name));
    }
    let incoming = ctx.physical.incoming_foreign_keys(name);
    let (child, key) = incoming.into_iter().find(
        |(_, key)| matches!(&key.kind, ConstraintKind::ForeignKey { columns, .. } if writes(columns)),
    )?;
    Some(format!("leave foreign key {} of {} unchecked", key.name, child.name))
}

/// A statement that runs as written in expand would fire them.
pub(crate) fn as_written(ctx: &Ctx, tables: &[&Name]) -> Option<Refusal> {
    let (on, trigger) = tables.iter().flat_map(|table| ctx.physical.tree(table)).find_map(|there| {
        let said = |trigger: &Trigger| {
            let said = ctx.logical.relation(&there.name).and_then(|said| said.trigger(&trigger.name));
            said.is_some_and(|said| said.fires.ordinary())
        };
        let unwanted = |trigger: &&Trigger| trigger.fires.ordinary() && !said(trigger);
        users(there).find(unwanted).map(|trigger| (&there.name, &trigger.name))
    })?;
    Some(Refusal::new(
        Code::SplitFile,
        format!(
            "it runs in expand, when trigger {trigger} of {on} still fires for whatever is written: running code counts on it until \
             contract, and this file says that it does not fire by then"
        ),
        "split the file: drop or disable the trigger in a file of its own, and contract that before you expand the rest; or leave out \
         what disables or drops it: then this statement fires it",
    ))
}
