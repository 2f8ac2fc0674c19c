//! What a new partition gets from its parent: indexes, keys, foreign keys, row triggers, identity. What it has already that
//! is alike is taken for it; what it lacks is made beforehand, or by ATTACH where nobody uses the table yet.

use crate::catalog::{Catalog, Constraint, ConstraintKind, Index, Relation, RelationKind};
use crate::ddl;
use crate::ddl::index::Branch;
use crate::diagnostic::{Code, Refusal};
use crate::effect::{Effect, fold};
use crate::kind::Ctx;
use crate::kind::shared::index::{Purpose, TreeBuild};
use crate::kind::shared::not_valid::NotValid;
use crate::kind::shared::tree;
use crate::pg::lock::LockMode;
use crate::plan::{LockClaim, Phase, Step, WorkKind};
use crate::sql::ident::Name;
use crate::sql::names::{IndexSort, Namer};

/// See the module.
pub(super) struct Inherited<'a> {
    catalog: &'a Catalog,
    parent: &'a Relation,
    partition: Name,
    indexes: Vec<IndexPair<'a>>,
    keys: Vec<KeyPair<'a>>,
}

/// An index of the parent, and what becomes part of it: the partition's index, and those below it.
struct IndexPair<'a> {
    parent: &'a Index,
    constraint: Option<&'a Constraint>,
    branches: Vec<Branch>,
}

/// A foreign key of the parent, and the partition's, which may be there already.
struct KeyPair<'a> {
    parent: &'a Constraint,
    own: Constraint,
    exists: bool,
}

impl<'a> Inherited<'a> {
    pub(super) fn new(catalog: &'a Catalog, parent: &'a Relation, partition: &Name) -> Self {
        let mut scratch = super::alone(catalog, parent, partition);
        let mut indexes = Vec::new();
        // An index ON ONLY the parent that is INVALID takes the partition's in all the same.
        for index in &parent.indexes {
            let constraint = index.constraint.as_ref().and_then(|name| parent.constraint(name));
            let branches = ddl::index::branches(&scratch, &parent.name, index, sort(index, constraint));
            let taken: Vec<Effect> = branches
                .iter()
                .map(|branch| Effect::Index { table: branch.table.clone(), index: branch.index.clone() })
                .collect();
            scratch = fold(&scratch, &taken);
            indexes.push(IndexPair { parent: index, constraint, branches });
        }
        let keys = keys(catalog, parent, partition);
        Self { catalog, parent, partition: partition.clone(), indexes, keys }
    }

    /// Whether ATTACH would build an index.
    pub(super) fn lacks_index(&self) -> bool {
        self.indexes.iter().flat_map(|pair| &pair.branches).any(|branch| !branch.exists)
    }

    /// Foreign keys that ATTACH as written would add and check.
    pub(super) fn missing_keys(&self) -> impl Iterator<Item = &Constraint> {
        self.keys.iter().filter(|pair| !pair.exists).map(|pair| pair.parent)
    }

    /// Foreign keys that ATTACH makes: what it makes stays when the partition is detached.
    pub(super) fn made_keys(&self) -> impl Iterator<Item = &Constraint> {
        self.keys.iter().filter(|pair| !pair.exists).map(|pair| &pair.own)
    }

    /// A lock on every table that the foreign keys refer to.
    pub(super) fn referenced(&self, mode: LockMode) -> Vec<LockClaim> {
        let tables = self.keys.iter().filter_map(|pair| match &pair.parent.kind {
            ConstraintKind::ForeignKey { table, .. } => Some(table),
            _ => None,
        });
        tables.flat_map(|table| tree::locks(self.catalog, table, mode)).collect()
    }

