//! RENAME: what it does to the catalog, and why it is refused.

use pg_query::protobuf::{AlterObjectSchemaStmt, ObjectType, RenameStmt};

use crate::catalog::{Catalog, ConstraintKind, Function, Relation, RelationKind, Sequence, Type};
use crate::change::Change;
use crate::diagnostic::Code;
use crate::effect::Effect;
use crate::kind::as_written::AsWritten;
use crate::kind::rename_column::RenameColumn;
use crate::pg::lock::LockMode;
use crate::plan::LockClaim;
use crate::sql::ast;
use crate::sql::ident::{Ident, Name};
use crate::sql::lower::alter_table::changed;
use crate::sql::lower::{Lower, Lowered, Refused, Run, index, kinds, written};

/// RENAME: no change where IF EXISTS finds nothing, otherwise a refusal.
pub(crate) fn lower(lower: &Lower, statement: &RenameStmt) -> Lowered {
    if let Some(var) = &statement.relation
        && statement.rename_type() == ObjectType::ObjectIndex
    {
        let (schema, name) = ast::table_name(var);
        if let Some(found) = index::find(lower, schema.as_ref(), &name) {
            return Ok(index(lower, &found, statement));
        }
    }
    if let Some(change) = column(lower, statement) {
        return Ok(vec![change]);
    }
    match refused(lower, statement) {
        Some(refused) if refused.refusal.code == Code::WillFail && statement.missing_ok => Ok(Vec::new()),
        Some(refused) => Err(refused),
        None => Ok(Vec::new()),
    }
}

/// A column of a table; those of views and composite types are renamed at once, or not at all.
fn column(lower: &Lower, statement: &RenameStmt) -> Option<Change> {
    let var = statement.relation.as_ref().filter(|_| statement.rename_type() == ObjectType::ObjectColumn)?;
    let (schema, name) = ast::table_name(var);
    let table = lower.catalog.resolve(schema.as_ref(), &name)?;
    let column = Ident::from(statement.subname.as_str());
    let kind = matches!(table.kind, RelationKind::Table | RelationKind::PartitionedTable);
    (kind && table.column(&column).is_some()).then(|| {
        Change::RenameColumn(RenameColumn {
            table: table.name.clone(),
            column,
            to: Ident::from(statement.newname.as_str()),
            only: !var.inh,
        })
    })
}

/// SET SCHEMA, likewise.
pub(crate) fn set_schema(lower: &Lower, alter: &AlterObjectSchemaStmt) -> Lowered {
    let kind = "set_schema";
    let mut run = Run::default();
    if let Some(var) = &alter.relation {
        let (schema, name) = ast::table_name(var);
        match lower.catalog.resolve(schema.as_ref(), &name) {
            Some(table) => {
                run = Run::on(lower.catalog, table);
                let new = Name { schema: Ident::from(alter.newschema.as_str()), name };
                run.effects = relation(lower.catalog, &table.name, &new);
            }
            None if alter.object_type() == ObjectType::ObjectSequence => run = run.unknown(kind),
            None if alter.missing_ok => return Ok(Vec::new()),
            None => return Err(lower.missing_relation(kind, schema.as_ref(), &name, None)),
        }
    } else {
        run = run.unknown(kind);
    }
    Err(lower.refuse(
        kind,
        Code::NotYet,
        format!("SET SCHEMA {}: it moves the object under its users: whoever names it with its schema, or has another search_path, fails from that instant", alter.newschema),
        "make it anew in the other schema, and drop the old one when nobody uses it any more",
        run,
    ))
}

