//! What a step does to a catalog. The planner folds effects to know what the next statement meets; a resumed run
//! folds the remaining ones to get the logical catalog; the harness folds all and compares with introspection.

use serde::{Deserialize, Serialize};

use crate::catalog::{
    Catalog, Column, Constraint, ConstraintKind, Dependent, Function, Identity, Index, NotNull, Policy,
    Relation, Rule, Sequence, Trigger, Type, User,
};
use crate::pg::firing::Firing;
use crate::plan::Claim;
use crate::sql::ident::{Ident, Name};

mod renamed;
mod renamed_column;

/// One change of the catalog. Objects are carried whole, so folding needs no server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// A schema appears.
    Schema(Ident),
    /// An extension appears (its objects are not modelled).
    Extension(Ident),
    /// A relation appears or is replaced.
    Relation(Box<Relation>),
    /// A relation goes, with its indexes, constraints, triggers and owned sequences.
    RelationGone(Name),
    /// A relation gets another name or schema; what refers to it follows, as on the server, where it does by oid.
    RelationRenamed {
        /// Its name.
        from: Name,
        /// The new one.
        to: Name,
    },
    /// A constraint, an index or a trigger gets another name.
    PartRenamed {
        /// Table.
        table: Name,
        /// What it is.
        part: Part,
        /// Its name.
        from: Ident,
        /// The new one.
        to: Ident,
    },
    /// A column appears at the end of a table and, where it is partitioned, of all its partitions.
    Column {
        /// Table.
        table: Name,
        /// Column.
        column: Column,
    },
    /// A column goes, and with it every index and constraint that uses it.
    ColumnGone {
        /// Table.
        table: Name,
        /// Column.
        column: Ident,
    },
    /// A column gets another name, in the table and all its partitions; whatever names it follows.
    ColumnRenamed {
        /// Table.
        table: Name,
        /// Column.
        column: Ident,
        /// Its new name.
        to: Ident,
    },
    /// A column gets another type, in the table and all its partitions.
    ColumnType {
        /// Table.
        table: Name,
        /// Column.
        column: Ident,
        /// As `format_type` prints it.
        data_type: String,
    },
    /// A column is replaced by one of another type, which is the last of its table.
    ColumnReplaced {
        /// Table.
        table: Name,
        /// Column.
        column: Ident,
        /// As `format_type` prints it.
        data_type: String,
    },
    /// A column's default becomes this.
    Default {
        /// Table.
        table: Name,
        /// Column.
        column: Ident,
        /// New default; `None` removes it.
        default: Option<String>,
    },
    /// A column's NOT NULL marking becomes this.
    NotNull {
        /// Table.
        table: Name,
        /// Column.
        column: Ident,
        /// New marking; `None` removes it.
        not_null: Option<NotNull>,
    },
    /// A column becomes an identity column, or ceases to be one.
    Identity {
        /// Table.
        table: Name,
        /// Column.
        column: Ident,
        /// New state.
        identity: Option<Identity>,
    },
    /// A constraint appears. The index behind a PRIMARY KEY or UNIQUE comes as an effect of its own.
    Constraint {
        /// Table.
        table: Name,
        /// Constraint.
        constraint: Constraint,
    },
    /// A NOT VALID constraint has been validated.
    ConstraintValidated {
        /// Table.
        table: Name,
        /// Constraint.
        constraint: Ident,
    },
    /// A constraint goes, with the index behind it.
    ConstraintGone {
        /// Table.
        table: Name,
        /// Constraint.
        constraint: Ident,
    },
    /// An index appears, or an INVALID one becomes valid, or one gets attached to a constraint.
    Index {
        /// Table.
        table: Name,
        /// Index.
        index: Index,
    },
    /// An index goes.
    IndexGone {
        /// Table.
        table: Name,
        /// Index.
        index: Ident,
    },
    /// A trigger appears or is replaced.
    Trigger {
        /// Table.
        table: Name,
        /// Trigger.
        trigger: Trigger,
    },
    /// A trigger goes.
    TriggerGone {
        /// Table.
        table: Name,
        /// Trigger.
        trigger: Ident,
    },
    /// A trigger fires in other sessions than before: that of this relation alone, not its copies in partitions.
    TriggerFires {
        /// Table.
        table: Name,
        /// Trigger.
        trigger: Ident,
        /// When.
        fires: Firing,
    },
    /// Row level security is switched on or off.
    RowSecurity {
        /// Table.
        table: Name,
        /// ENABLE
        enabled: bool,
        /// FORCE
        forced: bool,
    },
    /// A policy appears or changes.
    Policy {
        /// Table.
        table: Name,
        /// Policy.
        policy: Policy,
    },
    /// A policy goes.
    PolicyGone {
        /// Table.
        table: Name,
        /// Policy.
        policy: Ident,
    },
    /// A rule appears or is replaced.
    Rule {
        /// Table or view.
        table: Name,
        /// Rule.
        rule: Rule,
    },
    /// A rule goes.
    RuleGone {
        /// Table or view.
        table: Name,
        /// Rule.
        rule: Ident,
    },
    /// A table becomes a partition. What it gets from its parent (indexes, foreign keys, triggers, identity) comes as effects of
    /// its own.
    Attached {
        /// Partitioned table.
        table: Name,
        /// New partition.
        partition: Name,
        /// `FOR VALUES …` or `DEFAULT`.
        bound: String,
    },
    /// A partition becomes a table of its own.
    Detached {
        /// Partitioned table.
        table: Name,
        /// Partition.
        partition: Name,
    },
    /// Something comes to depend on a relation or on one of its columns.
    Dependent {
        /// Relation.
        relation: Name,
        /// What.
        dependent: Dependent,
    },
    /// A function appears or is replaced.
    Function(Function),
    /// All functions of this name go.
    FunctionGone(Name),
    /// A sequence appears or changes owner.
    Sequence(Sequence),
    /// A sequence goes.
    SequenceGone(Name),
    /// A type appears or is replaced.
    Type(Type),
    /// A type goes.
    TypeGone(Name),
    /// From here on the catalog is unknown, because of this statement.
    Unknown(String),
}

