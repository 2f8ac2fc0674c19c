//! What a new name of something that is no relation does to the catalog.

use pg_query::protobuf::{ObjectType, RenameStmt};

use crate::catalog::{Function, Type};
use crate::effect::Effect;
use crate::sql::ast;
use crate::sql::ident::{Ident, Name};
use crate::sql::lower::{Lower, kinds};

/// Effects of a new name of what is no relation.
pub(super) fn effects(lower: &Lower, statement: &RenameStmt, new: &Ident) -> Vec<Effect> {
    let (schema, name) = ast::object_name(statement.object.as_deref());
    let visible = |known: &Name| {
        known.name == name
            && match &schema {
                Some(schema) => known.schema == *schema,
                None => lower.catalog.server.search_path.contains(&known.schema),
            }
    };
    match statement.rename_type() {
        // Columns, defaults and expressions name it in texts that are not written anew here.
        ObjectType::ObjectType | ObjectType::ObjectDomain if in_use(lower, &name) => {
            vec![Effect::Unknown(kinds::rename(statement.rename_type()).to_owned())]
        }
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

/// Whether a column may be of this type, or of an array of it.
fn in_use(lower: &Lower, name: &Ident) -> bool {
    let quoted = name.to_string();
    let named = |data_type: &str| {
        let element = data_type.trim_end_matches("[]");
        element == quoted || element.ends_with(&format!(".{quoted}"))
    };
    let mut columns = lower.catalog.relations.values().flat_map(|relation| &relation.columns);
    columns.any(|column| named(&column.data_type))
}
