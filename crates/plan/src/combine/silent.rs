//! DISABLE TRIGGER … ENABLE TRIGGER around other statements: it says that those do not fire the trigger, and nothing of running code.
//!
//! Where every trigger fires afterwards as it did before, the pair changes nothing that lasts. Both take effect at their places, so
//! that what lies between is judged as the file says; on the server nothing is done for them.

use crate::change::{Change, Statement};
use crate::kind::enable_trigger::EnableTrigger;
use crate::pg::firing::Firing;

/// Takes both out of each pair.
pub(super) fn combine(statements: &mut [Statement]) {
    for from in 0..statements.len() {
        let Some(to) = end(statements, from) else { continue };
        for at in [from, to] {
            let statement = &mut statements[at];
            if let Ok(changes) = &mut statement.changes {
                statement.absorbed.append(changes);
            }
        }
    }
}

/// The ENABLE that ends what the DISABLE begins.
fn end(statements: &[Statement], from: usize) -> Option<usize> {
    let disable = alone(&statements[from]).filter(|change| change.undone_by_enable)?;
    for (to, statement) in statements.iter().enumerate().skip(from + 1) {
        if let Some(enable) = alone(statement)
            && (&enable.table, &enable.which, enable.fires)
                == (&disable.table, &disable.which, Firing::Origin)
        {
            return Some(to);
        }
        if !statement
            .changes
            .as_ref()
            .is_ok_and(|changes| !changes.iter().any(|change| disturbs(change, disable)))
        {
            return None;
        }
    }
    None
}

/// The statement's only change, which no directive is bound to.
fn alone(statement: &Statement) -> Option<&EnableTrigger> {
    match statement.changes.as_deref() {
        Ok([Change::EnableTrigger(change)])
            if statement.directives.is_empty() && statement.absorbed.is_empty() =>
        {
            Some(change)
        }
        _ => None,
    }
}

/// The ENABLE would be about other triggers, or about another table.
fn disturbs(change: &Change, disable: &EnableTrigger) -> bool {
    let table = &disable.table;
    match change {
        Change::EnableTrigger(other) => other.table == *table,
        Change::CreateTrigger(create) => create.table == *table,
        Change::DropTrigger(drop) => drop.table == *table,
        Change::DropTable(drop) => drop.table == *table,
        // Partitions and names are not followed here.
        Change::RenameTable(_)
        | Change::RenamePart(_)
        | Change::AttachPartition(_)
        | Change::DetachPartition(_) => true,
        _ => false,
    }
}
