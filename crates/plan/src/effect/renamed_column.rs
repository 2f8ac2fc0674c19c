//! A column under another name: everything that names it follows, as on the server, where it is known by its number.

use crate::catalog::{Catalog, ConstraintKind, Relation};
use crate::sql::ident::{Ident, Name};
use crate::sql::renamed as text;

/// In the table, its partitions, foreign keys of others, and the sequences that the column owns.
pub(super) fn follow(catalog: &mut Catalog, table: &Name, old: &Ident, new: &Ident) {
    super::for_tree(catalog, table, &mut |relation| own(relation, old, new));
    for relation in catalog.relations.values_mut() {
        for constraint in &mut relation.constraints {
            if let ConstraintKind::ForeignKey { table: to, columns } = &mut constraint.kind
                && to == table
            {
                columns.iter_mut().for_each(|name| rename(name, old, new));
            }
        }
    }
    for sequence in catalog.sequences.values_mut() {
        if let Some((owner, column)) = &mut sequence.owned_by
            && owner == table
        {
            rename(column, old, new);
        }
    }
}

fn rename(name: &mut Ident, old: &Ident, new: &Ident) {
    if name == old {
        *name = new.clone();
    }
}

fn own(relation: &mut Relation, old: &Ident, new: &Ident) {
    relation.columns.iter_mut().for_each(|column| rename(&mut column.name, old, new));
    for constraint in relation.constraints.iter_mut().filter(|constraint| constraint.columns.contains(old)) {
        constraint.columns.iter_mut().for_each(|name| rename(name, old, new));
        if let Some(definition) = text::constraint(&constraint.definition, old, new) {
            constraint.definition = definition;
        }
    }
    for index in relation.indexes.iter_mut().filter(|index| index.uses.contains(old)) {
        index.columns.iter_mut().flatten().for_each(|name| rename(name, old, new));
        index.include.iter_mut().for_each(|name| rename(name, old, new));
        index.uses.remove(old);
        index.uses.insert(new.clone());
        if let Some(definition) = text::index(&index.definition, old, new) {
            index.definition = definition;
        }
    }
    for trigger in &mut relation.triggers {
        trigger.update_of.iter_mut().for_each(|name| rename(name, old, new));
    }
    for dependent in &mut relation.dependents {
        dependent.column.iter_mut().for_each(|name| rename(name, old, new));
    }
    relation.partition_key.iter_mut().for_each(|name| rename(name, old, new));
}
