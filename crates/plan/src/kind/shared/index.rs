//! Steps that build and drop indexes without blocking writes, on one table or over a tree of partitions.

use std::collections::BTreeMap;

use crate::catalog::{Catalog, Constraint, Index, RelationKind};
use crate::ddl;
use crate::ddl::index::{Branch, How};
use crate::effect::Effect;
use crate::kind::shared::key::Sort;
use crate::kind::shared::tree;
use crate::pg::lock::LockMode;
use crate::plan::{Action, LockClaim, Need, Phase, Probe, Step, Undo, WorkKind};
use crate::sql::ident::Name;

/// Builds one index CONCURRENTLY. A failed try leaves an INVALID index, and one of a unique index may already reject
/// writes: it is dropped before the next try.
/// Source: "Building Indexes Concurrently" in doc/src/sgml/ref/create_index.sgml.
pub(crate) fn build(catalog: &Catalog, table: &Name, index: &Index, phase: Phase, why: &str) -> Step {
    let name = table.sibling(index.name.clone());
    let body = ddl::index::body(table, index).unwrap_or_default();
    let mut step = Step::new(
        phase,
        format!("Build {}index {} on {table}", unique(index), index.name),
        why,
        Action::Alone {
            sql: ddl::index::create(&index.name, table, index.unique, How::Concurrently, body),
            heal: Some(ddl::index::drop_concurrently(&name)),
        },
    )
    .locks(tree::lock(catalog, table, LockMode::ShareUpdateExclusive))
    .probe(Probe::Index { name: name.clone(), valid: true })
    .undone_by(vec![drop(catalog, table, index, phase, "takes the new index away")])
    .requires(Need::Relation(table.clone()))
    .requires(Need::NoRelation(name))
    .provides(Effect::Index { table: table.clone(), index: index.clone() });
    step.work = tree::work(catalog, table, WorkKind::IndexBuild);
    step
}

/// Drops one index CONCURRENTLY.
pub(crate) fn drop(catalog: &Catalog, table: &Name, index: &Index, phase: Phase, why: &str) -> Step {
    let name = table.sibling(index.name.clone());
    let mut locks = tree::lock(catalog, table, LockMode::ShareUpdateExclusive);
    locks.push(LockClaim { relation: name.clone(), mode: LockMode::ShareUpdateExclusive });
    Step::new(
        phase,
        format!("Drop {}index {} of {table}", unique(index), index.name),
        why,
        Action::Alone { sql: ddl::index::drop_concurrently(&name), heal: None },
    )
    .locks(locks)
    .probe(Probe::Index { name, valid: false })
    .provides(Effect::IndexGone { table: table.clone(), index: index.name.clone() })
}

/// Drops the index of a partitioned table with all that is attached to it, which cannot be done CONCURRENTLY.
/// Source: "CONCURRENTLY" in doc/src/sgml/ref/drop_index.sgml.
pub(crate) fn drop_tree(
    catalog: &Catalog,
    table: &Name,
    index: &Index,
    branches: &[Branch],
    phase: Phase,
    why: &str,
) -> Step {
    let name = table.sibling(index.name.clone());
    let mut step = Step::transaction(
        phase,
        format!("Drop {}index {} of {table} and its partitions", unique(index), index.name),
        why,
        vec![ddl::index::drop(&name)],
    )
    .locks(tree::locks(catalog, table, LockMode::AccessExclusive))
    .locks(branch_locks(&name, branches))
    .probe(Probe::Index { name, valid: false })
    .provides(Effect::IndexGone { table: table.clone(), index: index.name.clone() });
    for branch in branches {
        step = step
            .provides(Effect::IndexGone { table: branch.table.clone(), index: branch.index.name.clone() });
    }
    step
}

fn branch_locks(own: &Name, branches: &[Branch]) -> Vec<LockClaim> {
    std::iter::once(own.clone())
        .chain(branches.iter().map(Branch::name))
        .map(|relation| LockClaim { relation, mode: LockMode::AccessExclusive })
        .collect()
}

/// What stands on the indexes of a tree.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose<'a> {
    /// Nothing.
    Index,
    /// A unique constraint or primary key on every table, each named like its index. The template's name is the parent's.
    Key {
        /// The constraint of the partitioned table.
        constraint: &'a Constraint,
        /// Its `DEFERRABLE …` clauses, or empty.
        deferrable: &'a str,
    },
}

