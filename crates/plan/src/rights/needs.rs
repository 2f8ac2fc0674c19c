//! What the steps of a plan ask of the role, read off what they change.

use std::collections::BTreeSet;

use super::Right;
use crate::catalog::{Constraint, ConstraintKind};
use crate::effect::Effect;
use crate::pg::lock::LockMode;
use crate::plan::{Action, Phase, Plan, Step};

/// Everything that the plan's steps ask for, from this phase to the last.
pub fn needs(plan: &Plan, from: Phase) -> BTreeSet<Right> {
    let mut needs = BTreeSet::from([Right::Ledger]);
    for step in plan.steps.iter().filter(|step| step.phase >= from) {
        let proven = plan
            .steps
            .iter()
            .any(|other| other.statement == step.statement && matches!(other.action, Action::Proof { .. }));
        let kinds = plan.statements.get(step.statement).map(|statement| statement.kinds.as_slice());
        of_step(step, kinds.unwrap_or_default(), proven, &mut needs);
    }
    needs
}

/// What locks a relation like a change of it, and may be had by a privilege of its own.
const NOT_THE_OWNERS: [&str; 5] = ["analyze", "cluster", "refresh_materialized_view", "truncate", "vacuum"];

fn of_step(step: &Step, kinds: &[String], proven: bool, needs: &mut BTreeSet<Right>) {
    if matches!(step.action, Action::Backfill(_)) {
        needs.insert(Right::SeeStandbys);
    }
    for effect in &step.provides {
        of_effect(effect, proven, needs);
        // Into another schema moves only what one owns; to drop it, owning its schema would do.
        if let Effect::RelationGone(name) | Effect::SequenceGone(name) = effect
            && !step.archived.is_empty()
        {
            needs.insert(Right::Own(name.clone()));
        }
    }
    // COMMENT, policies, storage parameters: they change what they lock, and nothing that the catalog models.
    if step.provides.is_empty() && !kinds.iter().any(|kind| NOT_THE_OWNERS.contains(&kind.as_str())) {
        let changed = step.locks.iter().filter(|lock| lock.mode >= LockMode::ShareUpdateExclusive);
        needs.extend(changed.map(|lock| Right::Own(lock.relation.clone())));
    }
}

fn of_effect(effect: &Effect, proven: bool, needs: &mut BTreeSet<Right>) {
    match effect {
        Effect::Schema(_) => {
            needs.insert(Right::CreateSchema);
        }
        Effect::Extension(name) => {
            needs.insert(Right::Extension(name.clone()));
        }
        Effect::Relation(relation) => {
            needs.insert(Right::Make(relation.name.clone()));
            needs.extend(relation.partition_of.clone().map(Right::Own));
            for constraint in &relation.constraints {
                of_foreign_key(constraint, false, needs);
            }
        }
        Effect::Constraint { table, constraint } => {
            needs.insert(Right::Own(table.clone()));
            of_foreign_key(constraint, proven, needs);
        }
        // DefineIndex asks for it even of the table's owner. Source: src/backend/commands/indexcmds.c.
        Effect::Index { table, .. } => {
            needs.insert(Right::Own(table.clone()));
            needs.insert(Right::CreateIn(table.schema.clone()));
        }
        Effect::Trigger { table, .. } => {
            needs.insert(Right::Trigger(table.clone()));
        }
        Effect::RelationGone(table) | Effect::IndexGone { table, .. } | Effect::SequenceGone(table) => {
            needs.insert(Right::Drop(table.clone()));
        }
        Effect::Column { table, .. }
        | Effect::ColumnGone { table, .. }
        | Effect::ColumnRenamed { table, .. }
        | Effect::ColumnType { table, .. }
        | Effect::Default { table, .. }
        | Effect::NotNull { table, .. }
        | Effect::Identity { table, .. }
        | Effect::ConstraintValidated { table, .. }
        | Effect::ConstraintGone { table, .. }
        | Effect::TriggerGone { table, .. } => {
            needs.insert(Right::Own(table.clone()));
        }
        Effect::Function(function) => {
            needs.insert(Right::CreateIn(function.name.schema.clone()));
        }
        Effect::Sequence(sequence) => {
            needs.insert(Right::Make(sequence.name.clone()));
        }
        Effect::Type(kind) => {
            needs.insert(Right::OwnType(kind.name.clone()));
        }
        Effect::TypeGone(name) => {
            needs.insert(Right::OwnType(name.clone()));
        }
        // Whose function it is, the catalog does not say; the server does.
        Effect::FunctionGone(_) | Effect::Dependent { .. } | Effect::Unknown(_) => {}
    }
}

fn of_foreign_key(constraint: &Constraint, proven: bool, needs: &mut BTreeSet<Right>) {
    if let ConstraintKind::ForeignKey { table, columns } = &constraint.kind {
        needs.insert(Right::Reference(table.clone(), columns.clone()));
        if proven {
            needs.insert(Right::Read(table.clone()));
        }
    }
}
