//! Drops a constraint, and knows how it comes back.

use crate::catalog::{Constraint, ConstraintKind, Relation};
use crate::ddl;
use crate::effect::Effect;
use crate::kind::Ctx;
use crate::kind::shared::{again, tree};
use crate::pg::lock::LockMode;
use crate::plan::{LockClaim, Need, Phase, Probe, Step, Undo};

/// The step; its undo proves the constraint again, beside reads and writes. `None` where nothing brings it back so.
pub(crate) fn step(
    ctx: &Ctx,
    table: &Relation,
    constraint: &Constraint,
    phase: Phase,
    why: &str,
) -> Option<Step> {
    let mut back = again::constraint(ctx, table, constraint)?;
    for step in &mut back {
        step.undo = Undo::Nothing;
        step.phase = phase;
    }
    let loses = format!(
        "rows of {} that break {} {} by then make undo stop, and it names the constraint",
        table.name,
        noun(constraint),
        constraint.name
    );
    let mut step = Step::transaction(
        phase,
        format!("Drop {} {} of {}", noun(constraint), constraint.name, table.name),
        why,
        vec![ddl::constraint::drop_if_exists(&table.name, &constraint.name)],
    )
    .locks(locks(ctx, table, constraint))
    .probe(Probe::Constraint { table: table.name.clone(), name: constraint.name.clone(), validated: None })
    .undo(Undo::Steps { steps: back, loses: Some(loses) })
    .requires(Need::Relation(table.name.clone()));
    step.provides = gone(ctx, table, constraint);
    Some(step)
}

/// What it does to the catalog: the keys of partitions that are part of a partitioned table's key go with it.
pub(crate) fn gone(ctx: &Ctx, table: &Relation, constraint: &Constraint) -> Vec<Effect> {
    let own = Effect::ConstraintGone { table: table.name.clone(), constraint: constraint.name.clone() };
    let behind = table.indexes.iter().find(|index| index.constraint.as_ref() == Some(&constraint.name));
    let below = behind.map(|index| ddl::index::attached(ctx.logical, table, index)).unwrap_or_default();
    let below = below.into_iter().filter_map(|branch| {
        branch.index.constraint.map(|constraint| Effect::ConstraintGone { table: branch.table, constraint })
    });
    std::iter::once(own).chain(below).collect()
}

/// A foreign key's triggers stand on both tables. Source: `RemoveTriggerById` in src/backend/commands/trigger.c.
pub(crate) fn locks(ctx: &Ctx, table: &Relation, constraint: &Constraint) -> Vec<LockClaim> {
    let mode = LockMode::AccessExclusive;
    let mut locks = tree::locks(ctx.logical, &table.name, mode);
    if let ConstraintKind::ForeignKey { table: referenced, .. } = &constraint.kind {
        for lock in tree::locks(ctx.logical, referenced, mode) {
            if !locks.contains(&lock) {
                locks.push(lock);
            }
        }
    }
    locks
}

/// What people call it.
pub(crate) fn noun(constraint: &Constraint) -> &'static str {
    match constraint.kind {
        ConstraintKind::Check => "CHECK",
        ConstraintKind::PrimaryKey => "primary key",
        ConstraintKind::Unique => "unique constraint",
        ConstraintKind::ForeignKey { .. } => "foreign key",
        ConstraintKind::Exclude => "exclusion constraint",
        ConstraintKind::Trigger => "constraint trigger",
    }
}
