//! RENAME of an index: online as it stands.

use pg_query::protobuf::{ObjectType, RenameStmt};

use crate::change::Change;
use crate::kind::as_written::AsWritten;
use crate::pg::lock::LockMode;
use crate::plan::LockClaim;
use crate::sql::ast;
use crate::sql::ident::{Ident, Name};
use crate::sql::lower::alter_table::changed;
use crate::sql::lower::{Lower, Lowered, index};

/// Lowers it if an index is renamed; ALTER TABLE takes indexes too.
pub(super) fn rename(lower: &Lower, statement: &RenameStmt) -> Option<Lowered> {
    if !matches!(statement.rename_type(), ObjectType::ObjectIndex | ObjectType::ObjectTable) {
        return None;
    }
    let (schema, name) = ast::table_name(statement.relation.as_ref()?);
    let found = index::find(lower, schema.as_ref(), &name)?;
    Some(Ok(change(lower, &found, statement)))
}

/// ALTER INDEX … RENAME takes SHARE UPDATE EXCLUSIVE on the index for a moment, and nothing that runs names an index.
/// Source: RenameRelation in src/backend/commands/tablecmds.c (12 and later).
fn change(lower: &Lower, old: &Name, statement: &RenameStmt) -> Vec<Change> {
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
        effects,
        undo: Ok(format!("ALTER INDEX {} RENAME TO {}", old.sibling(new), old.name)),
    })]
}

