//! Statements about indexes, and what becomes of an index in a partition tree.

use std::collections::BTreeMap;

use crate::catalog::{Catalog, Index, Relation, RelationKind};
use crate::sql::ident::{Ident, Name};
use crate::sql::index_text::{self, IndexText};
use crate::sql::names::{IndexSort, Namer};

/// How an index is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// In a transaction, with all partitions.
    Plain,
    /// Outside one, beside running writes.
    Concurrently,
    /// On a partitioned table alone: INVALID until every partition's index is attached.
    Only,
}

/// `body` is everything after the table.
pub(crate) fn create(name: &Ident, table: &Name, unique: bool, how: How, body: &str) -> String {
    let unique = if unique { "UNIQUE " } else { "" };
    let (concurrently, only) = match how {
        How::Plain => ("", ""),
        How::Concurrently => ("CONCURRENTLY ", ""),
        How::Only => ("", "ONLY "),
    };
    format!("CREATE {unique}INDEX {concurrently}{name} ON {only}{table} {body}")
}

/// Drops an index if it is there.
pub(crate) fn drop(index: &Name) -> String {
    format!("DROP INDEX IF EXISTS {index}")
}

/// Drops an index if it is there, outside a transaction.
pub(crate) fn drop_concurrently(index: &Name) -> String {
    format!("DROP INDEX CONCURRENTLY IF EXISTS {index}")
}

/// Rebuilds an index, or all of a table, outside a transaction; `what` is INDEX or TABLE.
pub(crate) fn reindex_concurrently(what: &str, name: &Name) -> String {
    format!("REINDEX {what} CONCURRENTLY {name}")
}

/// Makes a partition's index part of its parent's.
pub(crate) fn attach(parent: &Name, child: &Name) -> String {
    format!("ALTER INDEX {parent} ATTACH PARTITION {child}")
}

/// Everything after the table in an index's definition, as `pg_get_indexdef` or [`create`] writes it: both begin with
/// the same words, so that nothing has to be searched for. `None` for a definition in another form.
/// Source: `pg_get_indexdef_worker` in src/backend/utils/adt/ruleutils.c.
pub(crate) fn body<'d>(table: &Name, index: &'d Index) -> Option<&'d str> {
    let rest = index.definition.strip_prefix(&head(index))?;
    let rest = rest.strip_prefix("ONLY ").unwrap_or(rest);
    rest.strip_prefix(&format!("{table} "))
}

/// Gives the index another name, or its table, in its definition too. One in another form stays as it is.
pub(crate) fn rename(index: &mut Index, table: (&Name, &Name), to: &Ident) {
    let renamed = |index: &Index| {
        let rest = index.definition.strip_prefix(&head(index))?;
        let (only, rest) = rest.strip_prefix("ONLY ").map_or(("", rest), |rest| ("ONLY ", rest));
        let body = rest.strip_prefix(&format!("{} ", table.0))?;
        let name = Index { name: to.clone(), ..index.clone() };
        Some(format!("{}{only}{} {body}", head(&name), table.1))
    };
    if let Some(definition) = renamed(index) {
        index.definition = definition;
    }
    index.name.clone_from(to);
}

fn head(index: &Index) -> String {
    let unique = if index.unique { "UNIQUE " } else { "" };
    format!("CREATE {unique}INDEX {} ON ", index.name)
}

/// Whether two indexes, each with its table, are the same but for name and table.
pub(crate) fn same(one: (&Name, &Index), other: (&Name, &Index)) -> Sameness {
    if !alike(one.1, other.1) {
        return Sameness::Different;
    }
    let text = |(table, index)| body(table, index).and_then(index_text::read);
    match (text(one), text(other)) {
        (Some(one), Some(other)) if one.normal == other.normal => Sameness::Same,
        // Expressions and predicates are not printed as they were written.
        _ if one.1.columns.iter().any(Option::is_none) || one.1.partial => Sameness::Perhaps,
        (Some(one), Some(other)) if one.keys == other.keys => Sameness::Perhaps,
        (None, _) | (_, None) => Sameness::Perhaps,
        _ => Sameness::Different,
    }
}

/// What is known of two indexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sameness {
    /// They are the same.
    Same,
    /// Same columns, but expressions, operator classes, order or options may differ.
    Perhaps,
    /// They are not.
    Different,
}

/// Same columns in the same roles.
fn alike(one: &Index, other: &Index) -> bool {
    one.columns == other.columns
        && one.include == other.include
        && one.uses == other.uses
        && (one.unique, one.primary, one.exclusion, one.partial)
            == (other.unique, other.primary, other.exclusion, other.partial)
}

/// The index of one partition that belongs to an index of the partitioned table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Branch {
    /// The partition.
    pub(crate) table: Name,
    /// Its index, with `inherited` set.
    pub(crate) index: Index,
    /// The index that it is attached to.
    pub(crate) parent: Name,
    /// The partition is itself partitioned.
    pub(crate) partitioned: bool,
    /// The index is there already, and only gets attached.
    pub(crate) exists: bool,
}

