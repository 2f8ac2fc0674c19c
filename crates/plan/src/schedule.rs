//! Orders steps by phase and checks that each finds what it requires.

use crate::catalog::Catalog;
use crate::change::Change;
use crate::diagnostic::{Code, Refusal};
use crate::effect::Effect;
use crate::pg::lock::LockMode;
use crate::plan::{Action, Backfill, Need, Phase, Step, Undo, Write};
use crate::sql::ident::{Ident, Name};

/// Sorts by phase; within a phase the order of statements, and of steps within a statement, stays.
pub(crate) fn order(steps: &mut [Step]) {
    steps.sort_by_key(|step| step.phase);
}

/// A step that does not find what it needs.
#[derive(Clone, Debug)]
pub(crate) struct Unmet {
    /// Its statement.
    pub(crate) statement: usize,
    /// Another part of the same statement delivers it, too late.
    pub(crate) within: bool,
    /// What to say.
    pub(crate) refusal: Refusal,
}

/// Checks every step's needs against the physical catalog as it will be then. Returns the first step whose needs are not met.
/// What only the logical catalog has is still to come from a migration in flight.
pub(crate) fn check(steps: &[Step], physical: &Catalog, logical: &Catalog) -> Result<(), Unmet> {
    let mut catalog = physical.clone();
    for (at, step) in steps.iter().enumerate() {
        if let Some(need) = step.requires.iter().find(|need| !met(need, &catalog)) {
            let in_flight = !met(need, physical) && met(need, logical);
            let provider = provider(need, catalog, step.statement, &steps[at + 1..]);
            return Err(Unmet {
                statement: step.statement,
                within: !in_flight && provider == Some(step.statement),
                refusal: unmet(step, need, provider, in_flight),
            });
        }
        for effect in &step.provides {
            effect.apply(&mut catalog);
        }
    }
    Ok(())
}

/// The statement, not after the one that needs it, whose steps of later phases deliver what is needed. Not what is there in the
/// end counts: a column that makes room for a name is dropped, and then the name is taken.
fn provider(need: &Need, mut catalog: Catalog, statement: usize, later: &[Step]) -> Option<usize> {
    let provides = |step: &&Step| {
        step.provides.iter().for_each(|effect| effect.apply(&mut catalog));
        met(need, &catalog)
    };
    later.iter().filter(|step| step.statement <= statement).find(provides).map(|step| step.statement)
}

fn unmet(step: &Step, need: &Need, provider: Option<usize>, in_flight: bool) -> Refusal {
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
    } else if let Some(provider) = provider {
        let (whom, way_out) = if provider == step.statement {
            (
                "another part of this statement",
                "write the two parts into two files, and contract the first before you expand the second; \
                 `allow split-file` runs the whole statement as written",
            )
        } else {
            (
                "an earlier statement of this file",
                "split the file in two, and contract the first before you expand the second",
            )
        };
        Refusal::new(
            Code::SplitFile,
            format!(
                "\"{}\" needs {}, which {whom} delivers only in a later phase",
                step.title,
                describe(need)
            ),
            way_out,
        )
    } else {
        Refusal::new(
            Code::WillFail,
            format!("\"{}\" needs {}", step.title, describe(need)),
            "correct the statement, or the statements before it",
        )
    }
}

/// What of the steps before it a statement that would run in expand has to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cares {
    /// Everything, columns that are still there until contract included.
    Rows,
    /// What is done to the rows, and that its tables stay.
    Writes,
    /// That what it is about is there.
    Existence,
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

/// A view in the place of a table would be met by what earlier statements of the file still do to that table, and, when it is
/// expanded again after an undo, by what brings back what was written into a column that they add.
pub(crate) fn before_alias_view(table: &Name, earlier: &[Step]) -> Option<Refusal> {
    let touches = |step: &&Step| {
        step.locks.iter().any(|lock| lock.relation == *table)
            || step.claims().iter().any(|claim| claim.relation == *table)
    };
    let step = earlier.iter().find(touches)?;
    Some(Refusal::new(
        Code::SplitFile,
        format!(
            "alias-view puts a view in the place of {table}, about which an earlier statement of this file is: \"{}\"",
            step.title
        ),
        "put this statement into a file of its own, after this one",
    ))
}

/// The new name's view would read the second column, which goes at contract, before the view does.
pub(crate) fn view_over_second(table: &Name, earlier: &[Step]) -> Option<Refusal> {
    let renames = |step: &&Step| {
        step.phase == Phase::Contract
            && step
                .provides
                .iter()
                .any(|effect| matches!(effect, Effect::ColumnRenamed { table: of, .. } if of == table))
    };
    let step = earlier.iter().find(renames)?;
    Some(Refusal::new(
        Code::SplitFile,
        format!(
            "until contract the new name of {table} is a view, which would read a column that goes before it: \"{}\" of an \
             earlier statement",
            step.title
        ),
        "put this statement into a file of its own, after this one",
    ))
}

