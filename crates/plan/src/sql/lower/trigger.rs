//! CREATE TRIGGER, and ENABLE and DISABLE TRIGGER of ALTER TABLE.

use pg_query::TriggerType;
use pg_query::protobuf::{AlterTableType, CreateTrigStmt};

use crate::catalog::{Constraint, ConstraintKind, Relation, Trigger, TriggerEvent};
use crate::change::Change;
use crate::effect::Effect;
use crate::kind::create_trigger::CreateTrigger;
use crate::kind::enable_trigger::{EnableTrigger, Which};
use crate::pg::firing::Firing;
use crate::sql::ast;
use crate::sql::ident::Ident;
use crate::sql::lower::{Lower, Lowered};

/// Lowers it.
pub(crate) fn create(lower: &Lower, statement: &CreateTrigStmt) -> Lowered {
    let Some(var) = &statement.relation else { return Ok(Vec::new()) };
    let table = lower.relation("create_trigger", var)?;
    let (trigger, also) = parts(lower, table, statement);
    Ok(vec![Change::CreateTrigger(CreateTrigger {
        sql: lower.sql().to_owned(),
        table: table.name.clone(),
        trigger,
        replace: statement.replace,
        also,
    })])
}

/// The trigger as the catalog shows it, and what comes with it.
fn parts(lower: &Lower, table: &Relation, statement: &CreateTrigStmt) -> (Trigger, Vec<Effect>) {
    let name = Ident::from(statement.trigname.as_str());
    let has = |bit: TriggerType| statement.events & bit as i32 != 0;
    let on = [
        (TriggerType::Insert, TriggerEvent::Insert),
        (TriggerType::Update, TriggerEvent::Update),
        (TriggerType::Delete, TriggerEvent::Delete),
        (TriggerType::Truncate, TriggerEvent::Truncate),
    ];
    let trigger = Trigger {
        name: name.clone(),
        row: statement.row,
        before: statement.timing & TriggerType::Before as i32 != 0,
        on: on.into_iter().filter(|(bit, _)| has(*bit)).map(|(_, event)| event).collect(),
        update_of: ast::idents(&statement.columns),
        transition_table: !statement.transition_rels.is_empty(),
        fires: Firing::Origin,
        definition: lower.sql().to_owned(),
    };
    let mut also = Vec::new();
    if statement.isconstraint {
        let constraint = Constraint {
            name,
            kind: ConstraintKind::Trigger,
            columns: Vec::new(),
            definition: "TRIGGER".to_owned(),
            validated: true,
            deferrable: statement.deferrable,
            inherited: false,
        };
        also.push(Effect::Constraint { table: table.name.clone(), constraint });
    }
    (trigger, also)
}

/// ENABLE, ENABLE REPLICA, ENABLE ALWAYS, DISABLE.
pub(crate) fn enable(lower: &Lower, table: &Relation, subtype: AlterTableType, name: Ident) -> Change {
    use AlterTableType as At;
    let which = match subtype {
        At::AtEnableTrigAll | At::AtDisableTrigAll => Which::All,
        At::AtEnableTrigUser | At::AtDisableTrigUser => Which::User,
        _ => Which::Named(name),
    };
    let fires = match subtype {
        At::AtDisableTrig | At::AtDisableTrigAll | At::AtDisableTrigUser => Firing::Never,
        At::AtEnableReplicaTrig => Firing::Replica,
        At::AtEnableAlwaysTrig => Firing::Always,
        _ => Firing::Origin,
    };
    let table = table.name.clone();
    let mut change = EnableTrigger { table, which, fires, undone_by_enable: false };
    change.undone_by_enable = change.is_undone_by_enable(lower.catalog);
    Change::EnableTrigger(change)
}
