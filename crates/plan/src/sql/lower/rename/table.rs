//! RENAME and SET SCHEMA of tables, views, materialized views and foreign tables.

use pg_query::protobuf::{ObjectType, RenameStmt};

use crate::catalog::{Relation, RelationKind};
use crate::change::Change;
use crate::kind::rename_table::RenameTable;
use crate::sql::ast;
use crate::sql::ident::{Ident, Name};
use crate::sql::lower::{Lower, Lowered, Refused, kinds, noun};

/// Lowers it if a relation is renamed that exists.
pub(super) fn rename(lower: &Lower, statement: &RenameStmt) -> Option<Lowered> {
    let (schema, name) = ast::table_name(statement.relation.as_ref()?);
    let relation = lower.catalog.resolve(schema.as_ref(), &name)?;
    let kind = kinds::rename(statement.rename_type());
    let to = relation.name.sibling(Ident::from(statement.newname.as_str()));
    fits(lower, kind, statement.rename_type(), relation)
        .map(|fits| fits.map(|()| vec![change(kind, relation, to)]))
}

/// The same for SET SCHEMA. A relation that is in the schema already stays there.
pub(super) fn set_schema(lower: &Lower, sort: ObjectType, relation: &Relation, schema: Ident) -> Lowered {
    let kind = "set_schema";
    fits(lower, kind, sort, relation).unwrap_or(Ok(()))?;
    if relation.name.schema == schema {
        return Ok(Vec::new());
    }
    let to = Name { schema, name: relation.name.name.clone() };
    Ok(vec![change(kind, relation, to)])
}

fn change(kind: &'static str, relation: &Relation, to: Name) -> Change {
    Change::RenameTable(RenameTable { kind, from: relation.name.clone(), to })
}

/// ALTER TABLE takes whatever is queried like one, the others only their own sort; `None` where something else is altered.
/// Source: RangeVarCallbackForAlterRelation in src/backend/commands/tablecmds.c.
fn fits(
    lower: &Lower,
    kind: &'static str,
    sort: ObjectType,
    relation: &Relation,
) -> Option<Result<(), Refused>> {
    let fits = match sort {
        ObjectType::ObjectTable => relation.kind != RelationKind::CompositeType,
        ObjectType::ObjectView => relation.kind == RelationKind::View,
        ObjectType::ObjectMatview => relation.kind == RelationKind::MaterializedView,
        ObjectType::ObjectForeignTable => relation.kind == RelationKind::ForeignTable,
        _ => return None,
    };
    let is = noun(relation.kind);
    Some(if fits {
        Ok(())
    } else {
        let reason = format!("{} is a {is}", relation.name);
        Err(lower.will_fail(kind, "42809", reason, format!("write ALTER {}", is.to_uppercase()), None))
    })
}
