//! RENAME and SET SCHEMA: the kinds that plan them, what they do to the catalog, and why the rest is refused.

use pg_query::protobuf::{ObjectType, RenameStmt};

use crate::catalog::{Catalog, ConstraintKind, Sequence};
use crate::diagnostic::Code;
use crate::effect::Effect;
use crate::pg::lock::LockMode;
use crate::sql::ast;
use crate::sql::ident::{Ident, Name};
use crate::sql::lower::alter_table::changed;
use crate::sql::lower::{Lower, Lowered, Refused, Run, kinds, tree, written};

mod loose;
mod part;
pub(crate) mod schema;
mod table;

/// RENAME: no change where IF EXISTS finds nothing, otherwise a refusal.
pub(crate) fn lower(lower: &Lower, statement: &RenameStmt) -> Lowered {
    if let Some(changes) = part::rename(lower, statement).or_else(|| table::rename(lower, statement)) {
        return changes;
    }
    match refused(lower, statement) {
        Some(refused) if refused.refusal.code == Code::WillFail && statement.missing_ok => Ok(Vec::new()),
        Some(refused) => Err(refused),
        None => Ok(Vec::new()),
    }
}

fn refused(lower: &Lower, statement: &RenameStmt) -> Option<Refused> {
    let kind = kinds::rename(statement.rename_type());
    let new = Ident::from(statement.newname.as_str());
    let old = Ident::from(statement.subname.as_str());
    let Some(var) = &statement.relation else {
        let run = Run { effects: loose::effects(lower, statement, &new), ..Run::default() };
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
            let run = Run { effects: column(lower.catalog, &table.name, &old, &new), ..run };
            lower.refuse(
                kind,
                Code::NotYet,
                format!(
                    "running code that names {old} of {} fails from the instant of the renaming; the online form (a second column kept in step) is not built yet",
                    table.name
                ),
                format!("add column {new} and fill it by UPDATE, let the code move over, then drop {old}"),
                run,
            )
        }
        _ => at_once(lower, statement, run),
    })
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
    let (reason, way_out) = why(statement.rename_type());
    lower.refuse(kind, Code::NoOnlineForm, format!("{} {called}: {reason}", kinds::words(kind)), way_out, run)
}

/// Why there is no form in which the old and the new name both work.
fn why(sort: ObjectType) -> (&'static str, &'static str) {
    const ANEW: &str = "make the object anew under the new name, and drop the old one when nobody uses it; or allow it, if no \
                        running code uses the name";
    match sort {
        ObjectType::ObjectSequence => (
            "it has no second name: new code could not draw from it by the new one before, nor old code by the old one after",
            "make a sequence of the new name that starts well beyond the old one, let the code move over, and drop the old one; or \
             allow it, if no running code uses the name",
        ),
        ObjectType::ObjectType | ObjectType::ObjectDomain => (
            "it has no second name: a domain over it is another type, for which the operators of an enum are missing (42883)",
            ANEW,
        ),
        ObjectType::ObjectFunction | ObjectType::ObjectProcedure | ObjectType::ObjectRoutine => (
            "the name changes for everybody at once: who calls it by the old one fails from that instant (42883)",
            "make a function of the new name that calls it, let the code move over, and drop the old one then; or allow it, if no \
             running code uses the name",
        ),
        ObjectType::ObjectSchema => (
            "every name with that schema in it changes at once: code, functions and a search_path that have it fail from that \
             instant",
            "make the schema anew, move table after table there with SET SCHEMA, which works by both names until contract, and drop \
             the old one; or allow it, if no running code uses the name",
        ),
        _ => {
            ("the name changes for everybody at once: whoever uses the old one fails from that instant", ANEW)
        }
    }
}

/// Effects of a new name of a column: everything that names it follows.
pub(crate) fn column(catalog: &Catalog, table: &Name, old: &Ident, new: &Ident) -> Vec<Effect> {
    let rename = |name: &mut Ident| {
        if name == old {
            *name = new.clone();
        }
    };
    let mut effects = Vec::new();
    for claim in
        catalog.relation(table).map(|t| tree(catalog, t, LockMode::AccessExclusive)).unwrap_or_default()
    {
        effects.extend(changed(catalog, &claim.relation, |relation| {
            relation.columns.iter_mut().for_each(|column| rename(&mut column.name));
            for constraint in &mut relation.constraints {
                constraint.columns.iter_mut().for_each(rename);
                if let ConstraintKind::ForeignKey { table: to, columns } = &mut constraint.kind
                    && to == table
                {
                    columns.iter_mut().for_each(rename);
                }
            }
            for index in &mut relation.indexes {
                index.columns.iter_mut().flatten().for_each(rename);
                index.include.iter_mut().for_each(rename);
                if index.uses.remove(old) {
                    index.uses.insert(new.clone());
                }
            }
            for dependent in &mut relation.dependents {
                dependent.column.iter_mut().for_each(rename);
            }
            relation.partition_key.iter_mut().for_each(rename);
        }));
    }
    for other in catalog.incoming_foreign_keys(table).into_iter().map(|(other, _)| other) {
        if other.name == *table {
            continue;
        }
        effects.extend(changed(catalog, &other.name, |relation| {
            for constraint in &mut relation.constraints {
                if let ConstraintKind::ForeignKey { table: to, columns } = &mut constraint.kind
                    && to == table
                {
                    columns.iter_mut().for_each(rename);
                }
            }
        }));
    }
    for sequence in catalog.sequences.values() {
        if let Some((owner, column)) = &sequence.owned_by
            && owner == table
            && column == old
        {
            let owned_by = Some((owner.clone(), new.clone()));
            effects.push(Effect::Sequence(Sequence { name: sequence.name.clone(), owned_by }));
        }
    }
    effects
}
