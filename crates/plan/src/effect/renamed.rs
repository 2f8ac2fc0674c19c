//! A relation under another name. On the server everything refers to it by oid and so follows; here it is named, and followed.

use super::Part;
use crate::catalog::{Catalog, ConstraintKind, Object, Relation, User};
use crate::ddl;
use crate::sql::ident::{Ident, Name};

/// Renames it, or moves it to another schema. Its indexes and owned sequences go along.
pub(super) fn relation(catalog: &mut Catalog, from: &Name, to: &Name) {
    let Some(mut relation) = catalog.relations.remove(from) else { return };
    relation.name.clone_from(to);
    for index in &mut relation.indexes {
        let name = index.name.clone();
        ddl::index::rename(index, (from, to), &name);
    }
    catalog.relations.insert(to.clone(), relation);
    let follow = |name: &mut Name| {
        if name == from {
            name.clone_from(to);
        }
    };
    // As `pg_describe_object` has it: qualified where the search path does not find it.
    let visible = catalog.server.search_path.contains(&to.schema);
    let called = if visible { to.name.to_string() } else { to.to_string() };
    for relation in catalog.relations.values_mut() {
        for constraint in &mut relation.constraints {
            if let ConstraintKind::ForeignKey { table, .. } = &mut constraint.kind {
                follow(table);
            }
        }
        relation.partition_of.iter_mut().for_each(follow);
        relation.partitions.iter_mut().for_each(follow);
        for dependent in relation.dependents.iter_mut().filter(|dependent| dependent.is_view(from)) {
            let materialized = dependent.description.starts_with("materialized ");
            dependent.description =
                format!("{}view {called}", if materialized { "materialized " } else { "" });
        }
    }
    forget_texts(catalog, to);
    for used in &mut catalog.uses {
        match &mut used.by {
            User::Column(table, _)
            | User::Default(table, _)
            | User::Constraint(table, _)
            | User::Index(table, _)
            | User::Trigger(table, _)
            | User::Relation(table) => follow(table),
            User::Other => {}
        }
    }
    sequences(catalog, from, to);
}

/// The statements that make a view anew name what it reads: its own, and those of the views over it, are out of date.
fn forget_texts(catalog: &mut Catalog, renamed: &Name) {
    let dependents =
        catalog.relation(renamed).map(|relation| relation.dependents.clone()).unwrap_or_default();
    for relation in catalog.relations.values_mut() {
        if relation.name == *renamed || dependents.iter().any(|dependent| dependent.is_view(&relation.name)) {
            relation.anew.clear();
        }
    }
}

fn sequences(catalog: &mut Catalog, from: &Name, to: &Name) {
    let owned: Vec<Name> = catalog.sequences_of(from).map(|sequence| sequence.name.clone()).collect();
    for name in owned {
        let Some(mut sequence) = catalog.sequences.remove(&name) else { continue };
        sequence.name.schema.clone_from(&to.schema);
        if let Some((table, _)) = &mut sequence.owned_by {
            table.clone_from(to);
        }
        for used in &mut catalog.uses {
            if used.of == Object::Sequence(name.clone()) {
                used.of = Object::Sequence(sequence.name.clone());
            }
        }
        catalog.sequences.insert(sequence.name.clone(), sequence);
    }
}