/// A tree of indexes to build.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TreeBuild<'a> {
    /// Where it will be built.
    pub(crate) catalog: &'a Catalog,
    /// The partitioned table.
    pub(crate) table: &'a Name,
    /// Its index, as it will be.
    pub(crate) index: &'a Index,
    /// The indexes below, parents first.
    pub(crate) branches: &'a [Branch],
    /// What stands on them.
    pub(crate) purpose: Purpose<'a>,
    /// When.
    pub(crate) phase: Phase,
}

impl TreeBuild<'_> {
    /// The index of the partitioned table alone, INVALID; each partition's CONCURRENTLY; then attached from the leaves up,
    /// which makes the whole valid.
    /// Source: "Notes" in doc/src/sgml/ref/create_index.sgml and "Table Partitioning" in ddl.sgml; locks, names and
    /// catalog rows measured on 14, 15, 17 and 18 against the one statement.
    pub(crate) fn steps(&self) -> Vec<Step> {
        let mut steps = vec![self.alone(self.table, self.index)];
        for branch in self.branches.iter().filter(|branch| !branch.exists) {
            if branch.partitioned {
                steps.push(self.alone(&branch.table, &branch.index));
            } else {
                steps.extend(self.leaf(branch));
            }
        }
        let mut waiting: BTreeMap<Name, usize> = BTreeMap::new();
        for branch in self.branches {
            *waiting.entry(branch.parent.clone()).or_default() += 1;
        }
        let mut attached = Vec::new();
        for branch in self.branches.iter().rev() {
            let left = waiting.entry(branch.parent.clone()).or_default();
            *left -= 1;
            attached.push(branch.clone());
            steps.push(self.attach(branch, *left == 0, &attached));
        }
        steps
    }

    /// On a partitioned table without its partitions. It is valid at once where there are none.
    fn alone(&self, table: &Name, index: &Index) -> Step {
        let empty = self.catalog.relation(table).is_none_or(|table| table.partitions.is_empty());
        let bare = Index { valid: empty, inherited: false, ..index.clone() };
        let name = table.sibling(index.name.clone());
        let body = ddl::index::body(table, index).unwrap_or_default();
        let (sql, mode) = match self.purpose {
            Purpose::Index => {
                (ddl::index::create(&index.name, table, index.unique, How::Only, body), LockMode::Share)
            }
            Purpose::Key { constraint, .. } => (
                ddl::constraint::add_only(table, &index.name, &constraint.definition),
                LockMode::AccessExclusive,
            ),
        };
        let step = Step::transaction(
            self.phase,
            format!("Declare {} {} on partitioned table {table}", self.noun(), index.name),
            "it holds no rows itself; it becomes valid when the index of every partition is attached",
            vec![sql],
        )
        .locks(tree::lock(self.catalog, table, mode))
        .undone_by(vec![self.gone(table, index, &[])])
        .requires(Need::Relation(table.clone()))
        .requires(Need::NoRelation(name))
        .provides(Effect::Index { table: table.clone(), index: bare });
        self.constrain(step, table, index, false)
    }

    /// Builds the index of a table that holds rows, and makes it the constraint, but attaches it to nothing.
    pub(crate) fn leaf(&self, branch: &Branch) -> Vec<Step> {
        let table = &branch.table;
        let bare = Index {
            inherited: false,
            constraint: None,
            immediate: true,
            primary: false,
            ..branch.index.clone()
        };
        let build = build(self.catalog, table, &bare, self.phase, "reads and writes of the partition go on");
        let Purpose::Key { constraint, deferrable } = self.purpose else { return vec![build] };
        let sort = Sort::of(constraint);
        let index = Index { inherited: false, ..branch.index.clone() };
        let step = Step::transaction(
            self.phase,
            format!("Make index {} of {table} a {}", index.name, sort.title()),
            "a partition's index can only be attached if it stands behind a constraint, too",
            vec![ddl::constraint::add(
                table,
                &index.name,
                &ddl::constraint::using_index(sort.sql(), &index.name, deferrable),
            )],
        )
        .locks(tree::lock(self.catalog, table, LockMode::AccessExclusive))
        .undone_by(vec![self.gone(table, &index, &[])])
        .provides(Effect::Index { table: table.clone(), index: index.clone() });
        vec![build, self.constrain(step, table, &index, false)]
    }

    /// `last`: its parent has all its partitions then. `attached`: this one, and those before it.
    fn attach(&self, branch: &Branch, last: bool, attached: &[Branch]) -> Step {
        let child = branch.name();
        let (parent_table, parent) = self.parent(branch);
        let below = below(attached, &branch.parent);
        let mut undo = vec![self.gone(&parent_table, &parent, &below)];
        if branch.exists {
            // There is no DETACH for indexes, so what was there before has to be made again.
            undo.extend(self.leaf(branch).into_iter().map(|step| Step { undo: Undo::Nothing, ..step }));
        }
        let step = Step::transaction(
            self.phase,
            format!("Attach {} to {}", child.name, branch.parent.name),
            if last {
                "with the last partition the index of the partitioned table becomes valid"
            } else {
                "makes the partition's index part of the partitioned table's"
            },
            vec![ddl::index::attach(&branch.parent, &child)],
        )
        .locks([
            LockClaim { relation: branch.parent.clone(), mode: LockMode::ShareUpdateExclusive },
            LockClaim { relation: child, mode: LockMode::AccessExclusive },
        ])
        .undone_by(undo)
        .provides(Effect::Index { table: branch.table.clone(), index: branch.index.clone() });
        let step = self.constrain(step, &branch.table, &branch.index, true);
        if last {
            // It is itself attached only later.
            let parent = Index { valid: true, inherited: false, ..parent };
            step.provides(Effect::Index { table: parent_table, index: parent })
        } else {
            step
        }
    }

    fn constrain(&self, step: Step, table: &Name, index: &Index, inherited: bool) -> Step {
        match self.purpose {
            Purpose::Index => step,
            Purpose::Key { constraint, .. } => {
                let constraint = Constraint { name: index.name.clone(), inherited, ..constraint.clone() };
                step.provides(Effect::Constraint { table: table.clone(), constraint })
            }
        }
    }

    fn noun(&self) -> &'static str {
        match self.purpose {
            Purpose::Index if self.index.unique => "unique index",
            Purpose::Index => "index",
            Purpose::Key { constraint, .. } => Sort::of(constraint).title(),
        }
    }

    fn parent(&self, branch: &Branch) -> (Name, Index) {
        self.branches
            .iter()
            .find(|candidate| candidate.name() == branch.parent)
            .map_or_else(|| (self.table.clone(), self.index.clone()), |b| (b.table.clone(), b.index.clone()))
    }

    /// Undo: the index goes with what is attached to it by then. What a later undo names may be gone already.
    fn gone(&self, table: &Name, index: &Index, below: &[Branch]) -> Step {
        let Purpose::Key { constraint, .. } = self.purpose else {
            let leaf = self.catalog.relation(table).is_some_and(|t| t.kind != RelationKind::PartitionedTable);
            if leaf && below.is_empty() {
                return drop(self.catalog, table, index, self.phase, "takes the new index away");
            }
            return drop_tree(self.catalog, table, index, below, self.phase, "takes the new index away");
        };
        let name = table.sibling(index.name.clone());
        let mut step = Step::transaction(
            self.phase,
            format!("Drop {} {} of {table}", Sort::of(constraint).title(), index.name),
            "takes the new constraint away",
            vec![ddl::constraint::drop_if_exists(table, &index.name)],
        )
        .locks(tree::locks(self.catalog, table, LockMode::AccessExclusive))
        .locks(branch_locks(&name, below))
        .probe(Probe::Constraint { table: table.clone(), name: index.name.clone(), validated: None })
        .provides(Effect::ConstraintGone { table: table.clone(), constraint: index.name.clone() });
        for branch in below {
            step = step.provides(Effect::ConstraintGone {
                table: branch.table.clone(),
                constraint: branch.index.name.clone(),
            });
        }
        step
    }
}

/// Everything that hangs on an index.
fn below(attached: &[Branch], parent: &Name) -> Vec<Branch> {
    let children = attached.iter().filter(|branch| branch.parent == *parent);
    children
        .flat_map(|branch| std::iter::once(branch.clone()).chain(below(attached, &branch.name())))
        .collect()
}

fn unique(index: &Index) -> &'static str {
    if index.unique { "unique " } else { "" }
}
