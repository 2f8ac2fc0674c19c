//! DROP of everything but indexes and columns: the kinds that plan it, an object each.

use pg_query::protobuf::{DropStmt, ObjectType};
use pg_query::{Node, NodeEnum};

use crate::catalog::{ConstraintKind, Object, Relation, RelationKind, TypeKind};
use crate::change::Change;
use crate::kind::drop_object::DropObject;
use crate::kind::drop_table::DropTable;
use crate::kind::drop_trigger::DropTrigger;
use crate::kind::drop_view::DropView;
use crate::sql::ast;
use crate::sql::ident::{Ident, Name};
use crate::sql::lower::alter_table::is_cascade;
use crate::sql::lower::{Lower, Lowered, kinds, policy, refused_drop};
use crate::sql::types;

/// DROP: no change where IF EXISTS finds nothing; planned where a kind does it; otherwise a refusal.
pub(crate) fn lower(lower: &Lower, drop: &DropStmt) -> Lowered {
    let kind = kinds::drop(drop.remove_type());
    let Some(run) = refused_drop::run(lower, drop, kind)? else { return Ok(Vec::new()) };
    match changes(lower, drop, kind) {
        Some(changes) => Ok(changes),
        None => Err(refused_drop::refused(lower, drop, kind, run)),
    }
}

/// `None` where some object has no kind that plans it.
fn changes(lower: &Lower, drop: &DropStmt, kind: &'static str) -> Option<Vec<Change>> {
    match drop.remove_type() {
        ObjectType::ObjectTable => tables(lower, drop),
        ObjectType::ObjectView | ObjectType::ObjectMatview => views(lower, drop, kind),
        ObjectType::ObjectTrigger => triggers(lower, drop),
        ObjectType::ObjectPolicy | ObjectType::ObjectRule => policy::drop(lower, drop),
        ObjectType::ObjectFunction
        | ObjectType::ObjectProcedure
        | ObjectType::ObjectRoutine
        | ObjectType::ObjectAggregate
        | ObjectType::ObjectType
        | ObjectType::ObjectDomain
        | ObjectType::ObjectSequence => objects(lower, drop, kind),
        _ => None,
    }
}

/// The relations of the statement that exist.
fn relations<'a>(lower: &Lower<'a>, drop: &DropStmt) -> Vec<&'a Relation> {
    let found = drop.objects.iter().filter_map(|object| {
        let (schema, name) = ast::object_name(Some(object));
        lower.catalog.resolve(schema.as_ref(), &name)
    });
    found.collect()
}

/// Tables that refer to others come before these. CASCADE is planned only where it has nothing to do.
fn tables(lower: &Lower, drop: &DropStmt) -> Option<Vec<Change>> {
    let mut tables = relations(lower, drop);
    let plannable =
        |table: &&Relation| matches!(table.kind, RelationKind::Table | RelationKind::PartitionedTable);
    if !tables.iter().all(plannable) {
        return None;
    }
    let refers = |from: &Relation, to: &Relation| {
        from.constraints.iter().any(
            |constraint| matches!(&constraint.kind, ConstraintKind::ForeignKey { table, .. } if *table == to.name),
        )
    };
    let mut ordered: Vec<&Relation> = Vec::new();
    while !tables.is_empty() {
        let free =
            |table: &&Relation| !tables.iter().any(|other| other.name != table.name && refers(other, table));
        let next = tables.iter().position(free).unwrap_or_default();
        ordered.push(tables.remove(next));
    }
    let together: Vec<Name> = ordered.iter().map(|table| table.name.clone()).collect();
    let changes: Vec<Change> = ordered
        .iter()
        .map(|table| Change::DropTable(DropTable { table: table.name.clone(), together: together.clone() }))
        .collect();
    unhindered(lower, drop, changes)
}