fn refused(lower: &Lower, statement: &RenameStmt) -> Option<Refused> {
    let kind = kinds::rename(statement.rename_type());
    let new = Ident::from(statement.newname.as_str());
    let old = Ident::from(statement.subname.as_str());
    let Some(var) = &statement.relation else {
        let run = Run { effects: loose(lower, statement, &new), ..Run::default() };
        return Some(at_once(lower, statement, run));
    };
    let (schema, name) = ast::table_name(var);
    let Some(table) = lower.catalog.resolve(schema.as_ref(), &name) else {
        if let Some(sequence) = lower.sequence(schema.as_ref(), &name) {
            let owned_by = sequence.owned_by.clone();
            let renamed = Sequence { name: sequence.name.sibling(new), owned_by };
            let run = Run::default()
                .effect(Effect::SequenceGone(sequence.name.clone()))
                .effect(Effect::Sequence(renamed));
            return Some(at_once(lower, statement, run));
        }
        return Some(lower.missing_relation(kind, schema.as_ref(), &name, None));
    };
    let run = Run::on(lower.catalog, table);
    Some(match statement.rename_type() {
        ObjectType::ObjectColumn => {
            if table.column(&old).is_none() {
                return Some(lower.missing_column(kind, table, &old));
            }
            let to = new.clone();
            let run = run.effect(Effect::ColumnRenamed { table: table.name.clone(), column: old, to });
            at_once(lower, statement, run)
        }
        ObjectType::ObjectTable
        | ObjectType::ObjectView
        | ObjectType::ObjectMatview
        | ObjectType::ObjectForeignTable => {
            let effects = relation(lower.catalog, &table.name, &table.name.sibling(new.clone()));
            lower.refuse(
                kind,
                Code::NotYet,
                format!(
                    "running code that names {} fails from the instant of the renaming; the online form (the new name as an updatable view first) is not built yet",
                    table.name
                ),
                format!("create a view {new} over it, let the code move over, and rename when nobody uses the old name"),
                Run { effects, ..run },
            )
        }
        ObjectType::ObjectTabconstraint => {
            let effects = changed(lower.catalog, &table.name, |table| {
                for constraint in table.constraints.iter_mut().filter(|c| c.name == old) {
                    constraint.name = new.clone();
                }
                for index in table.indexes.iter_mut().filter(|i| i.constraint.as_ref() == Some(&old)) {
                    index.name = new.clone();
                    index.constraint = Some(new.clone());
                }
            });
            let mut run = Run { effects, ..run };
            if table.indexes.iter().any(|index| index.constraint.as_ref() == Some(&old)) {
                let relation = table.name.sibling(old.clone());
                run.locks.push(LockClaim { relation, mode: LockMode::ShareUpdateExclusive });
            }
            at_once(lower, statement, run)
        }
        ObjectType::ObjectTrigger => {
            let effects = changed(lower.catalog, &table.name, |table| {
                for trigger in table.triggers.iter_mut().filter(|t| t.name == old) {
                    trigger.name = new.clone();
                }
            });
            at_once(lower, statement, Run { effects, ..run })
        }
        _ => at_once(lower, statement, run),
    })
}

/// Effects of a new name of what is no relation.
fn loose(lower: &Lower, statement: &RenameStmt, new: &Ident) -> Vec<Effect> {
    let (schema, name) = ast::object_name(statement.object.as_deref());
    let visible = |known: &Name| {
        known.name == name
            && match &schema {
                Some(schema) => known.schema == *schema,
                None => lower.catalog.server.search_path.contains(&known.schema),
            }
    };
    match statement.rename_type() {
        ObjectType::ObjectType | ObjectType::ObjectDomain => lower
            .catalog
            .types
            .values()
            .filter(|known| visible(&known.name))
            .take(1)
            .flat_map(|known| {
                let renamed = Type { name: known.name.sibling(new.clone()), kind: known.kind.clone() };
                [Effect::TypeGone(known.name.clone()), Effect::Type(renamed)]
            })
            .collect(),
        ObjectType::ObjectFunction | ObjectType::ObjectProcedure | ObjectType::ObjectRoutine => {
            let known: Vec<&Function> =
                lower.catalog.functions.iter().filter(|known| visible(&known.name)).collect();
            match known[..] {
                [only] => {
                    let renamed = Function { name: only.name.sibling(new.clone()), ..only.clone() };
                    vec![Effect::FunctionGone(only.name.clone()), Effect::Function(renamed)]
                }
                _ => vec![Effect::Unknown(kinds::rename(statement.rename_type()).to_owned())],
            }
        }
        ObjectType::ObjectSchema => {
            vec![Effect::Unknown(kinds::rename(statement.rename_type()).to_owned())]
        }
        // The rest is not in the catalog.
        _ => Vec::new(),
    }
}

