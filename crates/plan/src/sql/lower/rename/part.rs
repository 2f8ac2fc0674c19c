//! RENAME of what belongs to a table.

use pg_query::protobuf::{ObjectType, RenameStmt};

use crate::catalog::Relation;
use crate::change::Change;
use crate::kind::rename_part::{RenamePart, What, may_have};
use crate::sql::ast;
use crate::sql::ident::{Ident, Name};
use crate::sql::lower::{Lower, Lowered, index, kinds};
use crate::sql::similar::did_you_mean;

/// Lowers it if something is renamed that belongs to a table; `None` where it is something else, or is not there.
pub(super) fn rename(lower: &Lower, statement: &RenameStmt) -> Option<Lowered> {
    let (schema, name) = ast::table_name(statement.relation.as_ref()?);
    let old = Ident::from(statement.subname.as_str());
    let (table, what, from) = match statement.rename_type() {
        // ALTER TABLE takes indexes and sequences too.
        ObjectType::ObjectIndex | ObjectType::ObjectTable | ObjectType::ObjectSequence => {
            if let Some(found) = index::find(lower, schema.as_ref(), &name) {
                let (table, index) = lower.catalog.index(&found)?;
                (table.name.clone(), What::Index, index.name.clone())
            } else {
                let sequence = lower.sequence(schema.as_ref(), &name)?;
                let (table, _) = sequence.owned_by.clone()?;
                (table, What::Sequence(sequence.name.schema.clone()), name)
            }
        }
        sort => {
            let what = match sort {
                ObjectType::ObjectTabconstraint => What::Constraint,
                ObjectType::ObjectTrigger => What::Trigger,
                ObjectType::ObjectPolicy => What::Policy,
                ObjectType::ObjectRule => What::Rule,
                _ => return None,
            };
            let table = lower.catalog.resolve(schema.as_ref(), &name)?;
            if let Err(missing) = known(lower, statement, table, &what, &old) {
                return missing.map(Err);
            }
            (table.name.clone(), what, old)
        }
    };
    let kind = match what {
        What::Index => "rename_index",
        What::Sequence(_) => "rename_sequence",
        _ => kinds::rename(statement.rename_type()),
    };
    let to = Ident::from(statement.newname.as_str());
    Some(Ok(vec![Change::RenamePart(RenamePart { kind, table, what, from, to })]))
}

/// Whether the table has it; `Err(None)` where that is not for this kind to say.
fn known(
    lower: &Lower,
    statement: &RenameStmt,
    table: &Relation,
    what: &What,
    name: &Ident,
) -> Result<(), Option<crate::sql::lower::Refused>> {
    let (noun, names): (&str, Vec<&Ident>) = match what {
        What::Constraint => ("constraint", table.constraints.iter().map(|known| &known.name).collect()),
        What::Trigger => ("trigger", table.triggers.iter().map(|known| &known.name).collect()),
        _ => return Ok(()),
    };
    if names.contains(&name) {
        return Ok(());
    }
    // From 18 on NOT NULL has a name, too.
    let marks = |column: &crate::catalog::Column| {
        column.not_null.as_ref().is_some_and(|marking| marking.name.as_ref() == Some(name))
    };
    if !may_have(table, what) || table.columns.iter().any(marks) {
        return Err(None);
    }
    let hint = did_you_mean(name.as_str(), names.iter().map(|name| name.as_str().to_owned()))
        .unwrap_or_else(|| "correct the name".to_owned());
    let table: &Name = &table.name;
    let reason = format!("{noun} {name} of {table} does not exist");
    Err(Some(lower.will_fail(kinds::rename(statement.rename_type()), "42704", reason, hint, None)))
}