/// What belongs to a table and has a name of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// With the index behind it.
    Constraint,
    /// With the constraint that stands on it.
    Index,
    /// With its clones in partitions.
    Trigger,
}

impl Effect {
    /// Changes `catalog` as the server would. Naming an object that is not there changes nothing: the caller has
    /// refused such a statement before.
    pub fn apply(&self, catalog: &mut Catalog) {
        match self {
            Self::Schema(name) => {
                catalog.schemas.insert(name.clone());
            }
            Self::Extension(name) => {
                catalog.extensions.insert(name.clone());
            }
            Self::Relation(relation) => {
                if let Some(parent) =
                    relation.partition_of.as_ref().and_then(|p| catalog.relations.get_mut(p))
                    && !parent.partitions.contains(&relation.name)
                {
                    parent.partitions.push(relation.name.clone());
                }
                catalog.relations.insert(relation.name.clone(), (**relation).clone());
            }
            Self::RelationGone(name) => {
                if let Some(gone) = catalog.relations.remove(name)
                    && let Some(parent) = gone.partition_of.and_then(|p| catalog.relations.get_mut(&p))
                {
                    parent.partitions.retain(|partition| partition != name);
                }
                catalog.sequences.retain(|_, s| s.owned_by.as_ref().is_none_or(|(table, _)| table != name));
                for relation in catalog.relations.values_mut() {
                    relation.constraints.retain(
                        |c| !matches!(&c.kind, ConstraintKind::ForeignKey { table, .. } if table == name),
                    );
                    relation.dependents.retain(|dependent| !dependent.is_view(name));
                }
            }
            Self::RelationRenamed { from, to } => renamed::relation(catalog, from, to),
            Self::PartRenamed { table, part, from, to } => renamed::part(catalog, table, *part, from, to),
            Self::Column { table, column } => {
                for_tree(catalog, table, &mut |relation| relation.columns.push(column.clone()));
            }
            Self::ColumnGone { table, column } => {
                for_tree(catalog, table, &mut |relation| drop_column(relation, column));
                catalog.sequences.retain(|_, s| {
                    s.owned_by.as_ref().is_none_or(|owner| *owner != (table.clone(), column.clone()))
                });
            }
            Self::ColumnRenamed { table, column, to } => {
                renamed_column::follow(catalog, table, column, to);
            }
            Self::ColumnType { table, column, data_type } => {
                needs_no_more(catalog, table, |table| User::Column(table, column.clone()));
                for_tree(catalog, table, &mut |relation| {
                    on_column(relation, column, |c| c.data_type.clone_from(data_type));
                });
            }
            Self::ColumnReplaced { table, column, data_type } => {
                needs_no_more(catalog, table, |table| User::Column(table, column.clone()));
                for_tree(catalog, table, &mut |relation| {
                    if let Some(at) = relation.columns.iter().position(|known| known.name == *column) {
                        let old = relation.columns.remove(at);
                        relation.columns.push(Column { data_type: data_type.clone(), ..old });
                    }
                });
            }
            Self::Default { table, column, default } => {
                needs_no_more(catalog, table, |table| User::Default(table, column.clone()));
                for_tree(catalog, table, &mut |relation| {
                    on_column(relation, column, |c| c.default.clone_from(default));
                });
            }
            Self::NotNull { table, column, not_null } => {
                for_tree(catalog, table, &mut |relation| {
                    on_column(relation, column, |c| c.not_null.clone_from(not_null));
                });
            }
            Self::Identity { table, column, identity } => {
                for_tree(catalog, table, &mut |relation| {
                    on_column(relation, column, |c| c.identity = *identity)
                });
            }
            Self::Constraint { table, constraint } => {
                // Indexes of a partitioned key get generated names in the partitions, and come as effects of their own.
                let inherits =
                    matches!(constraint.kind, ConstraintKind::Check | ConstraintKind::ForeignKey { .. });
                let mut inherited = constraint.clone();
                inherited.inherited = true;
                let mut add = |relation: &mut Relation| {
                    let own = relation.name == *table;
                    relation.constraints.retain(|c| c.name != constraint.name);
                    relation.constraints.push(if own { constraint.clone() } else { inherited.clone() });
                };
                if inherits {
                    for_tree(catalog, table, &mut add);
                } else if let Some(relation) = catalog.relations.get_mut(table) {
                    add(relation);
                }
            }
            Self::ConstraintValidated { table, constraint } => {
                for_tree(catalog, table, &mut |relation| {
                    for c in &mut relation.constraints {
                        if c.name == *constraint {
                            c.validated = true;
                        }
                    }
                });
            }
            Self::ConstraintGone { table, constraint } => {
                for_tree(catalog, table, &mut |relation| {
                    relation.constraints.retain(|c| c.name != *constraint);
                    relation.indexes.retain(|i| i.constraint.as_ref() != Some(constraint));
                });
            }
            Self::Index { table, index } => {
                if let Some(relation) = catalog.relations.get_mut(table) {
                    relation.indexes.retain(|i| i.name != index.name);
                    relation.indexes.push(index.clone());
                }
            }
            Self::IndexGone { table, index } => {
                if let Some(relation) = catalog.relations.get_mut(table) {
                    relation.indexes.retain(|i| i.name != *index);
                }
            }
            Self::Trigger { table, trigger } => {
                // Row triggers of a partitioned table are cloned into its partitions; statement triggers are not.
                let mut add = |relation: &mut Relation| {
                    relation.triggers.retain(|t| t.name != trigger.name);
                    relation.triggers.push(trigger.clone());
                };
                if trigger.row {
                    for_tree(catalog, table, &mut add);
                } else if let Some(relation) = catalog.relations.get_mut(table) {
                    add(relation);
                }
            }
            Self::TriggerGone { table, trigger } => {
                for_tree(catalog, table, &mut |relation| {
                    relation.triggers.retain(|t| t.name != *trigger);
                    relation.dependents.retain(|dependent| !dependent.is_trigger(trigger));
                });
            }
            Self::TriggerFires { table, trigger, fires } => {
                let relation = catalog.relations.get_mut(table);
                for known in relation.into_iter().flat_map(|relation| &mut relation.triggers) {
                    if known.name == *trigger {
                        known.fires = *fires;
                    }
                }
            }
            Self::RowSecurity { table, enabled, forced } => {
                if let Some(relation) = catalog.relations.get_mut(table) {
                    (relation.row_security, relation.row_security_forced) = (*enabled, *forced);
                }
            }
            Self::Policy { table, policy } => {
                if let Some(relation) = catalog.relations.get_mut(table) {
                    relation.policies.retain(|known| known.name != policy.name);
                    relation.policies.push(policy.clone());
                }
            }
            Self::PolicyGone { table, policy } => {
                for relation in catalog.relations.values_mut() {
                    relation.dependents.retain(|dependent| !dependent.is_policy(table, policy));
                    if relation.name == *table {
                        relation.policies.retain(|known| known.name != *policy);
                    }
                }
            }
            Self::Rule { table, rule } => {
                if let Some(relation) = catalog.relations.get_mut(table) {
                    relation.rules.retain(|known| known.name != rule.name);
                    relation.rules.push(rule.clone());
                }
            }
            Self::RuleGone { table, rule } => {
                if let Some(relation) = catalog.relations.get_mut(table) {
                    relation.rules.retain(|known| known.name != *rule);
                }
            }
            Self::Attached { table, partition, bound } => attach(catalog, table, partition, bound),
            Self::Detached { table, partition } => detach(catalog, table, partition),
            Self::Dependent { relation, dependent } => {
                if let Some(relation) = catalog.relations.get_mut(relation)
                    && !relation.dependents.contains(dependent)
                {
                    relation.dependents.push(dependent.clone());
                }
            }
            Self::Function(function) => {
                catalog
                    .functions
                    .retain(|f| (&f.name, &f.arguments) != (&function.name, &function.arguments));
                catalog.functions.insert(function.clone());
            }
            Self::FunctionGone(name) => catalog.functions.retain(|f| f.name != *name),
            Self::Sequence(sequence) => {
                catalog.sequences.insert(sequence.name.clone(), sequence.clone());
            }
            Self::SequenceGone(name) => {
                catalog.sequences.remove(name);
            }
            Self::Type(kind) => {
                catalog.types.insert(kind.name.clone(), kind.clone());
            }
            Self::TypeGone(name) => {
                catalog.types.remove(name);
            }
            Self::Unknown(why) => {
                catalog.unknown_since.get_or_insert_with(|| why.clone());
            }
        }
    }
}

