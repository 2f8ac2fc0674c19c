//! DROP and CREATE of one name, wherever in the file they stand: one replacement, at the place of the last CREATE.
//!
//! ```sql
//! DROP VIEW v;                              -- joins
//! ALTER TABLE t ADD COLUMN c int;           -- stays: it runs before the replacement
//! ALTER TABLE t DROP COLUMN b;              -- stays: it waits for contract
//! CREATE VIEW v AS SELECT id, c FROM t;     -- joins
//! ```
//!
//! Replacements whose statements overlap become one, because what lies between may need both. What joins takes effect at its
//! place, so that the statements between are judged as the file says; only on the server the old objects stay until the
//! replacement.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::Object;
use crate::change::{Change, Statement};
use crate::effect::Effect;
use crate::kind::replace::Replace;
use crate::sql::directive::Directives;
use crate::sql::ident::{Ident, Name};

/// Joins each group into its last statement.
pub(super) fn combine(statements: &mut [Statement]) {
    for group in groups(statements) {
        if group.holds(statements) {
            group.join(statements);
        }
    }
}

/// What can be replaced.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Item {
    /// View or materialized view.
    View(Name),
    /// Trigger of a table.
    Trigger(Name, Ident),
    /// Functions and procedures of this name.
    Function(Name),
}

/// From the first DROP to the last CREATE of things that come again.
#[derive(Debug)]
struct Group {
    from: usize,
    to: usize,
    again: BTreeSet<Item>,
}

/// How a change stands to a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// It is part of the replacement.
    Joins,
    /// It is planned apart.
    Stays,
    /// It can be neither: there is no replacement.
    Forbids,
}

fn groups(statements: &[Statement]) -> Vec<Group> {
    let mut open: BTreeMap<Item, usize> = BTreeMap::new();
    let mut groups: Vec<Group> = Vec::new();
    for (at, statement) in statements.iter().enumerate().filter(|(_, statement)| free(statement)) {
        for change in statement.changes.iter().flatten() {
            if let Some(item) = dropped(change) {
                open.entry(item).or_insert(at);
            }
            let Some((item, from)) = created(change).and_then(|item| open.remove_entry(&item)) else {
                continue;
            };
            let mut group = Group { from, to: at, again: [item].into() };
            while groups.last().is_some_and(|last| last.to >= group.from) {
                let Some(last) = groups.pop() else { break };
                group.from = group.from.min(last.from);
                group.again.extend(last.again);
            }
            groups.push(group);
        }
    }
    groups
}

/// A directive belongs to its statement, and would lose it; only `allow` can move along.
fn free(statement: &Statement) -> bool {
    let others = Directives { allow: Vec::new(), used: Vec::new(), ..statement.directives.clone() };
    others.is_empty() && statement.absorbed.is_empty()
}

impl Group {
    fn holds(&self, statements: &[Statement]) -> bool {
        let mut made = BTreeSet::new();
        statements[self.from..=self.to].iter().all(|statement| {
            statement.changes.iter().flatten().all(|change| {
                let role = self.role(statement, change);
                made.extend(created(change).filter(|_| role == Role::Joins));
                // It would run before the new one is there.
                let early = || made.iter().any(|item| mentions(&statement.sql, item));
                role == Role::Joins || (role == Role::Stays && !early())
            })
        })
    }

    fn role(&self, statement: &Statement, change: &Change) -> Role {
        let again = |item: &Item| self.again.contains(item);
        let joins = |joins: bool| if joins && free(statement) { Role::Joins } else { Role::Stays };
        let named = || self.again.iter().any(|item| mentions(&statement.sql, item));
        if let Some(item) = dropped(change) {
            return joins(again(&item));
        }
        if let Some(item) = created(change) {
            return joins(again(&item) || named());
        }
        let fires =
            |table: &Name| self.again.iter().any(|item| matches!(item, Item::Trigger(on, _) if on == table));
        match change {
            // As written it does not fire the trigger that is away at the moment.
            Change::UpdateTable(update) if fires(&update.table) => Role::Forbids,
            Change::DeleteTable(delete) if fires(&delete.table) => Role::Forbids,
            Change::CreateIndex(create) => joins(again(&Item::View(create.table.clone()))),
            // It is why the view goes: with the view there it fails.
            Change::ChangeType(_) => joins(true),
            Change::AsWritten(written) => match written.kind {
                "comment" | "grant" | "revoke" => joins(named()),
                "alter_type" => joins(true),
                "insert" if written.locks.iter().any(|lock| fires(&lock.relation)) => Role::Forbids,
                kind if kind.starts_with("drop_") || kind.starts_with("rename_") => Role::Forbids,
                _ => Role::Stays,
            },
            _ => Role::Stays,
        }
    }

    fn join(&self, statements: &mut [Statement]) {
        let mut what: Vec<String> = Vec::new();
        let mut parts: Vec<Change> = Vec::new();
        let mut own = 0;
        let mut allow = Vec::new();
        for statement in &mut statements[self.from..=self.to] {
            let of = statement.clone();
            let Ok(changes) = &mut statement.changes else { continue };
            let before = parts.len();
            let mut kept = Vec::new();
            for change in changes.drain(..) {
                if self.role(&of, &change) == Role::Joins {
                    what.extend(dropped(&change).map(|item| item.to_string()));
                    parts.push(change);
                } else {
                    kept.push(change);
                }
            }
            own = parts.len() - before;
            *changes = kept;
            if own > 0 {
                statement.absorbed = parts[before..].to_vec();
                let Directives { allow: allowed, used, .. } = &mut statement.directives;
                allow.extend(allowed.extract_if(.., |(code, _)| !used.contains(code)));
            }
        }
        let views: Vec<Name> = self
            .again
            .iter()
            .filter_map(|item| match item {
                Item::View(name) => Some(name.clone()),
                Item::Trigger(..) | Item::Function(_) => None,
            })
            .collect();
        let together = |change: &mut Change| {
            if let Change::DropView(drop) = change {
                drop.together.clone_from(&views);
            }
        };
        for statement in &mut statements[self.from..=self.to] {
            statement.absorbed.iter_mut().for_each(together);
        }
        parts.iter_mut().for_each(together);
        let last = &mut statements[self.to];
        last.absorbed.clear();
        last.directives.allow.extend(allow);
        if let Ok(changes) = &mut last.changes {
            changes.push(Change::Replace(Replace { parts, own, what }));
        }
    }
}

