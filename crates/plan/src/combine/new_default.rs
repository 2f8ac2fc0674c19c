//! A change of type with its default.
//!
//! ```sql
//! ALTER TABLE t ALTER c DROP DEFAULT;              -- joins
//! ALTER TABLE t ALTER c TYPE mood USING …;         -- stays, and takes in the others
//! ALTER TABLE t ALTER c SET DEFAULT 'happy';       -- joins
//! ```
//!
//! A default of the old type is nothing that the new column could have, nor the other way round: the two change with the type, at one
//! moment. The subcommands of one ALTER TABLE join in any order, as PostgreSQL runs them: DROP DEFAULT first, SET DEFAULT last.

use crate::change::{Change, Statement};
use crate::kind::change_type::{ChangeType, NewDefault};
use crate::sql::ident::{Ident, Name};

/// Gives every change of type the default that its file says.
pub(super) fn combine(statements: &mut [Statement]) {
    for at in 0..statements.len() {
        // What is allowed runs statement by statement, as written.
        if !statements[at].directives.allow.is_empty() {
            continue;
        }
        let changes = statements[at].changes.iter().flatten();
        let retyped: Vec<ChangeType> = changes
            .filter_map(|change| match change {
                Change::ChangeType(change) => Some(change.clone()),
                _ => None,
            })
            .collect();
        for change in retyped {
            let mut default = NewDefault::Kept;
            if let Some(before) = dropped(statements, at, &change) {
                default = take(statements, before, &change).unwrap_or(default);
            }
            while let Some(same) = within(&statements[at], &change) {
                let taken = take(statements, (at, same), &change);
                // PostgreSQL's order is not that of the text.
                default = match (default, taken) {
                    (set @ NewDefault::Set(_), Some(NewDefault::Dropped(_))) => set,
                    (kept, taken) => taken.unwrap_or(kept),
                };
            }
            if !matches!(default, NewDefault::Set(_))
                && let Some(after) = set(statements, at, &change)
            {
                default = take(statements, after, &change).unwrap_or(default);
            }
            for known in statements[at].changes.iter_mut().flatten() {
                if let Change::ChangeType(known) = known
                    && (&known.table, &known.column) == (&change.table, &change.column)
                {
                    known.default = default.clone();
                }
            }
        }
    }
}

/// Takes the change out of its statement, which still says what it does as written.
fn take(statements: &mut [Statement], (at, place): (usize, usize), of: &ChangeType) -> Option<NewDefault> {
    let statement = &mut statements[at];
    let taken = statement.changes.as_mut().ok()?.remove(place);
    let default = about(&taken, of);
    statement.absorbed.push(taken);
    default
}

/// The change, if it is about the column's default.
fn about(change: &Change, of: &ChangeType) -> Option<NewDefault> {
    let same = |table: &Name, column: &Ident| (table, column) == (&of.table, &of.column);
    match change {
        Change::SetDefault(set) if same(&set.table, &set.column) => Some(NewDefault::Set(set.clone())),
        Change::DropDefault(drop) if same(&drop.table, &drop.column) => {
            Some(NewDefault::Dropped(drop.clone()))
        }
        _ => None,
    }
}

fn within(statement: &Statement, of: &ChangeType) -> Option<usize> {
    statement.changes.as_ref().ok()?.iter().position(|change| about(change, of).is_some())
}

/// The last DROP DEFAULT before it, if nothing between the two minds that it comes later.
fn dropped(statements: &[Statement], at: usize, of: &ChangeType) -> Option<(usize, usize)> {
    for before in (0..at).rev() {
        let changes = statements[before].changes.as_ref().ok()?;
        for (place, change) in changes.iter().enumerate().rev() {
            match about(change, of) {
                Some(NewDefault::Dropped(_)) => return free(&statements[before]).then_some((before, place)),
                Some(_) => return None,
                None if stands_between(change, of) => return None,
                None => {}
            }
        }
    }
    None
}

/// The next SET DEFAULT after it, if it may come earlier.
fn set(statements: &[Statement], at: usize, of: &ChangeType) -> Option<(usize, usize)> {
    let mut made = false;
    for (after, statement) in statements.iter().enumerate().skip(at + 1) {
        let changes = statement.changes.as_ref().ok()?;
        for (place, change) in changes.iter().enumerate() {
            match about(change, of) {
                Some(NewDefault::Set(set)) => {
                    // It may need what was made between.
                    let moves = free(statement)
                        && (!made || set.default.constant && !set.default.text.contains("::"));
                    return moves.then_some((after, place));
                }
                Some(_) => return None,
                None if stands_between(change, of) => return None,
                None => made |= makes(change),
            }
        }
    }
    None
}

/// A directive belongs to its statement, and would lose it.
fn free(statement: &Statement) -> bool {
    statement.directives.is_empty()
}

/// What an expression may call, or what may be another thing under a name that it has.
fn makes(change: &Change) -> bool {
    match change {
        Change::DropObject(_) => true,
        Change::AsWritten(written) => !matches!(written.kind, "comment" | "grant" | "revoke"),
        _ => false,
    }
}

