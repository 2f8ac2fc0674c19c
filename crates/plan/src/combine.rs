//! Patterns over several statements, seen before planning.
//!
//! ```sql
//! ALTER TABLE t ADD COLUMN x …;        -- stays, and takes in:
//! UPDATE t SET x = f(y) WHERE …;       -- where the values come from
//! ALTER TABLE t ALTER x SET NOT NULL;  -- what is to hold in the end
//! ```
//!
//! is one derived column: rows that old code writes after the UPDATE must get their value too, or SET NOT NULL would fail.
//! A statement joins the ADD COLUMN only if it may be moved up to it: nothing between the two touches what it reads or writes.

mod index;
mod new_default;
mod replace;
mod silent;

use crate::change::{Change, Statement};
use crate::kind::add_column::{AddColumn, Derived};
use crate::kind::update_table::UpdateTable;
use crate::sql::expr::{Expr, NullWhen};
use crate::sql::ident::{Ident, Name};

/// Joins what belongs together. A statement that was absorbed into an earlier one keeps its place; what it said stands in
/// [`Statement::absorbed`].
pub fn combine(mut statements: Vec<Statement>) -> Vec<Statement> {
    let mut at = 0;
    while at < statements.len() {
        let changes = statements[at].changes.as_ref().map_or(0, Vec::len);
        for place in 0..changes {
            let Some(add) = add_column(&statements[at], place) else { continue };
            let mut add = add.clone();
            if absorb(&mut statements, (at, place), &mut add)
                && let Ok(changes) = &mut statements[at].changes
            {
                changes[place] = Change::AddColumn(add);
            }
        }
        at += 1;
    }
    silent::combine(&mut statements);
    new_default::combine(&mut statements);
    replace::combine(&mut statements);
    index::combine(&mut statements);
    statements
}

fn add_column(statement: &Statement, place: usize) -> Option<&AddColumn> {
    match &statement.changes.as_ref().ok()?[place] {
        // Where the column exists already, the later statements are about that one.
        Change::AddColumn(add) if !add.if_not_exists && add.generated.is_none() => Some(add),
        _ => None,
    }
}

/// Takes in what follows. Whether anything was.
fn absorb(statements: &mut [Statement], (at, place): (usize, usize), add: &mut AddColumn) -> bool {
    let mut between = Between::default();
    if let Ok(changes) = &statements[at].changes {
        for change in &changes[place + 1..] {
            between.pass(change, add);
        }
    }
    let filled = statements[at].directives.fill_for(&add.column).is_some();
    let mut any = false;
    for next in at + 1..statements.len() {
        let (before, after) = statements.split_at_mut(next + 1);
        let Some(statement) = before.last_mut() else { break };
        // A directive belongs to its statement, and would lose it.
        let free = statement.directives.is_empty();
        let Ok(changes) = &mut statement.changes else { break };
        let mut kept = Vec::with_capacity(changes.len());
        for change in changes.drain(..) {
            let joins = free
                && !between.closed
                && match &change {
                    Change::UpdateTable(update) => {
                        !filled && between.derives(update, add) && !sources_change(update, after)
                    }
                    Change::SetNotNull(set) => {
                        (&set.table, &set.column) == (&add.table, &add.column) && has_value(add)
                    }
                    _ => false,
                };
            if !joins {
                between.pass(&change, add);
                kept.push(change);
                continue;
            }
            match &change {
                Change::UpdateTable(update) => add.derived = derived(update, add),
                _ => add.not_null = true,
            }
            any = true;
            statement.absorbed.push(change);
        }
        *changes = kept;
        if between.closed {
            break;
        }
    }
    any
}

/// A later UPDATE writes what this one reads. It would fire the trigger that keeps the column in step, and the file says that
/// the column keeps what it had.
fn sources_change(update: &UpdateTable, after: &[Statement]) -> bool {
    after.iter().filter_map(|statement| statement.changes.as_ref().ok()).flatten().any(
        |change| match change {
            Change::UpdateTable(later) if later.table == update.table => {
                later.set.iter().any(|(target, _)| expressions(update).any(|expr| expr.uses(target)))
            }
            _ => false,
        },
    )
}

/// What stands between an ADD COLUMN and a later statement.
#[derive(Debug, Default)]
struct Between {
    /// Nothing further may be moved up.
    closed: bool,
    /// Columns of the table that are made or written between.
    changed: Vec<Ident>,
    /// Functions may have been made between: an expression may need them.
    functions: bool,
}

