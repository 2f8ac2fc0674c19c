//! DROP as written, of everything but indexes and columns: what it locks and does, and why what no kind plans is refused.

use pg_query::protobuf::{DropStmt, ObjectType};
use pg_query::{Node, NodeEnum};

use crate::catalog::{Catalog, ConstraintKind, DependentKind, Relation, RelationKind};
use crate::diagnostic::Code;
use crate::effect::Effect;
use crate::pg::lock::LockMode;
use crate::plan::LockClaim;
use crate::sql::ast;
use crate::sql::ident::{Ident, Name};
use crate::sql::lower::alter_table::is_cascade;
use crate::sql::lower::{Lower, Refused, Run, kinds, tree, written};
use crate::sql::types;

/// What the statement as written locks and does; `None` where IF EXISTS finds nothing.
pub(crate) fn run(lower: &Lower, drop: &DropStmt, kind: &'static str) -> Result<Option<Run>, Refused> {
    let mut run = Run::default();
    let mut found = 0;
    for object in &drop.objects {
        match self::object(lower, kind, drop, object)? {
            Some(more) => {
                found += 1;
                run.locks.extend(more.locks);
                run.effects.extend(more.effects);
            }
            None if drop.missing_ok => {}
            None => {
                let (schema, name) = ast::object_name(Some(object));
                let reason = format!("{} does not exist", written(schema.as_ref(), &name));
                let hint = "correct the name, or check the search_path";
                return Err(lower.will_fail(kind, "42704", reason, hint, None));
            }
        }
    }
    Ok((found > 0).then_some(run))
}

/// The refusal, for what no kind plans.
pub(crate) fn refused(lower: &Lower, drop: &DropStmt, kind: &'static str, run: Run) -> Refused {
    let cascade = is_cascade(drop.behavior);
    let (reason, way_out) = match drop.remove_type() {
        ObjectType::ObjectTable | ObjectType::ObjectView | ObjectType::ObjectMatview if cascade => (
            "CASCADE drops more than is named here, under ACCESS EXCLUSIVE on every table it touches, and running code that uses any of it fails from that instant",
            "drop what depends on it first, each by a statement of its own, and leave CASCADE out",
        ),
        ObjectType::ObjectSchema
        | ObjectType::ObjectExtension
        | ObjectType::ObjectType
        | ObjectType::ObjectDomain => (
            "with CASCADE it takes ACCESS EXCLUSIVE on every dependent table and drops columns, and running code that uses it fails from that instant",
            "drop what depends on it first, each by a statement of its own; then allow it",
        ),
        _ => (
            "running code that uses it fails from that instant; dropping at contract is not built yet",
            "drop it when no running code uses it any more, and allow it",
        ),
    };
    let names: Vec<String> = drop
        .objects
        .iter()
        .map(|object| {
            let (schema, name) = ast::object_name(Some(object));
            written(schema.as_ref(), &name)
        })
        .collect();
    let reason = format!("{} {}: {reason}", kinds::words(kind), names.join(", "));
    lower.refuse(kind, Code::NotYet, reason, way_out, run)
}

/// What dropping one object locks and does; `None` if it does not exist.
fn object(lower: &Lower, kind: &'static str, drop: &DropStmt, object: &Node) -> Result<Option<Run>, Refused> {
    let catalog = lower.catalog;
    let cascade = is_cascade(drop.behavior);
    let (schema, name) = ast::object_name(Some(object));
    let plain = Run::default();
    Ok(match drop.remove_type() {
        ObjectType::ObjectTable
        | ObjectType::ObjectView
        | ObjectType::ObjectMatview
        | ObjectType::ObjectForeignTable => match catalog.resolve(schema.as_ref(), &name) {
            Some(table) => Some(relation(lower, table, cascade)),
            None if drop.missing_ok => None,
            None => return Err(lower.missing_relation(kind, schema.as_ref(), &name, None)),
        },
        ObjectType::ObjectTrigger | ObjectType::ObjectPolicy | ObjectType::ObjectRule => {
            on_table(lower, kind, drop, object)?
        }
        ObjectType::ObjectSequence => {
            let found = lower.sequence(schema.as_ref(), &name);
            found.map(|sequence| plain.effect(Effect::SequenceGone(sequence.name.clone())))
        }
        ObjectType::ObjectType | ObjectType::ObjectDomain => {
            let found = match schema {
                Some(schema) => Some(Name { schema, name }),
                None => types::resolve(catalog, &name),
            };
            found.filter(|name| catalog.types.contains_key(name)).map(|name| {
                let run = plain.effect(Effect::TypeGone(name));
                if cascade { run.unknown(kind) } else { run }
            })
        }
        ObjectType::ObjectFunction
        | ObjectType::ObjectProcedure
        | ObjectType::ObjectRoutine
        | ObjectType::ObjectAggregate => {
            let overloads = overloads(catalog, schema.as_ref(), &name);
            match overloads[..] {
                [] => None,
                [only] if !cascade => Some(plain.effect(Effect::FunctionGone(only.clone()))),
                _ => Some(plain.unknown(kind)),
            }
        }
        ObjectType::ObjectSchema => catalog.schemas.contains(&name).then(|| plain.unknown(kind)),
        ObjectType::ObjectExtension => catalog.extensions.contains(&name).then(|| plain.unknown(kind)),
        // Not modelled: whether it exists is not known.
        _ => Some(if cascade { plain.unknown(kind) } else { plain }),
    })
}