    /// What ATTACH does to the catalog beside attaching.
    pub(super) fn effects(&self) -> Vec<Effect> {
        let mut effects = Vec::new();
        for pair in &self.indexes {
            for branch in &pair.branches {
                let (table, index) = (branch.table.clone(), branch.index.clone());
                if let (Some(name), Some(constraint)) = (&index.constraint, pair.constraint) {
                    let constraint = Constraint { name: name.clone(), inherited: true, ..constraint.clone() };
                    effects.push(Effect::Constraint { table: table.clone(), constraint });
                }
                effects.push(Effect::Index { table, index });
            }
        }
        for pair in &self.keys {
            let constraint = Constraint { inherited: true, ..pair.own.clone() };
            effects.push(Effect::Constraint { table: self.partition.clone(), constraint });
        }
        for trigger in self.parent.triggers.iter().filter(|trigger| trigger.row) {
            effects.push(Effect::Trigger { table: self.partition.clone(), trigger: trigger.clone() });
        }
        if self.catalog.server.version.partitions_share_identity() {
            for column in self.parent.columns.iter().filter(|column| column.identity.is_some()) {
                effects.push(Effect::Identity {
                    table: self.partition.clone(),
                    column: column.name.clone(),
                    identity: column.identity,
                });
            }
        }
        effects
    }

    /// What has no way to be made beforehand, or may be there already without the catalog showing it.
    pub(super) fn refuse_unbuildable(&self, child: &Relation) -> Result<(), Refusal> {
        let scratch = super::alone(self.catalog, self.parent, &self.partition);
        for pair in &self.indexes {
            if pair.parent.exclusion && pair.branches.iter().any(|branch| !branch.exists) {
                return Err(Refusal::new(
                    Code::NoOnlineForm,
                    format!(
                        "{} lacks exclusion constraint {} of {}, and no index of one is built beside writes",
                        self.partition, pair.parent.name, self.parent.name
                    ),
                    "add the constraint to the table while nobody uses it",
                ));
            }
            let missing = pair.branches.iter().any(|branch| !branch.exists);
            if missing
                && let Some((table, twin)) = ddl::index::doubtful(&scratch, &self.parent.name, pair.parent)
            {
                return Err(Refusal::new(
                    Code::NotYet,
                    format!(
                        "{} has index {}, which may be equal to {} of {}: PostgreSQL would then take it instead of building \
                         another",
                        table.name, twin.name, pair.parent.name, self.parent.name
                    ),
                    "drop it first, or make it in the words in which the partitioned table's is defined",
                ));
            }
        }
        for pair in self.keys.iter().filter(|pair| !pair.exists) {
            let taken = self.catalog.tree(&child.name).into_iter().find(|relation| {
                relation.constraint(&pair.own.name).is_some()
                    || (relation.name != child.name
                        && relation.constraints.iter().any(|c| alike(c, pair.parent)))
            });
            if let Some(relation) = taken {
                return Err(Refusal::new(
                    Code::NotYet,
                    format!(
                        "{} has a constraint that stands in the way of foreign key {} of {}",
                        relation.name, pair.parent.name, self.parent.name
                    ),
                    "drop or rename it first",
                ));
            }
        }
        Ok(())
    }

    /// Makes what is lacking, beside reads and writes.
    pub(super) fn beforehand(&self, ctx: &Ctx, child: &Relation, phase: Phase) -> Result<Vec<Step>, Refusal> {
        let mut steps = Vec::new();
        for pair in &self.indexes {
            let Some((first, below)) = pair.branches.split_first() else { continue };
            if first.exists {
                continue;
            }
            let index = Index { inherited: false, ..first.index.clone() };
            let purpose = match pair.constraint {
                Some(constraint) => Purpose::Key { constraint, deferrable: deferrable(constraint) },
                None => Purpose::Index,
            };
            let build = TreeBuild {
                catalog: ctx.logical,
                table: &first.table,
                index: &index,
                branches: below,
                purpose,
                phase,
            };
            steps.extend(if first.partitioned { build.steps() } else { build.leaf(first) });
        }
        let whole = child.kind != RelationKind::PartitionedTable
            || ctx.logical.server.version.partitioned_foreign_key_not_valid();
        for pair in self.keys.iter().filter(|pair| !pair.exists && pair.own.validated) {
            let on: Vec<&Relation> = if whole { vec![child] } else { ctx.logical.leaves(&child.name) };
            for relation in on {
                let key = foreign_key(ctx.logical, relation, &pair.own);
                steps.push(key.add(phase));
                steps.push(key.validate(phase));
            }
        }
        Ok(steps)
    }
}

