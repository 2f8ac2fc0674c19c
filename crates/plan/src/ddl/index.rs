//! Text and names of indexes.

use std::collections::BTreeSet;

use crate::catalog::{Catalog, Index, Relation, RelationKind};
use crate::sql::ident::{Ident, Name};

/// The name PostgreSQL gives to an index that has none: `table_columns_label`, shortened and numbered until it is free.
/// Source: `ChooseIndexName` and `ChooseRelationName` in src/backend/commands/indexcmds.c.
pub(crate) fn choose_name(
    catalog: &Catalog,
    taken: &BTreeSet<Name>,
    table: &Name,
    columns: &[Ident],
    label: &str,
) -> Name {
    let mut addition = String::new();
    for column in columns {
        if !addition.is_empty() {
            addition.push('_');
        }
        addition.push_str(column.as_str());
        if addition.len() >= 64 {
            break;
        }
    }
    let mut pass = 0;
    loop {
        let label = if pass == 0 { label.to_owned() } else { format!("{label}{pass}") };
        let name = table.sibling(object_name(table.name.as_str(), &addition, &label));
        let constraint = catalog
            .relations
            .values()
            .any(|relation| relation.name.schema == name.schema && relation.constraint(&name.name).is_some());
        if !catalog.relation_name_taken(&name) && !taken.contains(&name) && !constraint {
            return name;
        }
        pass += 1;
    }
}

/// `first_second_label` in 63 bytes; the longer of the first two is cut first.
/// Source: `makeObjectName` in src/backend/commands/indexcmds.c.
pub(crate) fn object_name(first: &str, second: &str, label: &str) -> Ident {
    let available = 63 - label.len() - 1 - usize::from(!second.is_empty());
    let (mut one, mut two) = (first.len(), second.len());
    while one + two > available {
        if one > two {
            one -= 1;
        } else {
            two -= 1;
        }
    }
    let (one, two) = (clip(first, one), clip(second, two));
    if two.is_empty() {
        Ident::new(format!("{one}_{label}"))
    } else {
        Ident::new(format!("{one}_{two}_{label}"))
    }
}

fn clip(text: &str, max: usize) -> &str {
    let mut end = max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// What the columns of an index are called in its generated name: a column by its name, an expression by what
/// `FigureIndexColname` says, INCLUDE columns too; doubles are numbered.
/// Source: `ChooseIndexColumnNames` in src/backend/commands/indexcmds.c.
pub(crate) fn column_names(index: &Index) -> Vec<Ident> {
    let mut names: Vec<Ident> = Vec::new();
    let keys = index.columns.iter().map(|column| column.clone().unwrap_or_else(|| Ident::new("expr")));
    for name in keys.chain(index.include.iter().cloned()) {
        let unique = (0..)
            .map(|n| if n == 0 { name.clone() } else { Ident::new(format!("{}{n}", name.as_str())) })
            .find(|candidate| !names.contains(candidate));
        names.extend(unique);
    }
    names
}

/// One index of a partition tree: where it is and what it is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Branch {
    /// The partition.
    pub(crate) table: Name,
    /// Its index; `inherited`.
    pub(crate) index: Index,
    /// The index it is attached to.
    pub(crate) parent: Name,
    /// The partition is itself partitioned.
    pub(crate) partitioned: bool,
}

/// The indexes that CREATE INDEX on a partitioned table makes below it, parents before children. Names are those that
/// PostgreSQL chooses; `label` is `idx`, or `key` for a unique constraint.
pub(crate) fn branches(
    catalog: &Catalog,
    table: &Name,
    index: &Index,
    columns: &[Ident],
    label: &str,
) -> Vec<Branch> {
    let mut taken = BTreeSet::from([table.sibling(index.name.clone())]);
    let mut branches = Vec::new();
    descend(catalog, table, index, columns, label, &mut taken, &mut branches);
    branches
}

fn descend(
    catalog: &Catalog,
    table: &Name,
    index: &Index,
    columns: &[Ident],
    label: &str,
    taken: &mut BTreeSet<Name>,
    branches: &mut Vec<Branch>,
) {
    let Some(relation) = catalog.relation(table) else { return };
    for partition in &relation.partitions {
        let name = choose_name(catalog, taken, partition, columns, label);
        taken.insert(name.clone());
        let child = Index { name: name.name.clone(), inherited: true, ..index.clone() };
        let partitioned =
            catalog.relation(partition).is_some_and(|p| p.kind == RelationKind::PartitionedTable);
        branches.push(Branch {
            table: partition.clone(),
            index: child.clone(),
            parent: table.sibling(index.name.clone()),
            partitioned,
        });
        descend(catalog, partition, &child, columns, label, taken, branches);
    }
}

/// The indexes of partitions that are attached to this one, at any depth. The catalog does not say which parent index an
/// attached one has, but it has the same keys and options.
pub(crate) fn attached<'a>(
    catalog: &'a Catalog,
    table: &'a Relation,
    index: &Index,
) -> Vec<(&'a Relation, &'a Index)> {
    let mut found = Vec::new();
    for partition in table.partitions.iter().filter_map(|partition| catalog.relation(partition)) {
        if let Some(child) = partition.indexes.iter().find(|child| child.inherited && alike(child, index)) {
            found.push((partition, child));
            found.extend(attached(catalog, partition, child));
        }
    }
    found
}

fn alike(one: &Index, other: &Index) -> bool {
    one.columns == other.columns
        && one.include == other.include
        && one.uses == other.uses
        && (one.unique, one.primary, one.partial) == (other.unique, other.primary, other.partial)
        && one.constraint.is_some() == other.constraint.is_some()
}