/// Functions of this name, qualified or on the search path.
pub(crate) fn overloads<'a>(catalog: &'a Catalog, schema: Option<&Ident>, name: &Ident) -> Vec<&'a Name> {
    let seen = |of: &Ident| match schema {
        Some(schema) => of == schema,
        None => catalog.server.search_path.contains(of),
    };
    let named = catalog.functions.iter().map(|function| &function.name);
    named.filter(|function| function.name == *name && seen(&function.schema)).collect()
}

fn relation(lower: &Lower, table: &Relation, cascade: bool) -> Run {
    let mut run = Run::on(lower.catalog, table);
    let mut known = true;
    for constraint in &table.constraints {
        if let ConstraintKind::ForeignKey { table: referenced, .. } = &constraint.kind {
            claim(&mut run, referenced);
        }
    }
    for (child, _) in lower.catalog.incoming_foreign_keys(&table.name) {
        claim(&mut run, &child.name);
    }
    let mut views = Vec::new();
    for gone in tree(lower.catalog, table, LockMode::AccessExclusive).into_iter().rev() {
        if cascade && let Some(relation) = lower.catalog.relation(&gone.relation) {
            known = dependent_views(lower, relation, &mut views) && known;
        }
        run.effects.push(Effect::RelationGone(gone.relation));
    }
    for view in views {
        claim(&mut run, &view);
        run.effects.insert(0, Effect::RelationGone(view));
    }
    if known { run } else { run.unknown("drop_table") }
}

/// Views that go with CASCADE, those on them too; false where something else goes with it.
pub(super) fn dependent_views(lower: &Lower, relation: &Relation, views: &mut Vec<Name>) -> bool {
    let mut known = true;
    for dependent in relation.dependents.iter().filter(|dependent| !dependent.automatic) {
        let view = lower.catalog.relations.values().find(|view| {
            matches!(view.kind, RelationKind::View | RelationKind::MaterializedView)
                && dependent.is_view(&view.name)
        });
        match (dependent.kind, view) {
            (DependentKind::ForeignKey | DependentKind::Publication | DependentKind::Statistics, _) => {}
            (DependentKind::View, Some(view)) if views.contains(&view.name) => {}
            (DependentKind::View, Some(view)) => {
                views.push(view.name.clone());
                known = dependent_views(lower, view, views) && known;
            }
            _ => known = false,
        }
    }
    known
}

fn claim(run: &mut Run, name: &Name) {
    if !run.locks.iter().any(|lock| lock.relation == *name) {
        run.locks.push(LockClaim { relation: name.clone(), mode: LockMode::AccessExclusive });
    }
}

/// Triggers, policies and rules: the list is the table's name and then their own.
fn on_table(
    lower: &Lower,
    kind: &'static str,
    drop: &DropStmt,
    object: &Node,
) -> Result<Option<Run>, Refused> {
    let Some(NodeEnum::List(list)) = ast::node(Some(object)) else { return Ok(None) };
    let Some((own, table)) = list.items.split_last() else { return Ok(None) };
    let own = match ast::node(Some(own)).and_then(ast::string) {
        Some(own) => Ident::from(own),
        None => return Ok(None),
    };
    let (schema, name) = ast::qualified(table);
    let Some(table) = lower.catalog.resolve(schema.as_ref(), &name) else {
        if drop.missing_ok {
            return Ok(None);
        }
        return Err(lower.missing_relation(kind, schema.as_ref(), &name, None));
    };
    let own_lock = LockClaim { relation: table.name.clone(), mode: LockMode::AccessExclusive };
    match drop.remove_type() {
        ObjectType::ObjectPolicy => {
            let gone = Effect::PolicyGone { table: table.name.clone(), policy: own.clone() };
            let run = Run { locks: vec![own_lock], ..Run::default() }.effect(gone);
            return Ok((table.policy(&own).is_some()).then_some(run));
        }
        ObjectType::ObjectRule => {
            let gone = Effect::RuleGone { table: table.name.clone(), rule: own.clone() };
            let run = Run { locks: vec![own_lock], ..Run::default() }.effect(gone);
            return Ok((table.rule(&own).is_some()).then_some(run));
        }
        _ => {}
    }
    let run = Run::on(lower.catalog, table);
    let known = table.triggers.iter().any(|trigger| trigger.name == own);
    Ok(known.then(|| run.effect(Effect::TriggerGone { table: table.name.clone(), trigger: own })))
}