fn sort(index: &Index, constraint: Option<&Constraint>) -> IndexSort {
    match constraint.map(|constraint| &constraint.kind) {
        _ if index.primary => IndexSort::PrimaryKey,
        Some(ConstraintKind::Exclude) => IndexSort::Exclusion,
        Some(_) => IndexSort::Unique,
        None => IndexSort::Plain,
    }
}

fn deferrable(constraint: &Constraint) -> &'static str {
    crate::kind::shared::again::deferrable(constraint)
}

/// A foreign key of the table that is equal becomes the parent's; otherwise ATTACH makes one of the same name, or of another
/// where that is taken. Source: `tryAttachPartitionForeignKey`, `addFkRecurseReferencing` in src/backend/commands/tablecmds.c.
fn keys<'a>(catalog: &Catalog, parent: &'a Relation, partition: &Name) -> Vec<KeyPair<'a>> {
    let Some(child) = catalog.relation(partition) else { return Vec::new() };
    let mut taken: Vec<&Constraint> = Vec::new();
    let mut pairs = Vec::new();
    for key in &parent.constraints {
        if !matches!(key.kind, ConstraintKind::ForeignKey { .. }) {
            continue;
        }
        let equal = child.constraints.iter().find(|own| {
            !own.inherited
                && own.validated
                && alike(own, key)
                && !taken.iter().any(|known| known.name == own.name)
        });
        let own = match equal {
            Some(own) => {
                taken.push(own);
                own.clone()
            }
            None => {
                let name = match child.constraint(&key.name) {
                    None => key.name.clone(),
                    Some(_) => {
                        Namer::new(catalog, &partition.schema).foreign_key(&partition.name, &key.columns)
                    }
                };
                Constraint { name, inherited: false, ..key.clone() }
            }
        };
        pairs.push(KeyPair { parent: key, own, exists: equal.is_some() });
    }
    pairs
}

/// The same reference by the same columns, with the same actions.
fn alike(one: &Constraint, other: &Constraint) -> bool {
    let said = |constraint: &Constraint| {
        let text = constraint.definition.trim_end().trim_end_matches(" NOT VALID");
        text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
    };
    one.kind == other.kind
        && one.columns == other.columns
        && one.deferrable == other.deferrable
        && said(one) == said(other)
}

fn foreign_key<'a>(catalog: &Catalog, table: &'a Relation, key: &'a Constraint) -> NotValid<'a> {
    let ConstraintKind::ForeignKey { table: referenced, .. } = &key.kind else {
        return super::guard(catalog, table, key);
    };
    let both = |mode| {
        let mut locks = Vec::new();
        LockClaim::join(&mut locks, tree::locks(catalog, referenced, mode));
        LockClaim::join(&mut locks, tree::locks(catalog, &table.name, mode));
        locks
    };
    let mut validate = tree::locks(catalog, referenced, LockMode::RowShare);
    LockClaim::join(&mut validate, tree::locks(catalog, &table.name, LockMode::ShareUpdateExclusive));
    let mut work = tree::work(catalog, &table.name, WorkKind::Scan);
    work.extend(tree::work(catalog, referenced, WorkKind::Scan));
    NotValid {
        table: &table.name,
        constraint: key,
        add: both(LockMode::ShareRowExclusive),
        validate,
        drop: both(LockMode::AccessExclusive),
        work,
    }
}