impl std::fmt::Display for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::View(name) => write!(f, "view {name}"),
            Self::Trigger(table, name) => write!(f, "trigger {name} of {table}"),
            Self::Function(name) => write!(f, "function {name}"),
        }
    }
}

fn dropped(change: &Change) -> Option<Item> {
    match change {
        Change::DropView(drop) => Some(Item::View(drop.view.clone())),
        Change::DropTrigger(drop) => Some(Item::Trigger(drop.table.clone(), drop.name.clone())),
        Change::DropObject(drop) => match &drop.object {
            Object::Function(name) => Some(Item::Function(name.clone())),
            Object::Type(_) | Object::Sequence(_) => None,
        },
        _ => None,
    }
}

fn created(change: &Change) -> Option<Item> {
    match change {
        Change::CreateTrigger(create) => {
            Some(Item::Trigger(create.table.clone(), create.trigger.name.clone()))
        }
        Change::AsWritten(written) => match (written.kind, written.effects.first()) {
            ("create_view" | "create_materialized_view", Some(Effect::Relation(view))) => {
                Some(Item::View(view.name.clone()))
            }
            ("create_function" | "create_procedure", Some(Effect::Function(function))) => {
                Some(Item::Function(function.name.clone()))
            }
            _ => None,
        },
        _ => None,
    }
}

/// Whether the text has the object's name as a word. Once too often does no harm: the statement then joins, or waits.
fn mentions(sql: &str, item: &Item) -> bool {
    let (Item::View(Name { name, .. }) | Item::Trigger(_, name) | Item::Function(Name { name, .. })) = item;
    let (sql, name) = (sql.to_lowercase(), name.as_str().to_lowercase());
    let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$');
    sql.match_indices(&name)
        .any(|(at, _)| !part(sql[..at].chars().next_back()) && !part(sql[at + name.len()..].chars().next()))
}

#[cfg(test)]
mod tests {
    use crate::diagnostic::Code;
    use crate::kind::shared::proving::{catalog, plan};
    use crate::kind::shared::testing::refused;
    use crate::plan::Phase;

    const SCHEMA: &str = "CREATE TABLE t (id int PRIMARY KEY, a int, b int);
        CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE TRIGGER g BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f();
        CREATE TRIGGER h BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f()";
    const AGAIN: &str = "CREATE TRIGGER g AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f()";

    /// Titles of the steps that replace, with their phases.
    fn replaced(sql: &str) -> Vec<(Phase, String)> {
        let steps = plan(&catalog(SCHEMA), sql).steps.into_iter();
        steps.filter(|step| step.title.starts_with("Replace")).map(|step| (step.phase, step.title)).collect()
    }

    #[test]
    fn apart_and_as_many_as_overlap() {
        let g = [(Phase::Expand, "Replace trigger g of public.t".to_owned())];
        for between in [
            "ALTER TABLE t ADD COLUMN c int",
            "ALTER TABLE t DROP COLUMN a",
            "CREATE INDEX ON t (a)",
            "COMMENT ON TABLE t IS 'x'",
        ] {
            assert_eq!(replaced(&format!("DROP TRIGGER g ON t; {between}; {AGAIN}")), g, "{between}");
        }
        let h = "CREATE TRIGGER h AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f()";
        assert_eq!(replaced(&format!("DROP TRIGGER g ON t; {AGAIN}; DROP TRIGGER h ON t; {h}")).len(), 2);
        assert_eq!(replaced(&format!("DROP TRIGGER g ON t; DROP TRIGGER h ON t; {AGAIN}; {h}")).len(), 1);
    }

    #[test]
    fn rows_are_written_before() {
        let sql = format!("UPDATE t SET a = b + 1; DROP TRIGGER g ON t; {AGAIN}");
        assert_eq!(replaced(&sql)[0].0, Phase::Validate);
    }

    #[test]
    fn a_comment_waits_for_its_index() {
        let sql = "ALTER TABLE t ADD COLUMN c int; CREATE INDEX i ON t (c); COMMENT ON INDEX i IS 'x'";
        let plan = plan(&catalog(SCHEMA), sql);
        let phases: Vec<Phase> = plan.steps.iter().map(|step| step.phase).collect();
        assert_eq!(phases, [Phase::Expand, Phase::Validate, Phase::Validate]);
        let sql = "CREATE UNIQUE INDEX i ON t (a); COMMENT ON INDEX i IS 'x'";
        assert_eq!(refused(&catalog(SCHEMA), sql).0, Code::SplitFile);
    }

    #[test]
    fn what_cannot_be_moved() {
        let sql = format!("DROP TRIGGER g ON t; UPDATE t SET a = b + 1; {AGAIN}");
        assert_eq!(refused(&catalog(SCHEMA), &sql).0, Code::SplitFile);
        let sql = "CREATE FUNCTION n() RETURNS int LANGUAGE sql AS 'SELECT 1'; DROP FUNCTION n;
             CREATE FUNCTION n() RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 2'; CREATE INDEX ON t (n())";
        assert_eq!(replaced(sql).len(), 1);
    }
}