impl Between {
    /// Notes a statement that stays where it is.
    fn pass(&mut self, change: &Change, add: &AddColumn) {
        let same = |table: &Name| *table == add.table;
        match change {
            Change::AddColumn(other) if same(&other.table) => self.changed.push(other.column.clone()),
            Change::UpdateTable(update) if same(&update.table) => {
                self.closed |= update.beyond.is_some() || expressions(update).any(|e| e.uses(&add.column));
                self.changed.extend(update.set.iter().map(|(target, _)| target.clone()));
            }
            Change::UpdateTable(update) => {
                // It may read the column by then.
                self.closed |= expressions(update).any(|expr| expr.reads.contains(&add.table));
            }
            Change::SetDefault(set) => self.own(same(&set.table) && set.column == add.column),
            Change::DropDefault(drop) => self.own(same(&drop.table) && drop.column == add.column),
            Change::DropNotNull(drop) => self.own(same(&drop.table) && drop.column == add.column),
            Change::SetNotNull(set) => self.own(same(&set.table) && set.column == add.column),
            Change::DropColumn(drop) if same(&drop.table) => self.closed = true,
            Change::ChangeType(change) => self.own(same(&change.table)),
            Change::RenameColumn(rename) => self.own(same(&rename.table)),
            Change::DeleteTable(delete) => self.own(same(&delete.table)),
            Change::DropTable(drop) => self.own(same(&drop.table)),
            Change::DropTrigger(drop) => self.own(same(&drop.table)),
            Change::CreateTrigger(create) => self.own(same(&create.table)),
            Change::Rule(rule) => self.own(same(&rule.table)),
            Change::ChangeIdentity(change) => self.own(same(&change.table) && change.column == add.column),
            // What comes after it is about another name.
            Change::RenameTable(_) => self.closed = true,
            Change::DropObject(_) => self.functions = true,
            Change::AsWritten(written) => match written.kind {
                "comment" | "grant" | "create_schema" | "create_sequence" => {}
                "create_function" | "create_extension" | "create_type" => self.functions = true,
                _ => self.closed = true,
            },
            // Other rows belong to the table from there on.
            Change::AttachPartition(_) | Change::DetachPartition(_) => self.closed = true,
            Change::CreateTable(create) => self.closed |= same(&create.relation.name),
            Change::AddColumn(_)
            | Change::CreateIndex(_)
            | Change::DropIndex(_)
            | Change::AddCheck(_)
            | Change::AddForeignKey(_)
            | Change::AddPrimaryKey(_)
            | Change::AddUnique(_)
            | Change::DropColumn(_)
            | Change::DropConstraint(_)
            | Change::RenamePart(_)
            | Change::DropView(_)
            | Change::Reindex(_)
            | Change::Policy(_)
            | Change::RowSecurity(_)
            // How its rows are filled fires no trigger.
            | Change::EnableTrigger(_)
            // These are made only once all columns are joined.
            | Change::Replace(_) => {}
        }
    }

    fn own(&mut self, closes: bool) {
        self.closed |= closes;
    }

    /// Whether the UPDATE does nothing but give the new column its values, from what was there before it.
    fn derives(&self, update: &UpdateTable, add: &AddColumn) -> bool {
        let Some(Derived { expr, filter, .. }) = derived(update, add) else { return false };
        let mut read = [Some(&expr), filter.as_ref()].into_iter().flatten();
        update.table == add.table
            && update.set[0].0 == add.column
            && add.derived.is_none()
            && !add.not_null
            && !add.serial
            && add.identity.is_none()
            && read.all(|expr| {
                // A subquery cannot be kept in step by a trigger. The UPDATE stays a batched one.
                !expr.subquery
                    && !expr.uses(&add.column)
                    && !self.changed.iter().any(|column| expr.uses(column))
                    && (!self.functions || expr.functions.is_empty())
            })
    }
}

/// The UPDATE as a derivation, if it has one target and is plain. `WHERE x IS NULL` says nothing about a new column without
/// a default.
fn derived(update: &UpdateTable, add: &AddColumn) -> Option<Derived> {
    let [(target, expr)] = update.set.as_slice() else { return None };
    if update.beyond.is_some() || expr.text.eq_ignore_ascii_case("default") {
        return None;
    }
    let filter =
        update.filter.clone().filter(|filter| add.default.is_some() || !is_null_test(filter, target));
    Some(Derived { alias: update.alias.clone(), expr: expr.clone(), filter })
}

