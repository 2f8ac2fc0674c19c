//! RENAME and SET SCHEMA: the kinds that plan them, what they do to the catalog, and why the rest is refused.

use pg_query::protobuf::{ObjectType, RenameStmt};

use crate::catalog::{RelationKind, Sequence};
use crate::change::Change;
use crate::diagnostic::Code;
use crate::effect::Effect;
use crate::kind::rename_column::RenameColumn;
use crate::sql::ast;
use crate::sql::ident::Ident;
use crate::sql::lower::{Lower, Lowered, Refused, Run, kinds, written};

mod loose;
mod part;
pub(crate) mod schema;
mod table;

/// RENAME: no change where IF EXISTS finds nothing, otherwise a refusal.
pub(crate) fn lower(lower: &Lower, statement: &RenameStmt) -> Lowered {
    if let Some(changes) = part::rename(lower, statement).or_else(|| table::rename(lower, statement)) {
        return changes;
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
            let to = new.clone();
            let run = run.effect(Effect::ColumnRenamed { table: table.name.clone(), column: old, to });
            at_once(lower, statement, run)
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