/// ALTER INDEX … RENAME takes SHARE UPDATE EXCLUSIVE on the index for a moment, and nothing that runs names an index.
/// Source: RenameRelation in src/backend/commands/tablecmds.c (12 and later).
fn index(lower: &Lower, old: &Name, statement: &RenameStmt) -> Vec<Change> {
    let new = Ident::from(statement.newname.as_str());
    let Some((table, index)) = lower.catalog.index(old) else { return Vec::new() };
    let effects = changed(lower.catalog, &table.name, |relation| {
        for known in relation.indexes.iter_mut().filter(|known| known.name == index.name) {
            known.name = new.clone();
            if let Some(constraint) = &mut known.constraint {
                *constraint = new.clone();
            }
        }
        for known in
            relation.constraints.iter_mut().filter(|known| index.constraint.as_ref() == Some(&known.name))
        {
            known.name = new.clone();
        }
    });
    vec![Change::AsWritten(AsWritten {
        kind: "rename_index",
        sql: lower.sql().to_owned(),
        locks: vec![LockClaim { relation: old.clone(), mode: LockMode::ShareUpdateExclusive }],
        work: Vec::new(),
        transaction: true,
        whole: true,
        effects,
        undo: Ok(format!("ALTER INDEX {} RENAME TO {}", old.sibling(new), old.name)),
    })]
}

fn at_once(lower: &Lower, statement: &RenameStmt, run: Run) -> Refused {
    let kind = kinds::rename(statement.rename_type());
    let called = if statement.subname.is_empty() {
        let (schema, name) = match &statement.relation {
            Some(var) => ast::table_name(var),
            None => ast::object_name(statement.object.as_deref()),
        };
        written(schema.as_ref(), &name)
    } else {
        Ident::from(statement.subname.as_str()).to_string()
    };
    let reason = format!(
        "{} {called}: the name changes for everybody at once: whoever uses the old one fails from that instant",
        kinds::words(kind)
    );
    lower.refuse(
        kind,
        Code::NoOnlineForm,
        reason,
        "make the object anew under the new name, and drop the old one when nobody uses it; or allow it, if no running code uses the name",
        run,
    )
}

/// Effects of a new name or schema of a relation.
pub(crate) fn relation(catalog: &Catalog, old: &Name, new: &Name) -> Vec<Effect> {
    let Some(table) = catalog.relation(old) else { return Vec::new() };
    let mut effects = Vec::new();
    // RelationGone also takes foreign keys of others and owned sequences: they come again.
    let owned: Vec<&Sequence> = catalog
        .sequences
        .values()
        .filter(|sequence| sequence.owned_by.as_ref().is_some_and(|(table, _)| table == old))
        .collect();
    let referencing: Vec<&Relation> = catalog
        .relations
        .values()
        .filter(|relation| relation.name != *old)
        .filter(|relation| {
            relation
                .constraints
                .iter()
                .any(|c| matches!(&c.kind, ConstraintKind::ForeignKey { table, .. } if table == old))
                || relation.partition_of.as_ref() == Some(old)
        })
        .collect();
    effects.push(Effect::RelationGone(old.clone()));
    let mut moved = Relation { name: new.clone(), ..table.clone() };
    retarget(&mut moved, old, new);
    effects.push(Effect::Relation(Box::new(moved)));
    for relation in referencing {
        let mut relation = relation.clone();
        retarget(&mut relation, old, new);
        effects.push(Effect::Relation(Box::new(relation)));
    }
    for sequence in owned {
        let name = Name { schema: new.schema.clone(), name: sequence.name.name.clone() };
        let owned_by = sequence.owned_by.as_ref().map(|(_, column)| (new.clone(), column.clone()));
        effects.push(Effect::Sequence(Sequence { name, owned_by }));
    }
    effects
}

fn retarget(relation: &mut Relation, old: &Name, new: &Name) {
    for constraint in &mut relation.constraints {
        if let ConstraintKind::ForeignKey { table, .. } = &mut constraint.kind
            && table == old
        {
            *table = new.clone();
        }
    }
    if relation.partition_of.as_ref() == Some(old) {
        relation.partition_of = Some(new.clone());
    }
}