/// Renames a constraint, an index or a trigger.
pub(super) fn part(catalog: &mut Catalog, table: &Name, part: Part, from: &Ident, to: &Ident) {
    let follows = catalog.server.version.trigger_renames_follow_partitions();
    let Some(relation) = catalog.relation(table) else { return };
    let whole = match part {
        // Keys and foreign keys have names of their own in partitions.
        Part::Constraint => {
            relation.constraint(from).is_some_and(|constraint| constraint.kind == ConstraintKind::Check)
        }
        Part::Index => false,
        Part::Trigger => follows && relation.trigger(from).is_some_and(|trigger| trigger.row),
    };
    let mut rename = |relation: &mut Relation| match part {
        Part::Constraint | Part::Index => {
            let stands = relation.indexes.iter().any(|index| index.constraint.as_ref() == Some(from));
            if part == Part::Constraint || stands {
                for constraint in relation.constraints.iter_mut().filter(|known| known.name == *from) {
                    constraint.name.clone_from(to);
                }
            }
            for index in &mut relation.indexes {
                let behind = index.constraint.as_ref() == Some(from);
                if behind {
                    index.constraint = Some(to.clone());
                }
                if behind || (part == Part::Index && index.name == *from) {
                    ddl::index::rename(index, (&relation.name, &relation.name), to);
                }
            }
        }
        Part::Trigger => {
            for trigger in relation.triggers.iter_mut().filter(|known| known.name == *from) {
                trigger.name.clone_from(to);
            }
        }
    };
    if whole {
        super::for_tree(catalog, table, &mut rename);
    } else if let Some(relation) = catalog.relations.get_mut(table) {
        rename(relation);
    }
}

#[cfg(test)]
mod tests {
    use crate::catalog::ConstraintKind;
    use crate::effect::{Effect, Part, fold};
    use crate::kind::shared::proving::catalog;
    use crate::sql::ident::{Ident, Name};

    #[test]
    fn an_index_is_written_with_its_new_names() {
        let before = catalog("CREATE TABLE t (a int UNIQUE, b int); CREATE INDEX i ON t (b)");
        let (from, to) = (Name::new("public", "t"), Name::new("public", "Other"));
        let part = |part, from: &str, name: &str| Effect::PartRenamed {
            table: to.clone(),
            part,
            from: Ident::new(from),
            to: Ident::new(name),
        };
        let after = fold(
            &before,
            &[
                Effect::RelationRenamed { from, to: to.clone() },
                part(Part::Index, "i", "J"),
                part(Part::Constraint, "t_a_key", "k"),
            ],
        );
        let indexes = &after.relation(&to).expect("is there").indexes;
        let definitions: Vec<&str> = indexes.iter().map(|index| index.definition.as_str()).collect();
        assert_eq!(
            definitions,
            [
                "CREATE UNIQUE INDEX k ON public.\"Other\" USING btree (a)",
                "CREATE INDEX \"J\" ON public.\"Other\" (b)",
            ]
        );
    }

    #[test]
    fn what_refers_to_it_follows() {
        let before = catalog(
            "CREATE TABLE users (id serial PRIMARY KEY, boss int REFERENCES users) PARTITION BY LIST (id);
             CREATE TABLE orders (id int, user_id int REFERENCES users);
             CREATE VIEW ids AS SELECT id FROM users",
        );
        let (from, to) = (Name::new("public", "users"), Name::new("app", "people"));
        let after = fold(&before, &[Effect::RelationRenamed { from: from.clone(), to: to.clone() }]);
        assert!(after.relation(&from).is_none());
        let people = after.relation(&to).expect("is there");
        assert!(people.dependents.iter().any(|dependent| dependent.is_view(&Name::new("public", "ids"))));
        for table in [&to, &Name::new("public", "orders")] {
            let keys = after.relation(table).expect("is there").constraints.iter();
            let mut keys = keys.filter_map(|key| match &key.kind {
                ConstraintKind::ForeignKey { table, .. } => Some(table),
                _ => None,
            });
            assert!(keys.all(|referenced| *referenced == to));
        }
        let sequence = after.sequences.get(&Name::new("app", "users_id_seq")).expect("went along");
        assert_eq!(sequence.owned_by, Some((to.clone(), Ident::new("id"))));
        let back = fold(&after, &[Effect::RelationRenamed { from: to, to: from.clone() }]);
        assert_eq!(back.relation(&from), before.relation(&from));
        assert_eq!(back.sequences, before.sequences);
    }
}
