//! SET SCHEMA.

use pg_query::protobuf::AlterObjectSchemaStmt;

use crate::diagnostic::Code;
use crate::sql::ast;
use crate::sql::ident::Ident;
use crate::sql::lower::rename::table;
use crate::sql::lower::{Lower, Lowered, Run};

/// No change where IF EXISTS finds nothing; planned for what is queried like a table; otherwise a refusal.
pub(crate) fn set_schema(lower: &Lower, alter: &AlterObjectSchemaStmt) -> Lowered {
    let kind = "set_schema";
    let mut run = Run::default();
    if let Some(var) = &alter.relation {
        let (schema, name) = ast::table_name(var);
        match lower.catalog.resolve(schema.as_ref(), &name) {
            Some(table) => {
                let to = Ident::from(alter.newschema.as_str());
                return table::set_schema(lower, alter.object_type(), table, to);
            }
            None if lower.sequence(schema.as_ref(), &name).is_some() => run = run.unknown(kind),
            None if alter.missing_ok => return Ok(Vec::new()),
            None => return Err(lower.missing_relation(kind, schema.as_ref(), &name, None)),
        }
    } else {
        run = run.unknown(kind);
    }
    Err(lower.refuse(
        kind,
        Code::NoOnlineForm,
        format!("SET SCHEMA {}: it moves the object under its users: whoever names it with its schema, or has another search_path, fails from that instant", alter.newschema),
        "make it anew in the other schema, and drop the old one when nobody uses it any more",
        run,
    ))
}
