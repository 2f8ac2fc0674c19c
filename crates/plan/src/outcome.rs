//! Whether the steps, in the order of their phases, come to what the statements say in the order of the file.
//!
//! A later statement may undo what an earlier one does only in a later phase: the file's last word would be the first
//! one spoken. Kinds avoid that where they can; here it is caught where they do not.

use std::collections::BTreeSet;

use crate::catalog::{Catalog, Relation};
use crate::diagnostic::{Code, Refusal};
use crate::effect::{Effect, fold};
use crate::pg::firing::Firing;
use crate::plan::Step;
use crate::sql::ident::Name;

/// Compares the end of the steps with the end of the statements; both begin with `before`. Returns the last statement about
/// the first relation where they differ, with the refusal.
pub(crate) fn check(before: &Catalog, steps: &[Step], after: &Catalog) -> Result<(), (usize, Refusal)> {
    if after.unknown_since.is_some() {
        return Ok(());
    }
    let end = fold(before, steps.iter().flat_map(|step| &step.provides));
    others(steps, &end, after)?;
    let names: BTreeSet<&Name> = end.relations.keys().chain(after.relations.keys()).collect();
    for name in names {
        let (got, said) = (shape(end.relation(name)), shape(after.relation(name)));
        let Some(difference) = got.symmetric_difference(&said).next() else { continue };
        let Some(last) = steps.iter().filter(|step| touches(step, name)).map(|step| step.statement).max()
        else {
            continue;
        };
        return Err((last, turned_round(&format!("{difference} of {name}"))));
    }
    Ok(())
}

/// Functions, types and sequences, by name.
fn others(steps: &[Step], end: &Catalog, after: &Catalog) -> Result<(), (usize, Refusal)> {
    let named = |catalog: &Catalog| -> BTreeSet<(&'static str, Name)> {
        let functions = catalog.functions.iter().map(|function| ("function", function.name.clone()));
        let types = catalog.types.keys().map(|name| ("type", name.clone()));
        let sequences = catalog.sequences.keys().map(|name| ("sequence", name.clone()));
        functions.chain(types).chain(sequences).collect()
    };
    let (end, after) = (named(end), named(after));
    let Some((sort, name)) = end.symmetric_difference(&after).next() else { return Ok(()) };
    let about = |effect: &Effect| match effect {
        Effect::Function(function) => function.name == *name,
        Effect::Type(kind) => kind.name == *name,
        Effect::Sequence(sequence) => sequence.name == *name,
        Effect::FunctionGone(gone) | Effect::TypeGone(gone) | Effect::SequenceGone(gone) => gone == name,
        _ => false,
    };
    let last = steps.iter().filter(|step| step.provides.iter().any(about)).map(|step| step.statement).max();
    match last {
        None => Ok(()),
        Some(last) => Err((last, turned_round(&format!("{sort} {name}")))),
    }
}

fn turned_round(what: &str) -> Refusal {
    Refusal::new(
        Code::SplitFile,
        format!(
            "together with the statements before it, it would not end as the file says, because their steps run in several \
             phases: {what} would be the wrong way round"
        ),
        "put this statement into a file of its own, and contract the one before it first; what is dropped and made again by \
         statements that follow each other is replaced at once",
    )
}

fn touches(step: &Step, name: &Name) -> bool {
    step.locks.iter().any(|lock| lock.relation == *name)
        || step.provides.iter().flat_map(Effect::claims).any(|claim| claim.relation == *name)
}

/// What a later statement may turn round; empty for what does not exist.
fn shape(relation: Option<&Relation>) -> BTreeSet<String> {
    let Some(relation) = relation else { return BTreeSet::new() };
    let itself = std::iter::once("the whole".to_owned());
    let columns = relation.columns.iter().map(|column| {
        let null = if column.not_null.is_some() { " NOT NULL" } else { "" };
        let default = column.default.as_ref().map(|default| format!(" DEFAULT {default}"));
        format!("column {}{null}{}", column.name, default.unwrap_or_default())
    });
    let constraints = relation.constraints.iter().map(|constraint| {
        let valid = if constraint.validated { "" } else { " NOT VALID" };
        format!("constraint {}{valid}", constraint.name)
    });
    let indexes = relation.indexes.iter().map(|index| format!("index {}", index.name));
    let triggers = relation.triggers.iter().map(|trigger| match trigger.fires {
        Firing::Origin => format!("trigger {}", trigger.name),
        fires => format!("trigger {}, which {},", trigger.name, fires.when()),
    });
    let policies = relation.policies.iter().map(|policy| format!("policy {}", policy.name));
    let rules = relation.rules.iter().map(|rule| format!("rule {}", rule.name));
    let switches =
        [(relation.row_security, "row level security"), (relation.row_security_forced, "its FORCE")];
    let switches = switches.into_iter().filter(|(on, _)| *on).map(|(_, word)| word.to_owned());
    let triggers = triggers.chain(policies).chain(rules).chain(switches);
    itself.chain(columns).chain(constraints).chain(indexes).chain(triggers).collect()
}
