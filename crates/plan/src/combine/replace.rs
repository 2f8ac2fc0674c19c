//! DROP and CREATE of one name by statements that follow each other: one replacement.

use std::collections::BTreeSet;

use crate::catalog::Object;
use crate::change::{Change, Statement};
use crate::kind::replace::Replace;
use crate::sql::directive::Directives;
use crate::sql::ident::Name;

/// Joins each run of such statements into its last one.
pub(super) fn combine(statements: &mut [Statement]) {
    let mut at = 0;
    while at < statements.len() {
        let end = at + statements[at..].iter().take_while(|statement| fits(statement)).count();
        if let Some((first, last)) = window(&statements[at..end]) {
            join(&mut statements[at + first..=at + last]);
        }
        at = end + 1;
    }
}

/// Only drops, creations and what goes with them; a directive belongs to its statement, and would lose it.
fn fits(statement: &Statement) -> bool {
    let of_the_sort = |change: &Change| {
        dropped(change).is_some()
            || created(change).is_some()
            || matches!(change, Change::AsWritten(written) if matches!(written.kind, "comment" | "grant" | "revoke"))
    };
    statement.directives == Directives::default()
        && statement.absorbed.is_empty()
        && statement
            .changes
            .as_ref()
            .is_ok_and(|changes| !changes.is_empty() && changes.iter().all(of_the_sort))
}

/// From the first drop of something that comes again to the last creation of such; `None` where something between goes for good.
fn window(run: &[Statement]) -> Option<(usize, usize)> {
    let changes = |statement: &Statement| statement.changes.clone().unwrap_or_default();
    let mut gone: BTreeSet<String> = BTreeSet::new();
    let mut again: BTreeSet<String> = BTreeSet::new();
    let mut last = 0;
    for (at, statement) in run.iter().enumerate() {
        for change in changes(statement) {
            gone.extend(dropped(&change));
            if let Some(made) = created(&change).filter(|made| gone.contains(made)) {
                again.insert(made);
                last = at;
            }
        }
    }
    let drops = |statement: &Statement| changes(statement).iter().filter_map(dropped).collect::<Vec<_>>();
    let first = run.iter().position(|statement| drops(statement).iter().any(|name| again.contains(name)))?;
    let all = run[first..=last].iter().flat_map(drops).all(|name| again.contains(&name));
    all.then_some((first, last))
}

fn join(window: &mut [Statement]) {
    let all = || window.iter().filter_map(|statement| statement.changes.as_ref().ok()).flatten();
    let mut what: Vec<String> = Vec::new();
    for name in all().filter_map(dropped) {
        if !what.contains(&name) {
            what.push(name);
        }
    }
    let views: Vec<Name> = all()
        .filter_map(|change| match change {
            Change::DropView(drop) => Some(drop.view.clone()),
            _ => None,
        })
        .collect();
    let mut parts: Vec<Change> = Vec::new();
    let mut own = 0;
    for statement in &mut *window {
        let Ok(changes) = &mut statement.changes else { continue };
        for change in &mut *changes {
            let again = created(change).is_some_and(|name| what.contains(&name));
            match change {
                Change::DropView(drop) => drop.together.clone_from(&views),
                // By then the old one is gone.
                Change::CreateTrigger(create) if again => create.replace = true,
                _ => {}
            }
        }
        own = changes.len();
        parts.extend(changes.iter().cloned());
        statement.absorbed.append(changes);
    }
    if let Some(statement) = window.last_mut() {
        statement.absorbed.clear();
        statement.changes = Ok(vec![Change::Replace(Replace { parts, own, what })]);
    }
}

fn dropped(change: &Change) -> Option<String> {
    match change {
        Change::DropView(drop) if drop.kind == "drop_view" => Some(format!("view {}", drop.view)),
        Change::DropTrigger(drop) => Some(format!("trigger {} of {}", drop.name, drop.table)),
        Change::DropObject(drop) => match &drop.object {
            Object::Function(name) => Some(format!("function {name}")),
            Object::Type(_) | Object::Sequence(_) => None,
        },
        _ => None,
    }
}

fn created(change: &Change) -> Option<String> {
    use crate::effect::Effect;
    match change {
        Change::CreateTrigger(create) => Some(format!("trigger {} of {}", create.trigger.name, create.table)),
        Change::AsWritten(written) => match (written.kind, written.effects.first()) {
            ("create_view", Some(Effect::Relation(view))) => Some(format!("view {}", view.name)),
            ("create_function" | "create_procedure", Some(Effect::Function(function))) => {
                Some(format!("function {}", function.name))
            }
            _ => None,
        },
        _ => None,
    }
}