/// Views that read others come before these.
fn views(lower: &Lower, drop: &DropStmt, kind: &'static str) -> Option<Vec<Change>> {
    let mut views = relations(lower, drop);
    let plannable =
        |view: &&Relation| matches!(view.kind, RelationKind::View | RelationKind::MaterializedView);
    if !views.iter().all(plannable) {
        return None;
    }
    if is_cascade(drop.behavior) {
        // Nothing but views, each of which is then planned and told by its name.
        let mut more = Vec::new();
        if !views.iter().all(|view| refused_drop::dependent_views(lower, view, &mut more)) {
            return None;
        }
        for name in more {
            views.extend(
                lower.catalog.relation(&name).filter(|view| !views.iter().any(|v| v.name == view.name)),
            );
        }
    }
    let reads = |view: &Relation, read: &Relation| read.dependents.iter().any(|d| d.is_view(&view.name));
    let mut ordered: Vec<&Relation> = Vec::new();
    while !views.is_empty() {
        let free =
            |view: &&Relation| !views.iter().any(|other| other.name != view.name && reads(other, view));
        let next = views.iter().position(free).unwrap_or_default();
        ordered.push(views.remove(next));
    }
    let together: Vec<Name> = ordered.iter().map(|view| view.name.clone()).collect();
    let changes: Vec<Change> = ordered
        .iter()
        .map(|view| Change::DropView(DropView { kind, view: view.name.clone(), together: together.clone() }))
        .collect();
    unhindered(lower, drop, changes)
}

/// CASCADE takes along what nobody named: planned only where there is nothing of that sort.
fn unhindered(lower: &Lower, drop: &DropStmt, changes: Vec<Change>) -> Option<Vec<Change>> {
    let hindered = |change: &Change| change.kind().facts(&lower.ctx()).fails.is_some();
    (!is_cascade(drop.behavior) || !changes.iter().any(hindered)).then_some(changes)
}

fn triggers(lower: &Lower, drop: &DropStmt) -> Option<Vec<Change>> {
    let mut changes = Vec::new();
    for object in &drop.objects {
        let Some(NodeEnum::List(list)) = ast::node(Some(object)) else { return None };
        let (own, table) = list.items.split_last()?;
        let name = Ident::from(ast::node(Some(own)).and_then(ast::string)?);
        let (schema, table) = ast::qualified(table);
        let Some(table) = lower.catalog.resolve(schema.as_ref(), &table) else { continue };
        if table.trigger(&name).is_some() {
            changes.push(Change::DropTrigger(DropTrigger { table: table.name.clone(), name }));
        }
    }
    Some(changes)
}

fn objects(lower: &Lower, drop: &DropStmt, kind: &'static str) -> Option<Vec<Change>> {
    let mut changes = Vec::new();
    for object in &drop.objects {
        let Some(found) = self::object(lower, drop.remove_type(), object)? else { continue };
        let (Object::Function(name) | Object::Type(name) | Object::Sequence(name)) = &found;
        let sql = format!("{} {name}", kinds::words(kind));
        changes.push(Change::DropObject(DropObject { kind, object: found, sql }));
    }
    unhindered(lower, drop, changes)
}

/// The object, `Some(None)` if it does not exist, `None` if no kind plans it.
fn object(lower: &Lower, sort: ObjectType, object: &Node) -> Option<Option<Object>> {
    let catalog = lower.catalog;
    let (schema, name) = ast::object_name(Some(object));
    Some(match sort {
        ObjectType::ObjectSequence => {
            lower.sequence(schema.as_ref(), &name).map(|sequence| Object::Sequence(sequence.name.clone()))
        }
        ObjectType::ObjectType | ObjectType::ObjectDomain => {
            let name = match schema {
                Some(schema) => Some(Name { schema, name }),
                None => types::resolve(catalog, &name),
            };
            let Some(known) = name.and_then(|name| catalog.types.get(&name)) else { return Some(None) };
            // Ranges have functions and a multirange of their own, which would stay behind.
            let composite = catalog
                .relation(&known.name)
                .is_some_and(|relation| relation.kind == RelationKind::CompositeType);
            let plannable = matches!(known.kind, TypeKind::Enum(_) | TypeKind::Domain { .. }) || composite;
            plannable.then(|| Some(Object::Type(known.name.clone())))?
        }
        _ => {
            let mut named = refused_drop::overloads(catalog, schema.as_ref(), &name);
            match (named.pop(), named.is_empty()) {
                (Some(only), true) => Some(Object::Function(only.clone())),
                (Some(_), false) => return None,
                (None, _) => None,
            }
        }
    })
}