/// What of one column's second hangs on another second one: it would go with that one, whose switch or contract knows nothing of it.
pub(crate) fn one_second_at_a_time(change: &Change, steps: &[Step], earlier: &[Step]) -> Option<Refusal> {
    let (table, column, read) = match change {
        Change::RenameColumn(rename) => (&rename.table, &rename.column, None),
        Change::ChangeType(retype) => (&retype.table, &retype.column, retype.using.as_ref()),
        _ => return None,
    };
    let late = earlier.iter().filter(|step| step.phase >= Phase::Switch).flat_map(|step| &step.provides);
    let seconds: Vec<&Ident> = late
        .filter_map(|effect| match effect {
            Effect::ColumnRenamed { table: of, to, .. } if of == table && to != column => Some(to),
            _ => None,
        })
        .collect();
    let index = || {
        steps.iter().flat_map(|step| &step.provides).find_map(|effect| match effect {
            Effect::Index { index, .. } => index.uses.iter().find(|column| seconds.contains(column)),
            _ => None,
        })
    };
    let read = read.into_iter().flat_map(|using| &using.columns).map(|reference| &reference.column);
    let (second, what) = match read.clone().find(|column| seconds.contains(column)) {
        Some(second) => (second, "USING reads it"),
        None => (index()?, "an index has both"),
    };
    Some(Refusal::new(
        Code::SplitFile,
        format!(
            "column {second} of {table} gets a second one in its place by an earlier statement of this file, and {what}: {column} cannot \
             have one at the same time"
        ),
        "put this statement into a file of its own, and contract the one before it first",
    ))
}

/// An as-written statement runs in expand, or behind what earlier statements still do to the same tables by then. What they
/// do at contract would come too late.
pub(crate) fn postpone(step: &mut Step, cares: Cares, earlier: &[Step]) -> Result<(), Refusal> {
    let touched = |name: &Name| step.locks.iter().any(|lock| lock.relation == *name);
    let pending =
        earlier.iter().filter(|earlier| earlier.phase > step.phase && waits(earlier, cares, step, &touched));
    let Some(last) = pending.max_by_key(|step| step.phase) else { return Ok(()) };
    if last.phase > Phase::Validate {
        return Err(Refusal::new(
            Code::SplitFile,
            format!(
                "this runs in expand, but \"{}\" of an earlier statement touches the same table in {}",
                last.title,
                last.phase.as_str()
            ),
            "put this statement into a file of its own, after this one",
        ));
    }
    behind_backfills(step);
    Ok(())
}

/// Whether rows of the table are still to be written or deleted by these steps.
pub(crate) fn is_written(table: &Name, earlier: &[Step]) -> bool {
    earlier.iter().any(|step| match &step.action {
        Action::Backfill(Backfill { table: of, write, .. }) => {
            of == table && matches!(write.kept(), Write::Update { .. } | Write::Delete { .. })
        }
        _ => false,
    })
}

/// What would be proven of rows that an earlier statement of the file is still to correct is proven once it has.
pub(crate) fn proof_behind_backfills(step: &mut Step) {
    if matches!(step.action, Action::Proof { .. }) {
        step.phase = step.phase.max(Phase::Validate);
    }
}

/// Runs it in validate, and takes it back there.
pub(crate) fn behind_backfills(step: &mut Step) {
    if step.phase > Phase::Validate {
        return;
    }
    step.phase = Phase::Validate;
    if let Undo::Steps { steps, .. } = &mut step.undo {
        for step in steps {
            step.phase = Phase::Validate;
        }
    }
}

fn waits(step: &Step, cares: Cares, by: &Step, touched: &impl Fn(&Name) -> bool) -> bool {
    let altered = |on: &Name, name: &Ident| {
        by.provides.iter().any(|effect| {
            matches!(effect, Effect::Constraint { table, constraint } if (table, &constraint.name) == (on, name))
        })
    };
    let changes = |table: &Name| {
        by.locks.iter().any(|lock| lock.relation == *table && lock.mode > LockMode::AccessShare)
    };
    let made = step.provides.iter().any(|effect| match effect {
        Effect::Relation(relation) => touched(&relation.name),
        Effect::Index { table, index } => touched(&table.sibling(index.name.clone())),
        Effect::Constraint { table, constraint } => altered(table, &constraint.name),
        _ => false,
    });
    if cares == Cares::Existence {
        return made;
    }
    let gone = step.provides.iter().any(|effect| match effect {
        Effect::ColumnGone { table, .. } => cares == Cares::Rows && touched(table),
        // It matters to what writes rows, or gives the column another type.
        Effect::Default { table, .. } => cares == Cares::Rows && changes(table),
        Effect::RelationGone(table) => touched(table),
        _ => false,
    });
    let written = match &step.action {
        Action::Backfill(Backfill { table, write, .. }) => {
            matches!(write.kept(), Write::Update { .. } | Write::Delete { .. }) && touched(table)
        }
        // It was itself postponed.
        Action::Transaction { .. } if step.phase == Phase::Validate => {
            step.locks.iter().any(|lock| touched(&lock.relation))
        }
        _ => false,
    };
    made || gone || written
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
        Need::TriggerFires(table, name, fires) => {
            let trigger = catalog.relation(table).and_then(|table| table.trigger(name));
            trigger.is_some_and(|trigger| trigger.fires == *fires)
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
        Need::TriggerFires(table, name, fires) => {
            format!("a trigger {name} of {table} that {}", fires.when())
        }
        Need::NoDependents(name) => format!("nothing to depend on view {name}"),
    }
}
