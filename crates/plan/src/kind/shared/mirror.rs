//! Two columns that hold the same, whichever of them is written: old code knows one name, new code the other.
//!
//! One function, two BEFORE row triggers. The first fires before users' triggers, so that those which read the old column see
//! what new code wrote; the last fires after them, and carries over what they changed.
//!
//! | written | first trigger |
//! |---|---|
//! | INSERT, new column set | new is the source |
//! | INSERT, new column not set | old is the source |
//! | UPDATE of one of them | that one is the source |
//! | UPDATE of both | new is the source; if they agree, nothing changes |
//! | UPDATE of neither | nothing changes |
//!
//! "Set" means another value than the column's default: where the old column may be NULL, the second one has its default too, so
//! that an explicit NULL of new code is told from nothing. What changed is decided by the image of the values, never by `=`.
//! The function calls nothing but what it names in full, so neither the writer's `search_path` nor its rights matter, and no
//! trigger asks who writes. A write inside a user's trigger fires both triggers for its own row like any other: nothing recurses,
//! because neither trigger writes any row but the one that it is given.

use crate::catalog::{Catalog, Column, Relation, Trigger, TriggerEvent, Type, TypeKind};
use crate::ddl;
use crate::diagnostic::{Code, Refusal};
use crate::effect::Effect;
use crate::kind::Ctx;
use crate::kind::shared::{batch, sync};
use crate::plan::{Probe, sync_trigger};
use crate::sql::constant::{self, Constant};
use crate::sql::ident::{Ident, Name, literal};

/// The triggers and their function.
#[derive(Clone, Debug)]
pub(crate) struct Mirror {
    table: Name,
    first: Ident,
    last: Ident,
    function: Name,
    body: String,
    rights: Rights,
    default: Option<String>,
}

/// How the function runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rights {
    /// It names everything in full.
    Plain,
    /// It evaluates the column's default, which means what it means under this `search_path`.
    Path,
    /// It looks whether a key is there, which writers may not be allowed to.
    Owner,
}

impl Mirror {
    /// Plans it for `column` and its second name.
    ///
    /// # Errors
    /// Where a trigger of the table's own would fire before the first or after the last.
    pub(crate) fn new(ctx: &Ctx, table: &Relation, column: &Column, second: &Ident) -> Result<Self, Refusal> {
        let keys = keys(ctx.physical, &table.name, &column.name);
        // A function with its owner's rights evaluates nothing of the user's.
        let default = carried_default(column).filter(|_| keys.is_empty());
        let pair = Pair { table: &table.name, old: &column.name, new: second, default, keys: &keys };
        let content = format!("{} mirror {}.{} {second}", ctx.migration, table.name, column.name);
        let ours = ctx.physical.relation(&table.name).map_or(0, sync::ours);
        let head =
            |prefix: &str| Ident::generated(&format!("{prefix}{ours:02}_{}", second.as_str()), &content);
        let function = Ident::generated(&format!("mirror_{}", second.as_str()), &content);
        let mirror = Self {
            table: table.name.clone(),
            first: head(FIRST),
            last: head(sync::PREFIX),
            body: pair.body(&Ident::generated("seen", &content)),
            function: Name { schema: Ident::new("concertina"), name: function },
            rights: match (keys.is_empty(), default) {
                (false, _) => Rights::Owner,
                (true, Some(_)) => Rights::Path,
                (true, None) => Rights::Plain,
            },
            default: default.map(ToOwned::to_owned),
        };
        mirror.fires_around(ctx)?;
        Ok(mirror)
    }

    /// Triggers fire in the order of their names, byte by byte.
    /// Source: `RelationBuildTriggers` in src/backend/commands/trigger.c, which scans by name.
    fn fires_around(&self, ctx: &Ctx) -> Result<(), Refusal> {
        let outside = |trigger: &&Trigger| {
            let name = trigger.name.as_str().as_bytes();
            users(trigger) && (name < self.first.as_str().as_bytes() || name > self.last.as_str().as_bytes())
        };
        let tree = ctx.physical.tree(&self.table);
        let Some((relation, trigger)) = tree
            .into_iter()
            .find_map(|relation| relation.triggers.iter().find(outside).map(|trigger| (relation, trigger)))
        else {
            return Ok(());
        };
        Err(Refusal::new(
            Code::NotYet,
            format!(
                "trigger {} of {} fires before the first or after the last trigger that keeps the columns in step, because of \
                 its name",
                trigger.name, relation.name
            ),
            format!(
                "ALTER TRIGGER {} ON {} RENAME TO a name that begins with a letter from a to z",
                trigger.name, relation.name
            ),
        ))
    }

    /// The default that the second column needs, so that an explicit NULL is told from nothing.
    pub(crate) fn default(&self) -> Option<&str> {
        self.default.as_deref()
    }