impl Effect {
    /// What it claims against other migrations in flight: what it changes, and the columns that its constraints rely on. Indexes,
    /// triggers and views claim no column: they are planned for the columns that are there at the end, and follow them.
    pub fn claims(&self) -> Vec<Claim> {
        let whole = |relation: &Name| Claim { relation: relation.clone(), column: None, write: true };
        let changed = |table: &Name, column: &Ident| vec![column_claim(table, column, true)];
        match self {
            Self::RelationGone(name) => vec![whole(name)],
            Self::Relation(relation) => std::iter::once(whole(&relation.name))
                .chain(relation.constraints.iter().flat_map(referenced))
                .collect(),
            Self::Attached { table, .. } | Self::Detached { table, .. } => vec![whole(table)],
            Self::RelationRenamed { from, to } => vec![whole(from), whole(to)],
            Self::PartRenamed { table, .. } => vec![whole(table)],
            Self::Column { table, column } => changed(table, &column.name),
            Self::ColumnGone { table, column }
            | Self::ColumnRenamed { table, column, .. }
            | Self::ColumnType { table, column, .. }
            | Self::ColumnReplaced { table, column, .. }
            | Self::Default { table, column, .. }
            | Self::NotNull { table, column, .. }
            | Self::Identity { table, column, .. } => changed(table, column),
            Self::Constraint { table, constraint } => {
                let own = constraint.columns.iter().map(|column| column_claim(table, column, false));
                own.chain(referenced(constraint)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The columns that what it makes stands on: to take them back would take it along.
    pub fn stands_on(&self) -> Vec<Claim> {
        let columns: (&Name, Vec<&Ident>) = match self {
            Self::Index { table, index } => (table, index.uses.iter().collect()),
            Self::Trigger { table, trigger } => (table, trigger.update_of.iter().collect()),
            Self::Dependent { relation, dependent } => (relation, dependent.column.iter().collect()),
            _ => return Vec::new(),
        };
        let (table, columns) = columns;
        columns.into_iter().map(|column| column_claim(table, column, false)).collect()
    }
}

fn column_claim(table: &Name, column: &Ident, write: bool) -> Claim {
    Claim { relation: table.clone(), column: Some(column.clone()), write }
}

/// What a foreign key refers to.
fn referenced(constraint: &Constraint) -> Vec<Claim> {
    match &constraint.kind {
        ConstraintKind::ForeignKey { table, columns } => {
            columns.iter().map(|column| column_claim(table, column, false)).collect()
        }
        _ => Vec::new(),
    }
}

/// Folds many effects into a copy of `catalog`.
pub fn fold<'a>(catalog: &Catalog, effects: impl IntoIterator<Item = &'a Effect>) -> Catalog {
    let mut catalog = catalog.clone();
    for effect in effects {
        effect.apply(&mut catalog);
    }
    catalog
}

/// CHECKs that a partition shares with its parent count as inherited from then on.
/// Source: `MergeConstraintsIntoExisting` in src/backend/commands/tablecmds.c.
fn attach(catalog: &mut Catalog, table: &Name, partition: &Name, bound: &str) {
    let Some(parent) = catalog.relations.get_mut(table) else { return };
    if !parent.partitions.contains(partition) {
        parent.partitions.push(partition.clone());
    }
    let checks: Vec<Ident> = parent
        .constraints
        .iter()
        .filter(|constraint| constraint.kind == ConstraintKind::Check)
        .map(|constraint| constraint.name.clone())
        .collect();
    let Some(child) = catalog.relations.get_mut(partition) else { return };
    child.partition_of = Some(table.clone());
    child.partition_bound = Some(bound.to_owned());
    for constraint in &mut child.constraints {
        if constraint.kind == ConstraintKind::Check && checks.contains(&constraint.name) {
            constraint.inherited = true;
        }
    }
}

/// Constraints and indexes stay, as its own; row triggers that it got from its parent go, and from 17 on so does identity.
/// Source: `DetachPartitionFinalize` in src/backend/commands/tablecmds.c.
fn detach(catalog: &mut Catalog, table: &Name, partition: &Name) {
    let shares_identity = catalog.server.version.partitions_share_identity();
    let Some(parent) = catalog.relations.get_mut(table) else { return };
    parent.partitions.retain(|name| name != partition);
    let triggers: Vec<Ident> =
        parent.triggers.iter().filter(|trigger| trigger.row).map(|trigger| trigger.name.clone()).collect();
    let identity: Vec<Ident> = parent
        .columns
        .iter()
        .filter(|column| shares_identity && column.identity.is_some())
        .map(|column| column.name.clone())
        .collect();
    for_tree(catalog, partition, &mut |relation| {
        relation.triggers.retain(|trigger| !triggers.contains(&trigger.name));
        for name in &identity {
            on_column(relation, name, |column| column.identity = None);
        }
    });
    let Some(child) = catalog.relations.get_mut(partition) else { return };
    child.partition_of = None;
    child.partition_bound = None;
    child.detaching = false;
    child.constraints.iter_mut().for_each(|constraint| constraint.inherited = false);
    child.indexes.iter_mut().for_each(|index| index.inherited = false);
}

/// What these needed is nobody's need on their account any more. What they need from then on is not followed, as with any column that a
/// file makes.
fn needs_no_more(catalog: &mut Catalog, table: &Name, user: impl Fn(Name) -> User) {
    let gone: Vec<User> =
        catalog.tree(table).into_iter().map(|relation| user(relation.name.clone())).collect();
    catalog.uses.retain(|used| !gone.contains(&used.by));
}

fn for_tree(catalog: &mut Catalog, table: &Name, change: &mut impl FnMut(&mut Relation)) {
    let Some(relation) = catalog.relations.get_mut(table) else { return };
    change(relation);
    for partition in relation.partitions.clone() {
        for_tree(catalog, &partition, change);
    }
}

fn on_column(relation: &mut Relation, name: &Ident, change: impl FnOnce(&mut Column)) {
    if let Some(column) = relation.columns.iter_mut().find(|column| column.name == *name) {
        change(column);
    }
}

fn drop_column(relation: &mut Relation, column: &Ident) {
    relation.columns.retain(|c| c.name != *column);
    relation.constraints.retain(|c| !c.columns.contains(column));
    relation.indexes.retain(|index| !index.uses.contains(column));
    relation.dependents.retain(|d| d.column.as_ref() != Some(column));
}