/// What inserts rows, or what takes the name of the table or of the column to something else.
fn stands_between(change: &Change, of: &ChangeType) -> bool {
    let same = |table: &Name| *table == of.table;
    match change {
        Change::ChangeType(change) => same(&change.table) && change.column == of.column,
        Change::RenameColumn(rename) => {
            same(&rename.table) && (rename.column == of.column || rename.to == of.column)
        }
        Change::AddColumn(add) => same(&add.table) && add.column == of.column,
        Change::DropColumn(drop) => same(&drop.table) && drop.column == of.column,
        Change::ChangeIdentity(change) => same(&change.table) && change.column == of.column,
        // SET c = DEFAULT.
        Change::UpdateTable(update) => {
            same(&update.table) && update.set.iter().any(|(target, _)| *target == of.column)
        }
        Change::DropTable(drop) => same(&drop.table),
        Change::CreateTable(create) => same(&create.relation.name),
        Change::RenameTable(_) | Change::AttachPartition(_) | Change::DetachPartition(_) => true,
        Change::AsWritten(written) => !matches!(
            written.kind,
            "comment"
                | "grant"
                | "revoke"
                | "create_schema"
                | "create_extension"
                | "create_function"
                | "create_procedure"
                | "create_sequence"
                | "create_type"
                | "create_domain"
                | "create_view"
                | "add_value"
        ),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use crate::kind::shared::proving::{catalog, plan};
    use crate::plan::{Action, Phase, Plan, Undo};

    const SCHEMA: &str = "CREATE TABLE t (id int PRIMARY KEY, a int NOT NULL DEFAULT 7, b int)";

    /// The statements about defaults: of the swap, of its undo, and of all other steps.
    fn defaults(plan: &Plan) -> [Vec<String>; 3] {
        let of = |action: &Action| match action {
            Action::Transaction { sql } => {
                sql.iter().filter(|sql| sql.contains("DEFAULT")).cloned().collect()
            }
            _ => Vec::new(),
        };
        let mut found = [Vec::new(), Vec::new(), Vec::new()];
        for step in &plan.steps {
            let swaps = step.title.contains("change places");
            found[if swaps { 0 } else { 2 }].extend::<Vec<String>>(of(&step.action));
            if let (true, Undo::Steps { steps, .. }) = (swaps, &step.undo) {
                steps.iter().for_each(|step| found[1].extend(of(&step.action)));
            }
        }
        found
    }

    #[test]
    fn the_default_changes_with_the_type() {
        let r#type = "ALTER TABLE t ALTER a TYPE text";
        for sql in [
            format!("{type}, ALTER a DROP DEFAULT, ALTER a SET DEFAULT 'x'"),
            "ALTER TABLE t ALTER a SET DEFAULT 'x', ALTER a TYPE text, ALTER a DROP DEFAULT".to_owned(),
            format!("{type}, ALTER a SET DEFAULT 'x'"),
            format!("ALTER TABLE t ALTER a DROP DEFAULT; {type}; ALTER TABLE t ALTER a SET DEFAULT 'x'"),
            format!(
                "ALTER TABLE t ALTER a DROP DEFAULT; CREATE TYPE mood AS ENUM ('x'); {type}; ALTER TABLE t ALTER b SET NOT NULL;
                 ALTER TABLE t ALTER a SET DEFAULT 'x'"
            ),
        ] {
            let plan = plan(&catalog(SCHEMA), &sql);
            let [swap, back, others] = defaults(&plan);
            assert!(others.is_empty(), "{sql}: {others:?}");
            assert!(swap.len() == 2 && swap[0].ends_with("COLUMN a DROP DEFAULT") && swap[1].ends_with("SET DEFAULT 'x'"), "{sql}: {swap:?}");
            assert!(back.len() == 2 && back[1].ends_with("SET DEFAULT 7"), "{sql}: {back:?}");
        }
    }

    #[test]
    fn a_default_that_goes() {
        let plan =
            plan(&catalog(SCHEMA), "ALTER TABLE t ALTER a DROP DEFAULT; ALTER TABLE t ALTER a TYPE text");
        let [swap, back, others] = defaults(&plan);
        assert!(swap.len() == 1 && back.len() == 1 && others.is_empty(), "{swap:?} {back:?} {others:?}");
        assert!(back[0].ends_with("SET DEFAULT 7"), "{back:?}");
    }

    #[test]
    fn in_place_it_is_set_in_expand() {
        let schema = "CREATE TABLE t (a varchar(9) DEFAULT 'a')";
        let sql = "ALTER TABLE t ALTER a DROP DEFAULT, ALTER a TYPE varchar(99), ALTER a SET DEFAULT 'b'";
        let plan = plan(&catalog(schema), sql);
        let [swap, _, others] = defaults(&plan);
        assert!(swap.is_empty() && others.len() == 1 && others[0].ends_with("SET DEFAULT 'b'"), "{others:?}");
        assert!(plan.steps.iter().all(|step| step.phase < Phase::Switch));
    }
}