    /// Writers of one new key take turns.
    pub(crate) fn takes_turns(&self) -> bool {
        self.rights == Rights::Owner
    }

    /// Statements that install it. The second column is there.
    pub(crate) fn create(&self, catalog: &Catalog) -> Vec<String> {
        let function = match self.rights {
            Rights::Plain => ddl::trigger::create_plain_function(&self.function, &self.body),
            Rights::Path => {
                ddl::trigger::create_function(&self.function, &catalog.server.search_path, &self.body)
            }
            Rights::Owner => ddl::trigger::create_definer_function(&self.function, &self.body),
        };
        std::iter::once(function)
            .chain(self.both().map(|(name, argument)| self.trigger(name, argument)))
            .collect()
    }

    /// Statements that remove it, also when it is gone already.
    pub(crate) fn remove(&self) -> Vec<String> {
        let triggers = self.both().map(|(name, _)| ddl::trigger::drop_trigger(name, &self.table));
        triggers.into_iter().chain([ddl::trigger::drop_function(&self.function)]).collect()
    }

    /// What installing it does to the catalog.
    pub(crate) fn appears(&self) -> Vec<Effect> {
        let on = || vec![TriggerEvent::Insert, TriggerEvent::Update];
        let effect = |(name, argument): (&Ident, &str)| Effect::Trigger {
            table: self.table.clone(),
            trigger: sync_trigger(name.clone(), on(), self.trigger(name, argument)),
        };
        self.both().map(effect).into()
    }

    /// What removing it does to the catalog.
    pub(crate) fn goes(&self) -> Vec<Effect> {
        let gone =
            |(name, _): (&Ident, _)| Effect::TriggerGone { table: self.table.clone(), trigger: name.clone() };
        self.both().map(gone).into()
    }

    /// Whether it is there.
    pub(crate) fn probe(&self, exists: bool) -> Probe {
        let probe =
            |(name, _): (&Ident, _)| Probe::Trigger { table: self.table.clone(), name: name.clone(), exists };
        Probe::All { of: self.both().map(probe).into() }
    }

    fn both(&self) -> [(&Ident, &'static str); 2] {
        [(&self.first, "first"), (&self.last, "last")]
    }

    fn trigger(&self, name: &Ident, argument: &str) -> String {
        ddl::trigger::create_trigger_with(name, &self.table, &self.function, argument)
    }
}

/// Sorts before any name that begins with a letter, a digit or an underscore.
const FIRST: &str = "!concertina_";

/// A user's row trigger that fires before the row is written.
pub(crate) fn users(trigger: &Trigger) -> bool {
    let writes = trigger.on.contains(&TriggerEvent::Insert) || trigger.on.contains(&TriggerEvent::Update);
    trigger.row && trigger.before && writes && !sync::is_ours(&trigger.name)
}

/// The default that the second column has too: one that says the same twice within a statement. It is needed only where a NULL is
/// a value like any other.
fn carried_default(column: &Column) -> Option<&str> {
    /// As `pg_get_expr` spells them.
    const SAME_TWICE: [&str; 5] =
        ["now()", "CURRENT_TIMESTAMP", "CURRENT_DATE", "LOCALTIMESTAMP", "transaction_timestamp()"];
    let default = column.default.as_deref().filter(|_| column.not_null.is_none())?;
    (constant::read(default) == Constant::Value || SAME_TWICE.contains(&default)).then_some(default)
}

/// The unique keys that hold the column, each as its columns. Left out are those whose equality is not PostgreSQL's own: a function
/// with its owner's rights must not call what anybody may have made.
fn keys(catalog: &Catalog, table: &Name, column: &Ident) -> Vec<Vec<Ident>> {
    let Some(relation) = catalog.relation(table) else { return Vec::new() };
    let own = |name: &Ident| {
        relation.column(name).is_some_and(|column| {
            let of_column = |known: &&Type| {
                [known.name.to_string(), known.name.name.to_string()].contains(&column.data_type)
            };
            !catalog.types.values().filter(of_column).any(|known| known.kind == TypeKind::Other)
        })
    };
    let indexes = relation.indexes.iter();
    let mut keys: Vec<Vec<Ident>> = indexes
        .filter(|index| index.unique && index.immediate && !index.partial && !index.exclusion)
        .filter_map(|index| index.columns.iter().cloned().collect::<Option<Vec<Ident>>>())
        .filter(|key| key.contains(column) && key.iter().all(own))
        .collect();
    keys.sort();
    keys.dedup();
    keys
}

/// What the function's body is about.
struct Pair<'a> {
    table: &'a Name,
    old: &'a Ident,
    new: &'a Ident,
    default: Option<&'a str>,
    keys: &'a [Vec<Ident>],
}

