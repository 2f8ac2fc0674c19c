//! Orders steps by phase and checks that each finds what it requires.

use crate::catalog::Catalog;
use crate::diagnostic::{Code, Refusal};
use crate::effect::{Effect, fold};
use crate::plan::{Action, Need, Phase, Step};
use crate::sql::ident::{Ident, Name};

/// Sorts by phase; within a phase the order of statements, and of steps within a statement, stays.
pub(crate) fn order(steps: &mut [Step]) {
    steps.sort_by_key(|step| step.phase);
}

/// Checks every step's needs against the physical catalog as it will be then. Returns the first step whose needs are not met,
/// with the refusal.
/// What only the logical catalog has is still to come from a migration in flight.
pub(crate) fn check(steps: &[Step], physical: &Catalog, logical: &Catalog) -> Result<(), (usize, Refusal)> {
    let mut catalog = physical.clone();
    for (at, step) in steps.iter().enumerate() {
        if let Some(need) = step.requires.iter().find(|need| !met(need, &catalog)) {
            let later = fold(&catalog, steps[at..].iter().flat_map(|step| &step.provides));
            let in_flight = !met(need, physical) && met(need, logical);
            return Err((step.statement, unmet(step, need, met(need, &later), in_flight)));
        }
        for effect in &step.provides {
            effect.apply(&mut catalog);
        }
    }
    Ok(())
}

fn unmet(step: &Step, need: &Need, later: bool, in_flight: bool) -> Refusal {
    if in_flight {
        Refusal::new(
            Code::Overlap,
            format!(
                "\"{}\" needs {}, which a migration in flight delivers only at contract",
                step.title,
                describe(need)
            ),
            "contract that one first; `concertina status` shows what is in flight",
        )
    } else if later {
        Refusal::new(
            Code::SplitFile,
            format!(
                "\"{}\" needs {}, which an earlier statement of this file delivers only in a later phase",
                step.title,
                describe(need)
            ),
            "split the file in two, and contract the first before you expand the second",
        )
    } else {
        Refusal::new(
            Code::WillFail,
            format!("\"{}\" needs {}", step.title, describe(need)),
            "correct the statement, or the statements before it",
        )
    }
}

/// An as-written statement runs in expand. If it touches a table that an earlier statement changes later than that, the two
/// would run in the wrong order.
pub(crate) fn out_of_order(step: &Step, earlier: &[Step]) -> Option<Refusal> {
    let touched = |name: &Name| step.locks.iter().any(|lock| lock.relation == *name);
    let pending =
        earlier.iter().find(|earlier| earlier.phase > Phase::Expand && rewrites_data(earlier, &touched))?;
    Some(Refusal::new(
        Code::SplitFile,
        format!(
            "this runs in expand, but \"{}\" of an earlier statement touches the same table in {}",
            pending.title,
            pending.phase.as_str()
        ),
        "put this statement into a file of its own, after this one",
    ))
}

/// Relations that get their new name at contract, with that name.
pub(crate) fn renamed<'s>(steps: impl Iterator<Item = &'s Step>) -> Vec<(Name, Name)> {
    let late = steps.filter(|step| step.phase == Phase::Contract).flat_map(|step| &step.provides);
    let names = late.filter_map(|effect| match effect {
        Effect::RelationRenamed { from, to } => Some((from.clone(), to.clone())),
        _ => None,
    });
    names.collect()
}

/// Until contract the new name is a view and the old one is taken: a later statement of the same file that touches either
/// would meet something else than it says.
pub(crate) fn after_renaming(step: &Step, renamed: &[(Name, Name)]) -> Option<Refusal> {
    let touches = |name: &Name| {
        step.locks.iter().any(|lock| lock.relation == *name)
            || step.provides.iter().flat_map(Effect::claims).any(|claim| claim.relation == *name)
    };
    let (from, to) = renamed.iter().find(|(from, to)| touches(from) || touches(to))?;
    Some(Refusal::new(
        Code::SplitFile,
        format!(
            "{from} gets its new name {to} at contract only, by an earlier statement of this file; until then {to} is a view"
        ),
        format!(
            "write this statement before the renaming, about {from}, or into a file of its own that runs after contract"
        ),
    ))
}

fn rewrites_data(step: &Step, touched: &impl Fn(&Name) -> bool) -> bool {
    let backfills = matches!(&step.action, Action::Backfill(backfill) if touched(&backfill.table));
    backfills
        || step.provides.iter().any(|effect| match effect {
            Effect::ColumnGone { table, .. } | Effect::RelationGone(table) => touched(table),
            _ => false,
        })
}

fn met(need: &Need, catalog: &Catalog) -> bool {
    let column =
        |table: &Name, column: &Ident| catalog.relation(table).is_some_and(|t| t.column(column).is_some());
    match need {
        Need::Relation(name) => catalog.relation(name).is_some(),
        Need::NoRelation(name) => !catalog.relation_name_taken(name),
        Need::Column(table, name) => column(table, name),
        Need::NoColumn(table, name) => !column(table, name),
        Need::NoConstraint(table, name) => {
            catalog.relation(table).is_none_or(|t| t.constraint(name).is_none())
        }
        Need::NoDependents(name) => {
            catalog.relation(name).is_none_or(|view| view.dependents.iter().all(|d| d.automatic))
        }
    }
}

fn describe(need: &Need) -> String {
    match need {
        Need::Relation(name) => format!("relation {name} to exist"),
        Need::NoRelation(name) => format!("the name {name} to be free"),
        Need::Column(table, name) => format!("column {name} of {table} to exist"),
        Need::NoColumn(table, name) => format!("{table} to have no column {name} yet"),
        Need::NoConstraint(table, name) => format!("{table} to have no constraint {name} yet"),
        Need::NoDependents(name) => format!("nothing to depend on view {name}"),
    }
}