/// `x IS NULL`, and nothing else.
fn is_null_test(filter: &Expr, column: &Ident) -> bool {
    match filter.columns.as_slice() {
        [reference] if reference.column == *column && reference.at.start == 0 => {
            let rest: String = filter.text[reference.at.end..].split_whitespace().collect();
            rest.eq_ignore_ascii_case("isnull")
        }
        _ => false,
    }
}

fn expressions(update: &UpdateTable) -> impl Iterator<Item = &Expr> {
    update.set.iter().map(|(_, expr)| expr).chain(&update.filter)
}

/// Rows that exist and rows that old code inserts get a value.
fn has_value(add: &AddColumn) -> bool {
    add.derived.is_some()
        || add.serial
        || add.identity.is_some()
        || add.default.as_ref().is_some_and(|default| default.null_when != NullWhen::Always)
}

#[cfg(test)]
mod tests {
    use crate::catalog::Catalog;
    use crate::kind::shared::testing::{catalog, steps, table};

    fn users() -> Catalog {
        catalog([table("users", &[("id", "bigint"), ("email", "text!"), ("name", "text")])])
    }

    /// Whether the UPDATE after these statements becomes a derivation.
    fn derives(sql: &str) -> bool {
        steps(&users(), sql).contains("CREATE TRIGGER")
    }

    #[test]
    fn an_update_joins_if_it_may_be_moved_up() {
        let add = "ALTER TABLE users ADD COLUMN x text";
        let update = "UPDATE users SET x = lower(email)";
        for between in [
            "",
            "COMMENT ON TABLE users IS 'x'",
            "CREATE INDEX i ON users (name)",
            "ALTER TABLE users ADD COLUMN y text",
            "ALTER TABLE users ADD COLUMN y text; UPDATE users SET y = upper(email)",
            "UPDATE users SET name = 'n'",
        ] {
            assert!(derives(&format!("{add}; {between}; {update}")), "{between}");
        }
        for between in [
            "UPDATE users SET email = 'n'",
            "ALTER TABLE users ALTER x SET DEFAULT 'a'",
            "INSERT INTO users (id, email) VALUES (1, 'a')",
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        ] {
            assert!(!derives(&format!("{add}; {between}; {update}")), "{between}");
        }
    }

    #[test]
    fn what_is_written_later_is_not_a_source() {
        let sql =
            "ALTER TABLE users ADD x text; UPDATE users SET x = name; UPDATE users SET name = upper(name)";
        assert!(!derives(sql));
        assert_eq!(steps(&users(), sql).matches("row set").count(), 2);
    }

    #[test]
    fn only_the_new_column_by_itself_joins() {
        for (sql, joins) in [
            ("ALTER TABLE users ADD x text; UPDATE users SET x = name WHERE x IS NULL", true),
            ("ALTER TABLE users ADD x text; UPDATE users u SET x = name WHERE u.x IS NULL", true),
            ("ALTER TABLE users ADD x text DEFAULT 'a'; UPDATE users SET x = name WHERE x IS NULL", false),
            ("ALTER TABLE users ADD x text; UPDATE users SET x = name WHERE x IS NULL OR id > 3", false),
            ("ALTER TABLE users ADD x text, ADD y text; UPDATE users SET x = name, y = name", false),
            ("ALTER TABLE users ADD x text; UPDATE users SET name = email", false),
            ("ALTER TABLE users ADD x text NOT NULL DEFAULT 'a'; UPDATE users SET x = name", false),
            ("ALTER TABLE users ADD IF NOT EXISTS x text; UPDATE users SET x = name", false),
        ] {
            assert_eq!(derives(sql), joins, "{sql}");
        }
    }

    #[test]
    fn set_not_null_joins_a_column_that_has_a_value() {
        let shown =
            steps(&users(), "ALTER TABLE users ADD x int DEFAULT 1; ALTER TABLE users ALTER x SET NOT NULL");
        assert_eq!(shown, "expand: ALTER TABLE public.users ADD COLUMN x integer DEFAULT 1 NOT NULL\n");
        let shown = steps(&users(), "ALTER TABLE users ADD x int; ALTER TABLE users ALTER x SET NOT NULL");
        assert!(shown.contains("validate, proof"), "{shown}");
        let shown = steps(
            &users(),
            "ALTER TABLE users ADD x int DEFAULT 1, ADD y int DEFAULT 2;
             ALTER TABLE users ALTER x SET NOT NULL, ALTER y SET NOT NULL",
        );
        assert_eq!(shown.lines().count(), 2, "{shown}");
    }
}