impl Pair<'_> {
    /// `seen` names the setting that hands over from the first trigger to the last. There is one a depth, because a trigger between
    /// the two may write other rows.
    fn body(&self, seen: &Ident) -> String {
        let (old, new) = (sync::quoted(self.old), sync::quoted(self.new));
        let setting =
            format!("pg_catalog.concat('concertina.{}_', pg_catalog.pg_trigger_depth())", seen.as_str());
        let image = format!(
            "pg_catalog.concat(pg_catalog.hashtextextended(NEW.{new}::pg_catalog.text COLLATE pg_catalog.\"C\", 0))"
        );
        let set = match self.default {
            Some(_) => format!("pg_catalog.record_image_ne(ROW(NEW.{new}), ROW(unset))"),
            None => format!("pg_catalog.num_nonnulls(NEW.{new}) OPERATOR(pg_catalog.=) 1"),
        };
        let declare = match self.default {
            Some(default) => {
                format!("DECLARE\n  unset {}.{old}%TYPE := {};\n", self.table, batch::wrap(default))
            }
            None => String::new(),
        };
        format!(
            "{declare}BEGIN
  IF TG_ARGV[0] OPERATOR(pg_catalog.=) 'first' THEN
    IF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
      IF {set} THEN
        NEW.{old} := NEW.{new};
      ELSE
        NEW.{new} := NEW.{old};
      END IF;
    ELSIF pg_catalog.record_image_ne(ROW(OLD.{new}), ROW(NEW.{new})) THEN
      NEW.{old} := NEW.{new};
    ELSIF pg_catalog.record_image_ne(ROW(OLD.{old}), ROW(NEW.{old})) THEN
      NEW.{new} := NEW.{old};
    END IF;
    PERFORM pg_catalog.set_config({setting}, {image}, true);
  ELSE
    -- A trigger between the two has changed one of them, or the row has not been filled yet.
    IF pg_catalog.record_image_ne(ROW(NEW.{old}), ROW(NEW.{new})) THEN
      IF pg_catalog.current_setting({setting}, true) OPERATOR(pg_catalog.<>) {image} THEN
        NEW.{old} := NEW.{new};
      ELSE
        NEW.{new} := NEW.{old};
      END IF;
    END IF;
{}  END IF;
  RETURN NEW;
END",
            self.turns()
        )
    }

    /// Both columns are unique while both live. An upsert on one of them would fail on the other if two writers of a new key meet
    /// between their looking and their writing, so they take turns: one lock a key that is not there yet, held as long as the
    /// unique index would make the other wait anyway. Few a transaction, because a bulk load must not fill the lock table.
    /// Source: `ExecInsertIndexTuples` in src/backend/executor/execIndexing.c: only the index named by ON CONFLICT is forgiving.
    ///
    /// What is left: upserts that saw the key and wait for the transaction that deletes it. They wait in the executor, after this
    /// trigger, and go on together (9 of 7,442 upserts, 16 clients at 12 keys that are deleted all the time). A lock for keys that are there
    /// would close it and deadlock whoever locks a row, or deletes it, before upserting it, which is more often done.
    fn turns(&self) -> String {
        self.keys.iter().map(|key| self.turn(key)).collect()
    }

    fn turn(&self, key: &[Ident]) -> String {
        let new = |column: &Ident| format!("NEW.{}", sync::quoted(column));
        let values = key.iter().map(new).collect::<Vec<_>>().join(", ");
        let before =
            key.iter().map(|column| format!("OLD.{}", sync::quoted(column))).collect::<Vec<_>>().join(", ");
        let there = key
            .iter()
            .map(|column| format!("concertina_row.{column} = {}", new(column)))
            .collect::<Vec<_>>()
            .join(" AND ");
        let seed = literal(&format!(
            "{}.{}:",
            self.table,
            key.iter().map(Ident::as_str).collect::<Vec<_>>().join(",")
        ));
        format!(
            "    IF pg_catalog.num_nulls({values}) OPERATOR(pg_catalog.=) 0
      AND (TG_OP OPERATOR(pg_catalog.=) 'INSERT' OR pg_catalog.record_image_ne(ROW({before}), ROW({values}))) THEN
      IF pg_catalog.length(pg_catalog.current_setting('concertina.turns', true)) OPERATOR(pg_catalog.>=) {TURNS} THEN
        NULL;
      ELSIF NOT EXISTS (SELECT FROM {} AS concertina_row WHERE {there}) THEN
        PERFORM pg_catalog.set_config('concertina.turns',
          pg_catalog.concat(pg_catalog.current_setting('concertina.turns', true), '.'), true);
        PERFORM pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended(
          pg_catalog.concat({seed}, ROW({values})) COLLATE pg_catalog.\"C\", 0));
      END IF;
    END IF;
",
            self.table
        )
    }
}

/// Locks that one transaction takes at most.
pub(crate) const TURNS: usize = 16;
