//! When a trigger fires, in a table and in the partitions that have a copy of it.

use crate::catalog::{Catalog, ConstraintKind, Relation};
use crate::ddl;
use crate::effect::Effect;
use crate::pg::firing::Firing;
use crate::sql::ident::{Ident, Name};

/// What brings a trigger back to how it fires in `catalog`, once it fires as `now` in the whole tree: statements, and their
/// effects. Each statement goes down the tree. Source: `EnableDisableTrigger` in src/backend/commands/trigger.c.
pub(crate) fn as_it_was(
    catalog: &Catalog,
    table: &Name,
    trigger: &Ident,
    now: Firing,
) -> (Vec<String>, Vec<Effect>) {
    let mut back = (Vec::new(), Vec::new());
    if let Some(relation) = catalog.relation(table) {
        below(catalog, relation, trigger, (now, now), &mut back);
    }
    back
}

/// `found` is how it fires there after the statements so far, `at_first` before them.
fn below(
    catalog: &Catalog,
    relation: &Relation,
    trigger: &Ident,
    (mut found, at_first): (Firing, Firing),
    back: &mut (Vec<String>, Vec<Effect>),
) {
    let Some(known) = relation.trigger(trigger) else { return };
    if known.fires != found {
        back.0.push(ddl::trigger::fires(&relation.name, &[trigger], known.fires));
        found = known.fires;
    }
    if known.fires != at_first {
        back.1.push(Effect::TriggerFires {
            table: relation.name.clone(),
            trigger: trigger.clone(),
            fires: known.fires,
        });
    }
    if known.row {
        for partition in relation.partitions.iter().filter_map(|name| catalog.relation(name)) {
            below(catalog, partition, trigger, (found, at_first), back);
        }
    }
}

/// Whether constraints of the table, or of others that refer to it, are kept by triggers: they are triggers of the system's, which
/// ALL means too, and only a superuser may name.
pub(crate) fn of_constraints(catalog: &Catalog, table: &Name) -> bool {
    catalog.tree(table).into_iter().any(|relation| {
        let kept = relation.constraints.iter().any(|constraint| {
            matches!(constraint.kind, ConstraintKind::ForeignKey { .. })
                || (constraint.deferrable && constraint.kind != ConstraintKind::Trigger)
        });
        kept || !catalog.incoming_foreign_keys(&relation.name).is_empty()
    })
}
