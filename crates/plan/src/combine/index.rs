//! DROP INDEX and CREATE INDEX of one name: the old index is set aside under a name of its own while the new one is built.

use crate::change::{Change, Statement};
use crate::kind::drop_index::{DropIndex, Part};
use crate::sql::ident::Name;

/// Tells every DROP INDEX whether its name is needed again.
pub(super) fn combine(statements: &mut [Statement]) {
    let mut dropped: Vec<Name> = Vec::new();
    for at in 0..statements.len() {
        for place in 0..statements[at].changes.as_ref().map_or(0, Vec::len) {
            let Some(index) = drops(statements, at, place) else { continue };
            // A second time it is one that this file made, perhaps only later than now.
            if dropped.contains(&index) {
                continue;
            }
            dropped.push(index.clone());
            let Some((maker, unique)) = maker(statements, (at, place), &index) else { continue };
            // A unique index is built at contract: what it replaces must not go before.
            let part = if unique { Part::Aside } else { Part::Renamed };
            let Ok(changes) = &mut statements[at].changes else { continue };
            let Change::DropIndex(drop) = &mut changes[place] else { continue };
            drop.part = part;
            let rest = Change::DropIndex(DropIndex { part: Part::Rest, ..drop.clone() });
            if unique && let Ok(changes) = &mut statements[maker].changes {
                changes.push(rest);
            }
        }
    }
}

fn drops(statements: &[Statement], at: usize, place: usize) -> Option<Name> {
    match statements[at].changes.as_ref().ok()?.get(place)? {
        Change::DropIndex(drop) if drop.part == Part::Whole => Some(drop.index.clone()),
        _ => None,
    }
}

/// The next statement that makes an index of this name, and whether it is unique. A column that goes takes its indexes along,
/// which would be one too many to bring back: left alone.
fn maker(statements: &[Statement], (at, place): (usize, usize), index: &Name) -> Option<(usize, bool)> {
    let changes = |at: usize| statements[at].changes.iter().flatten().map(move |change| (at, change));
    let later = (at..statements.len()).flat_map(changes).skip(place + 1);
    let mut columns = Vec::new();
    for (at, change) in later {
        match change {
            Change::DropIndex(drop) if drop.index == *index => return None,
            Change::DropColumn(drop) => columns.push(&drop.table),
            Change::CreateIndex(create) if create.table.sibling(create.index.name.clone()) == *index => {
                let unique = create.index.unique;
                return (!unique || !columns.contains(&&create.table)).then_some((at, unique));
            }
            _ => {}
        }
    }
    None
}
