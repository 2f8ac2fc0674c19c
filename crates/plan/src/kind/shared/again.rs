//! Brings back what went with a dropped column: constraints, and the indexes that could not be dropped before it.

use crate::catalog::{Constraint, ConstraintKind, Index, Relation, RelationKind};
use crate::ddl;
use crate::kind::Ctx;
use crate::kind::shared::index::{self, Purpose, TreeBuild};
use crate::kind::shared::key::Sort;
use crate::kind::shared::not_valid::NotValid;
use crate::kind::shared::tree;
use crate::pg::lock::LockMode;
use crate::plan::{Phase, Probe, Step, WorkKind};
use crate::sql::ident::Ident;

/// Steps for an undo after the column is back, and what does not come back.
pub(crate) fn dropped_with(ctx: &Ctx, table: &Relation, column: &Ident) -> (Vec<Step>, Vec<String>) {
    let mut steps = Vec::new();
    let mut lost = Vec::new();
    for relation in ctx.logical.tree(&table.name) {
        let own = relation.constraints.iter().filter(|c| !c.inherited && c.columns.contains(column));
        for constraint in own {
            match self::constraint(ctx, relation, constraint) {
                Some(more) => steps.extend(more),
                None => lost.push(format!("constraint {} of {} is gone", constraint.name, relation.name)),
            }
        }
        let partitioned = relation.kind == RelationKind::PartitionedTable;
        let own = relation
            .indexes
            .iter()
            .filter(|i| partitioned && !i.inherited && i.constraint.is_none() && i.uses.contains(column));
        for index in own {
            match build_tree(ctx, relation, index, Purpose::Index) {
                Some(more) => steps.extend(more),
                None => lost.push(format!("index {} of {} is gone", index.name, relation.name)),
            }
        }
    }
    (steps, lost)
}

/// Steps that add a constraint again that was dropped, beside reads and writes; `None` where there is no such way.
pub(crate) fn constraint(ctx: &Ctx, table: &Relation, constraint: &Constraint) -> Option<Vec<Step>> {
    match &constraint.kind {
        ConstraintKind::Check | ConstraintKind::ForeignKey { .. } => not_valid(ctx, table, constraint),
        ConstraintKind::Unique => key(ctx, table, constraint, Sort::Unique),
        ConstraintKind::PrimaryKey => key(ctx, table, constraint, Sort::Primary),
        ConstraintKind::Exclude | ConstraintKind::Trigger => None,
    }
}

fn not_valid(ctx: &Ctx, table: &Relation, constraint: &Constraint) -> Option<Vec<Step>> {
    let catalog = ctx.logical;
    let (mode, mut add) = match &constraint.kind {
        ConstraintKind::ForeignKey { table: referenced, .. } => {
            let partitioned = table.kind == RelationKind::PartitionedTable;
            if partitioned && !catalog.server.version.partitioned_foreign_key_not_valid() {
                return None;
            }
            let mode = LockMode::ShareRowExclusive;
            (mode, tree::locks(catalog, referenced, mode))
        }
        _ => (LockMode::AccessExclusive, Vec::new()),
    };
    for lock in tree::locks(catalog, &table.name, mode) {
        if !add.contains(&lock) {
            add.push(lock);
        }
    }
    let mut validate = tree::locks(catalog, &table.name, LockMode::ShareUpdateExclusive);
    if let ConstraintKind::ForeignKey { table: referenced, .. } = &constraint.kind {
        validate.extend(tree::locks(catalog, referenced, LockMode::RowShare));
    }
    let definition = constraint.definition.trim_end().trim_end_matches(" NOT VALID").to_owned();
    let wanted = Constraint { definition, ..constraint.clone() };
    let steps = NotValid {
        table: &table.name,
        constraint: &wanted,
        add,
        validate,
        drop: Vec::new(),
        work: tree::work(catalog, &table.name, WorkKind::Scan),
    };
    let mut made = vec![steps.add(Phase::Contract)];
    if constraint.validated {
        made.push(steps.validate(Phase::Contract));
    }
    Some(made)
}

fn key(ctx: &Ctx, table: &Relation, constraint: &Constraint, sort: Sort) -> Option<Vec<Step>> {
    let behind = table.indexes.iter().find(|index| index.constraint.as_ref() == Some(&constraint.name))?;
    let deferrable = deferrable(constraint);
    if table.kind == RelationKind::PartitionedTable {
        return build_tree(ctx, table, behind, Purpose::Key { constraint, deferrable });
    }
    ddl::index::body(&table.name, behind)?;
    let bare = Index { constraint: None, primary: false, immediate: true, ..behind.clone() };
    let why = "it went with the constraint";
    let using = ddl::constraint::using_index(sort.sql(), &behind.name, deferrable);
    let step = Step::transaction(
        Phase::Contract,
        format!("Make index {} of {} the {} again", behind.name, table.name, sort.title()),
        "the index is there, so nothing is scanned",
        vec![ddl::constraint::add(&table.name, &constraint.name, &using)],
    )
    .locks(tree::lock(ctx.logical, &table.name, LockMode::AccessExclusive))
    .probe(Probe::Constraint {
        table: table.name.clone(),
        name: constraint.name.clone(),
        validated: Some(true),
    })
    .provides(crate::effect::Effect::Index { table: table.name.clone(), index: behind.clone() })
    .provides(crate::effect::Effect::Constraint {
        table: table.name.clone(),
        constraint: constraint.clone(),
    });
    Some(vec![index::build(ctx.logical, &table.name, &bare, Phase::Contract, why), step])
}

fn build_tree(ctx: &Ctx, table: &Relation, index: &Index, purpose: Purpose) -> Option<Vec<Step>> {
    ddl::index::body(&table.name, index)?;
    let branches = ddl::index::attached(ctx.logical, table, index);
    let tree = TreeBuild {
        catalog: ctx.logical,
        table: &table.name,
        index,
        branches: &branches,
        purpose,
        phase: Phase::Contract,
    };
    Some(tree.steps())
}

/// The clauses with which `pg_get_constraintdef` ends. Source: `pg_get_constraintdef_worker` in
/// src/backend/utils/adt/ruleutils.c.
pub(crate) fn deferrable(constraint: &Constraint) -> &'static str {
    let ends = |clause: &str| constraint.definition.to_uppercase().ends_with(clause);
    if ends("DEFERRABLE INITIALLY DEFERRED") {
        "DEFERRABLE INITIALLY DEFERRED"
    } else if ends("DEFERRABLE") && constraint.deferrable {
        "DEFERRABLE"
    } else {
        ""
    }
}
