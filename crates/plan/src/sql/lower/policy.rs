//! Policies, rules and row security.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    AlterPolicyStmt, AlterTableType, CreatePolicyStmt, DropStmt, ObjectType, RangeVar, RuleStmt,
};

use crate::catalog::Relation;
use crate::change::Change;
use crate::kind::policy::{Action, ChangePolicy};
use crate::kind::row_security::{RowSecurity, Switch};
use crate::kind::rule::ChangeRule;
use crate::sql::ast;
use crate::sql::ident::{Ident, Name};
use crate::sql::lower::{Lower, Lowered, Refused};

/// CREATE POLICY.
pub(crate) fn create(lower: &Lower, statement: &CreatePolicyStmt) -> Lowered {
    let table = table(lower, "create_policy", statement.table.as_ref())?;
    let name = Ident::from(statement.policy_name.as_str());
    let action = Action::Create { sql: lower.sql().to_owned(), permissive: statement.permissive };
    Ok(vec![Change::Policy(ChangePolicy { table, name, action })])
}

/// ALTER POLICY.
pub(crate) fn alter(lower: &Lower, statement: &AlterPolicyStmt) -> Lowered {
    let table = table(lower, "alter_policy", statement.table.as_ref())?;
    let name = Ident::from(statement.policy_name.as_str());
    let action = Action::Alter { sql: lower.sql().to_owned() };
    Ok(vec![Change::Policy(ChangePolicy { table, name, action })])
}

/// CREATE RULE.
pub(crate) fn create_rule(lower: &Lower, statement: &RuleStmt) -> Lowered {
    let table = table(lower, "create_rule", statement.relation.as_ref())?;
    let name = Ident::from(statement.rulename.as_str());
    let create = Some((lower.sql().to_owned(), statement.replace));
    Ok(vec![Change::Rule(ChangeRule { table, name, create })])
}

/// DROP POLICY and DROP RULE. `None` where the statement cannot be read.
pub(crate) fn drop(lower: &Lower, drop: &DropStmt) -> Option<Vec<Change>> {
    let mut changes = Vec::new();
    for object in &drop.objects {
        let Some(NodeEnum::List(list)) = ast::node(Some(object)) else { return None };
        let (own, table) = list.items.split_last()?;
        let name = Ident::from(ast::node(Some(own)).and_then(ast::string)?);
        let (schema, table) = ast::qualified(table);
        let Some(relation) = lower.catalog.resolve(schema.as_ref(), &table) else { continue };
        let table = relation.name.clone();
        let (there, change) = match drop.remove_type() {
            ObjectType::ObjectPolicy => (
                relation.policy(&name).is_some(),
                Change::Policy(ChangePolicy { table, name, action: Action::Drop }),
            ),
            _ => (relation.rule(&name).is_some(), Change::Rule(ChangeRule { table, name, create: None })),
        };
        if there || !drop.missing_ok {
            changes.push(change);
        }
    }
    Some(changes)
}

/// ENABLE, DISABLE, FORCE, NO FORCE.
pub(crate) fn row_security(table: &Relation, subtype: AlterTableType) -> Change {
    let (switch, on) = match subtype {
        AlterTableType::AtEnableRowSecurity => (Switch::Enabled, true),
        AlterTableType::AtForceRowSecurity => (Switch::Forced, true),
        AlterTableType::AtNoForceRowSecurity => (Switch::Forced, false),
        _ => (Switch::Enabled, false),
    };
    Change::RowSecurity(RowSecurity { table: table.name.clone(), switch, on })
}

fn table(lower: &Lower, kind: &'static str, var: Option<&RangeVar>) -> Result<Name, Refused> {
    match var {
        Some(var) => lower.relation(kind, var).map(|relation| relation.name.clone()),
        None => Err(lower.will_fail(kind, "42601", "no table is named", "name it", None)),
    }
}
