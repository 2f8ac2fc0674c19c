//! Triggers as the catalog shows them.

use pg_query::TriggerType;
use pg_query::protobuf::CreateTrigStmt;

use crate::catalog::{Constraint, ConstraintKind, Relation, Trigger, TriggerEvent};
use crate::effect::Effect;
use crate::sql::ast;
use crate::sql::ident::Ident;
use crate::sql::lower::Lower;

/// What CREATE TRIGGER does to the catalog.
pub(crate) fn effects(lower: &Lower, table: &Relation, statement: &CreateTrigStmt) -> Vec<Effect> {
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
        enabled: true,
        definition: lower.sql().to_owned(),
    };
    let mut effects = vec![Effect::Trigger { table: table.name.clone(), trigger }];
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
        effects.push(Effect::Constraint { table: table.name.clone(), constraint });
    }
    effects
}
