//! What the steps of a plan ask of the role, read off what they change.

use std::collections::BTreeSet;

use super::Right;
use crate::catalog::{Catalog, Constraint, ConstraintKind};
use crate::change::Change;
use crate::effect::{Effect, Part, fold};
use crate::kind::Ctx;
use crate::pg::lock::LockMode;
use crate::pipeline::Source;
use crate::plan::{Action, Archived, LockClaim, Noun, Phase, Plan, Step};
use crate::policy::Policy;
use crate::sql;
use crate::sql::ident::{Ident, Name};

/// Everything that the plan's steps ask for, from this phase to the last.
pub fn needs(plan: &Plan, from: Phase) -> BTreeSet<Right> {
    let mut needs = BTreeSet::from([Right::Ledger]);
    for step in plan.steps.iter().filter(|step| step.phase >= from) {
        let proven = plan
            .steps
            .iter()
            .any(|other| other.statement == step.statement && matches!(other.action, Action::Proof { .. }));
        of_step(step, kinds(plan, step), proven, &mut needs);
    }
    without_made(needs, &plan.steps)
}

/// Who adds a column owns the table, and may refer to it: nothing can be asked of a column that is not there yet.
fn without_made<'s>(needs: BTreeSet<Right>, steps: impl IntoIterator<Item = &'s Step>) -> BTreeSet<Right> {
    let made: Vec<(&Name, &Ident)> = steps
        .into_iter()
        .flat_map(|step| &step.provides)
        .filter_map(|effect| match effect {
            Effect::Column { table, column } => Some((table, &column.name)),
            _ => None,
        })
        .collect();
    let rest = |right: Right| match right {
        Right::Reference(table, columns) => {
            let there = |column: &Ident| !made.contains(&(&table, column));
            let columns: Vec<Ident> = columns.into_iter().filter(|column| there(column)).collect();
            (!columns.is_empty()).then_some(Right::Reference(table, columns))
        }
        other => Some(other),
    };
    needs.into_iter().filter_map(rest).collect()
}

/// What the undo of these steps asks for: of each the step of the plan, and the steps of its undo that are still to run.
pub fn needs_to_undo<'p>(
    plan: &Plan,
    back: impl IntoIterator<Item = (&'p Step, &'p [Step])>,
) -> BTreeSet<Right> {
    let mut needs = BTreeSet::from([Right::Ledger]);
    let mut all: Vec<&Step> = Vec::new();
    for (step, undo) in back {
        all.extend(undo);
        let proven = undo.iter().any(|step| matches!(step.action, Action::Proof { .. }));
        for undo in undo {
            of_step(undo, kinds(plan, step), proven, &mut needs);
        }
        // Moving it back and writing it back ask for its ownership; whose it is has not changed in the archive.
        if !undo.is_empty() {
            needs.extend(step.archived.iter().filter_map(own_archived));
        }
    }
    without_made(needs, all)
}

fn own_archived(archived: &Archived) -> Option<Right> {
    match archived.noun {
        Noun::Table | Noun::Sequence => Some(Right::Own(archived.name.clone())),
        Noun::Type => Some(Right::OwnType(archived.name.clone())),
        // An index goes with its table; whose function it is, only the server knows.
        Noun::Index | Noun::Routine => None,
    }
}

/// What removing these for good asks for.
pub fn needs_to_purge<'p>(archived: impl IntoIterator<Item = &'p Archived>) -> BTreeSet<Right> {
    let drop = |archived: &Archived| match archived.noun {
        Noun::Table | Noun::Sequence => Some(Right::Drop(archived.name.clone())),
        // The schema's owner may drop a type, too, and is as good as always the one who made the archive.
        Noun::Index | Noun::Type | Noun::Routine => None,
    };
    let mut needs: BTreeSet<Right> = archived.into_iter().filter_map(drop).collect();
    needs.insert(Right::Ledger);
    needs
}

/// What these files ask for when they run one after the other as they are written, as far as that can be known: up to the
/// first statement that is not understood, or that changes rights itself.
pub fn needs_as_written<'s>(
    sources: impl IntoIterator<Item = Source<'s>>,
    catalog: &Catalog,
    policy: &Policy,
) -> BTreeSet<Right> {
    let mut needs = BTreeSet::from([Right::Ledger]);
    let mut catalog = catalog.clone();
    for source in sources {
        let Ok(statements) = sql::read(source.text, &catalog, policy) else { return needs };
        for statement in statements {
            let Ok(changes) = &statement.changes else { return needs };
            for change in changes {
                if matches!(change.kind().name(), "grant" | "revoke") {
                    return needs;
                }
                let ctx = Ctx {
                    logical: &catalog,
                    physical: &catalog,
                    policy,
                    directives: &statement.directives,
                    migration: source.name,
                };
                let effects = as_written(change, &ctx, &mut needs);
                if effects.iter().any(|effect| matches!(effect, Effect::Unknown(_))) {
                    return needs;
                }
                catalog = fold(&catalog, &effects);
            }
        }
    }
    needs
}

fn as_written(change: &Change, ctx: &Ctx, needs: &mut BTreeSet<Right>) -> Vec<Effect> {
    let kind = change.kind();
    let effects = kind.effects(ctx);
    for effect in &effects {
        of_effect(effect, false, needs);
    }
    if effects.is_empty() {
        of_locks(&kind.facts(ctx).locks, &[kind.name().to_owned()], needs);
    }
    effects
}

/// Kinds of the statement that a step serves.
fn kinds<'p>(plan: &'p Plan, step: &Step) -> &'p [String] {
    plan.statements.get(step.statement).map(|statement| statement.kinds.as_slice()).unwrap_or_default()
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
    if step.provides.is_empty() {
        of_locks(&step.locks, kinds, needs);
    }
}

/// COMMENT, policies, storage parameters: they change what they lock, and nothing that the catalog models.
fn of_locks(locks: &[LockClaim], kinds: &[String], needs: &mut BTreeSet<Right>) {
    if !kinds.iter().any(|kind| NOT_THE_OWNERS.contains(&kind.as_str())) {
        let changed = locks.iter().filter(|lock| lock.mode >= LockMode::ShareUpdateExclusive);
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
        // For an index as for a relation. Source: RangeVarCallbackForRenameRelation in src/backend/commands/tablecmds.c.
        Effect::PartRenamed { table, part, .. } => {
            needs.insert(Right::Own(table.clone()));
            if *part == Part::Index {
                needs.insert(Right::CreateIn(table.schema.clone()));
            }
        }
        // Source: RangeVarCallbackForAlterRelation in src/backend/commands/tablecmds.c.
        Effect::RelationRenamed { from, to } => {
            needs.insert(Right::Own(from.clone()));
            needs.insert(Right::CreateIn(to.schema.clone()));
        }
        Effect::RelationGone(table) | Effect::IndexGone { table, .. } | Effect::SequenceGone(table) => {
            needs.insert(Right::Drop(table.clone()));
        }
        Effect::Attached { table, partition, .. } | Effect::Detached { table, partition } => {
            needs.extend([table, partition].map(|name| Right::Own(name.clone())));
        }
        Effect::TriggerFires { table, .. }
        | Effect::RowSecurity { table, .. }
        | Effect::Policy { table, .. }
        | Effect::PolicyGone { table, .. }
        | Effect::Rule { table, .. }
        | Effect::RuleGone { table, .. }
        | Effect::Column { table, .. }
        | Effect::ColumnGone { table, .. }
        | Effect::ColumnRenamed { table, .. }
        | Effect::ColumnType { table, .. }
        | Effect::ColumnReplaced { table, .. }
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
