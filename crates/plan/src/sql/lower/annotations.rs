//! Comments, rights and statistics objects.

use pg_query::protobuf::{GrantTargetType, ObjectType};
use pg_query::{Node, NodeEnum};

use crate::catalog::RelationKind;
use crate::pg::lock::LockMode;
use crate::plan::LockClaim;
use crate::sql::ast;
use crate::sql::ident::Ident;
use crate::sql::lower::as_written::{Entry, SETTING};
use crate::sql::lower::{Lower, Lowered, index};

/// Lowers it if it is one of them.
pub(super) fn lower(lower: &Lower, node: &NodeEnum) -> Option<Lowered> {
    Some(match node {
        NodeEnum::CommentStmt(comment) => {
            on_object(lower, "comment", comment.objtype(), comment.object.as_deref())
        }
        NodeEnum::SecLabelStmt(label) => {
            on_object(lower, "security_label", label.objtype(), label.object.as_deref())
        }
        NodeEnum::GrantStmt(grant) => {
            let kind = if grant.is_grant { "grant" } else { "revoke" };
            let mut entry = Entry::lasting(kind, "which rights were there before is not recorded");
            if grant.objtype() == ObjectType::ObjectTable
                && grant.targtype() == GrantTargetType::AclTargetObject
            {
                for object in ast::each(&grant.objects) {
                    let NodeEnum::RangeVar(var) = object else { continue };
                    let (schema, name) = ast::table_name(var);
                    match lower.catalog.resolve(schema.as_ref(), &name) {
                        // 18 takes ACCESS SHARE, earlier ones no lock at all.
                        Some(table) => entry
                            .locks
                            .push(LockClaim { relation: table.name.clone(), mode: LockMode::AccessShare }),
                        // GRANT ON TABLE also takes sequences.
                        None if lower.catalog.sequences.keys().any(|known| known.name == name) => {}
                        None => return Some(Err(lower.missing_relation(kind, schema.as_ref(), &name, None))),
                    }
                }
            }
            entry.done(lower)
        }
        NodeEnum::AlterDefaultPrivilegesStmt(_) => {
            Entry::lasting("alter_default_privileges", SETTING).done(lower)
        }
        NodeEnum::CreateStatsStmt(statement) => {
            let (schema, name) = ast::qualified(&statement.defnames);
            let mut entry = Entry::lasting("create_statistics", "its generated name is not known");
            if !name.as_str().is_empty() {
                entry.undo = Ok(format!("DROP STATISTICS {}", lower.new_name(schema, name)));
            }
            for node in ast::each(&statement.relations) {
                let NodeEnum::RangeVar(var) = node else { continue };
                match lower.relation("create_statistics", var) {
                    Ok(table) => entry.locks.push(LockClaim {
                        relation: table.name.clone(),
                        mode: LockMode::ShareUpdateExclusive,
                    }),
                    Err(missing) => return Some(Err(missing)),
                }
            }
            entry.done(lower)
        }
        NodeEnum::AlterStatsStmt(_) => Entry::lasting("alter_statistics", SETTING).done(lower),
        _ => return None,
    })
}

/// COMMENT and SECURITY LABEL take SHARE UPDATE EXCLUSIVE on a relation, ACCESS SHARE on the table of what belongs to one.
/// Measured on 15; source: CommentObject in src/backend/commands/comment.c.
fn on_object(lower: &Lower, kind: &'static str, what: ObjectType, object: Option<&Node>) -> Lowered {
    let mut entry = Entry::lasting(kind, "the one before is not recorded");
    let Some(NodeEnum::List(list)) = ast::node(object) else { return entry.done(lower) };
    let parts = list.items.as_slice();
    let (table, own) = match what {
        ObjectType::ObjectTable
        | ObjectType::ObjectView
        | ObjectType::ObjectMatview
        | ObjectType::ObjectForeignTable => (parts, None),
        ObjectType::ObjectColumn
        | ObjectType::ObjectTabconstraint
        | ObjectType::ObjectTrigger
        | ObjectType::ObjectPolicy
        | ObjectType::ObjectRule => match parts.split_last() {
            Some((own, table)) => (table, Some(own)),
            None => return entry.done(lower),
        },
        ObjectType::ObjectIndex | ObjectType::ObjectSequence => {
            let (schema, name) = ast::qualified(parts);
            let found = match what {
                ObjectType::ObjectIndex => index::find(lower, schema.as_ref(), &name),
                _ => lower.sequence(schema.as_ref(), &name).map(|sequence| sequence.name.clone()),
            };
            let Some(relation) = found else {
                return Err(lower.missing_relation(kind, schema.as_ref(), &name, None));
            };
            entry.locks.push(LockClaim { relation, mode: LockMode::ShareUpdateExclusive });
            return entry.done(lower);
        }
        _ => return entry.done(lower),
    };
    let (schema, name) = ast::qualified(table);
    let Some(relation) = lower.catalog.resolve(schema.as_ref(), &name) else {
        return Err(lower.missing_relation(kind, schema.as_ref(), &name, None));
    };
    if what == ObjectType::ObjectColumn
        && let Some(column) = ast::node(own).and_then(ast::string).map(Ident::from)
        && relation.column(&column).is_none()
        && matches!(relation.kind, RelationKind::Table | RelationKind::PartitionedTable)
    {
        return Err(lower.missing_column(kind, relation, &column));
    }
    let whole = own.is_none() || what == ObjectType::ObjectColumn;
    let mode = if whole { LockMode::ShareUpdateExclusive } else { LockMode::AccessShare };
    entry.locks.push(LockClaim { relation: relation.name.clone(), mode });
    if relation.new_here {
        entry.undo = Ok(String::new());
    }
    entry.done(lower)
}