impl Branch {
    /// The index by its full name.
    pub(crate) fn name(&self) -> Name {
        self.table.sibling(self.index.name.clone())
    }
}

/// The indexes that an index on a partitioned table brings to its partitions, parents first. Names are those that
/// PostgreSQL chooses; an equal index that a partition has already is taken.
/// Source: `DefineIndex` in src/backend/commands/indexcmds.c.
pub(crate) fn branches(catalog: &Catalog, table: &Name, index: &Index, sort: IndexSort) -> Vec<Branch> {
    let columns = body(table, index)
        .and_then(index_text::read)
        .map_or_else(|| column_names(index), |IndexText { columns, .. }| columns);
    let mut tree = Tree { catalog, columns, sort, namers: BTreeMap::new(), branches: Vec::new() };
    tree.namer(&table.schema).take_relation(&index.name);
    tree.descend(table, index);
    tree.branches
}

/// Column names without the help of the text: expressions are called `expr`.
fn column_names(index: &Index) -> Vec<String> {
    let keys = index.columns.iter().map(|key| key.as_ref().map_or("expr", Ident::as_str));
    keys.chain(index.include.iter().map(Ident::as_str)).map(ToOwned::to_owned).collect()
}

struct Tree<'a> {
    catalog: &'a Catalog,
    columns: Vec<String>,
    sort: IndexSort,
    namers: BTreeMap<Ident, Namer<'a>>,
    branches: Vec<Branch>,
}

impl<'a> Tree<'a> {
    fn namer(&mut self, schema: &Ident) -> &mut Namer<'a> {
        self.namers.entry(schema.clone()).or_insert_with(|| Namer::new(self.catalog, schema))
    }

    fn descend(&mut self, table: &Name, index: &Index) {
        let Some(relation) = self.catalog.relation(table) else { return };
        for partition in &relation.partitions {
            let Some(partition) = self.catalog.relation(partition) else { continue };
            if partition.kind == RelationKind::ForeignTable {
                continue;
            }
            let existing = partition.indexes.iter().find(|candidate| {
                !candidate.inherited
                    && candidate.valid
                    && candidate.constraint.is_some() == index.constraint.is_some()
                    && same((&partition.name, candidate), (table, index)) == Sameness::Same
            });
            let child = match existing {
                Some(found) => Index { inherited: true, ..found.clone() },
                None => {
                    let (columns, sort) = (self.columns.clone(), self.sort);
                    let name = self.namer(&partition.name.schema).index(&partition.name.name, &columns, sort);
                    let body = body(table, index).unwrap_or_default();
                    Index {
                        definition: create(&name, &partition.name, index.unique, How::Plain, body),
                        constraint: index.constraint.as_ref().map(|_| name.clone()),
                        name,
                        inherited: true,
                        ..index.clone()
                    }
                }
            };
            self.branches.push(Branch {
                table: partition.name.clone(),
                index: child.clone(),
                parent: table.sibling(index.name.clone()),
                partitioned: partition.kind == RelationKind::PartitionedTable,
                exists: existing.is_some(),
            });
            self.descend(&partition.name, &child);
        }
    }
}

/// An index of a partition that may be the one PostgreSQL would take instead of making another, where the catalog does
/// not show whether it is.
pub(crate) fn doubtful<'a>(
    catalog: &'a Catalog,
    table: &Name,
    index: &Index,
) -> Option<(&'a Relation, &'a Index)> {
    catalog.tree(table).into_iter().skip(1).find_map(|partition| {
        let found = partition.indexes.iter().find(|candidate| {
            !candidate.inherited
                && candidate.constraint.is_some() == index.constraint.is_some()
                && same((&partition.name, candidate), (table, index)) == Sameness::Perhaps
        })?;
        Some((partition, found))
    })
}

/// The indexes of partitions that are attached to this one, at any depth, parents first. The catalog does not say which
/// parent index an attached one has, but it has the same keys and options.
pub(crate) fn attached(catalog: &Catalog, table: &Relation, index: &Index) -> Vec<Branch> {
    let mut found = Vec::new();
    for partition in table.partitions.iter().filter_map(|partition| catalog.relation(partition)) {
        let twins = |wanted: Sameness| {
            partition.indexes.iter().find(move |child| {
                child.inherited
                    && child.constraint.is_some() == index.constraint.is_some()
                    && same((&partition.name, child), (&table.name, index)) == wanted
            })
        };
        if let Some(child) = twins(Sameness::Same).or_else(|| twins(Sameness::Perhaps)) {
            found.push(Branch {
                table: partition.name.clone(),
                index: child.clone(),
                parent: table.name.sibling(index.name.clone()),
                partitioned: partition.kind == RelationKind::PartitionedTable,
                exists: false,
            });
            found.extend(attached(catalog, partition, child));
        }
    }
    found
}
