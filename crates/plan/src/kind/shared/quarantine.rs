//! Quarantine: a row for which the expression of a column raises an error is written all the same, with NULL in that column, and an
//! entry in the ledger says why.
//!
//! Two triggers fire for the row, one directly after the other. The first evaluates the user's expression with the rights of whoever
//! writes, and hands on what was raised in a setting of the transaction. The second fires only where there is something, and writes
//! the entry with its owner's rights, since writers have none on our schema; it evaluates nothing of the user's.
//!
//! An entry says that a row was in that state once. Whether it still is, is asked of the row: it may have been deleted or corrected
//! since, by whoever owns it, and no entry has to be written for that.

use crate::catalog::{Relation, TriggerEvent};
use crate::ddl;
use crate::effect::Effect;
use crate::kind::Ctx;
use crate::kind::shared::row_trigger::RowTrigger;
use crate::kind::shared::sync;
use crate::plan::{Quarantined, sync_trigger};
use crate::sql::ident::{Ident, Name, literal};

/// The second trigger with its function.
#[derive(Clone, Debug)]
pub(crate) struct Quarantine {
    trigger: RowTrigger,
    setting: String,
    migration: String,
    quarantined: Quarantined,
}

/// Columns that identify a row of the table, with their types.
pub(crate) fn key(table: &Relation) -> Vec<(Ident, String)> {
    let typed = |name: Ident| table.column(&name).map(|column| (name, column.data_type.clone()));
    table.row_keys().into_iter().next().unwrap_or_default().into_iter().filter_map(typed).collect()
}

/// The key of the row as the ledger keeps it. `concat` calls nothing but the types' own output functions.
fn key_text(key: &[(Ident, String)]) -> String {
    let parts: Vec<String> =
        key.iter().map(|(column, _)| format!("pg_catalog.concat(NEW.{})", sync::quoted(column))).collect();
    format!("ARRAY[{}]::pg_catalog.text[]", parts.join(", "))
}

impl Quarantine {
    /// For what the next trigger of ours on the table will catch.
    pub(crate) fn new(ctx: &Ctx, quarantined: Quarantined, content: &str) -> Self {
        let content = format!("quarantine {content}");
        Self {
            trigger: RowTrigger::at(ctx, &quarantined.table, 1, "quarantine", &quarantined.column, &content),
            setting: format!("concertina.{}", Ident::generated("failed", &content).as_str()),
            migration: ctx.migration.to_owned(),
            quarantined,
        }
    }

    /// What status and `concertina quarantine` read.
    pub(crate) fn quarantined(&self) -> Quarantined {
        self.quarantined.clone()
    }

    /// The function that tries the expression.
    pub(crate) fn attempt(&self) -> &Name {
        &self.quarantined.attempt
    }

    /// The statement in the place of an assignment, in the first trigger's function.
    pub(crate) fn caught(&self, assign: &str, indent: &str) -> String {
        let target = sync::quoted(&self.quarantined.target);
        let setting = literal(&self.setting);
        format!(
            "{indent}BEGIN\n{assign}{indent}EXCEPTION WHEN OTHERS THEN\n{indent}  NEW.{target} := NULL;\n\
             {indent}  PERFORM pg_catalog.set_config({setting}, pg_catalog.concat(SQLSTATE, ' ', SQLERRM), true);\n{indent}END;\n"
        )
    }

    /// Statements that install it, after the first trigger.
    pub(crate) fn create(&self) -> Vec<String> {
        vec![
            ddl::trigger::create_recording_function(self.trigger.function(), &self.body()),
            self.definition("pg_catalog."),
        ]
    }

    /// Statements that remove it, also when it is gone already.
    pub(crate) fn remove(&self) -> Vec<String> {
        self.trigger.remove()
    }

    /// What installing it does to the catalog.
    pub(crate) fn appears(&self) -> Effect {
        let on = vec![TriggerEvent::Insert, TriggerEvent::Update];
        let trigger = sync_trigger(self.trigger.name().clone(), on, self.definition(""));
        Effect::Trigger { table: self.trigger.table().clone(), trigger }
    }

    /// What removing it does to the catalog.
    pub(crate) fn goes(&self) -> Effect {
        self.trigger.goes()
    }

    /// As it is written, or as `pg_get_triggerdef` gives it back.
    fn definition(&self, functions: &str) -> String {
        let (setting, table) = (literal(&self.setting), self.trigger.table());
        let condition = format!("{functions}current_setting({setting}::text, true) <> ''::text");
        ddl::trigger::create_trigger_when(self.trigger.name(), table, &condition, self.trigger.function())
    }

    /// An entry that is there says it again. Nobody removes any before the migration is over, so that nobody relies on one that goes.
    fn body(&self) -> String {
        let (place, key) = (self.place(), key_text(&self.quarantined.key));
        let setting = literal(&self.setting);
        format!(
            "DECLARE
  said pg_catalog.text := pg_catalog.current_setting({setting}, true);
  row_key pg_catalog.text[] := {key};
BEGIN
  INSERT INTO concertina.quarantine (migration, relation, attribute, key, sqlstate, message)
  SELECT {place}, row_key, pg_catalog.left(said, 5), pg_catalog.substr(said, 7, 500)
  WHERE NOT EXISTS (
    SELECT FROM concertina.quarantine AS q
    WHERE q.key = row_key AND (q.migration, q.relation, q.attribute, q.sqlstate) = ({place}, pg_catalog.left(said, 5))
      AND NOT q.settled
  );
  PERFORM pg_catalog.set_config({setting}, '', true);
  RETURN NEW;
END"
        )
    }

    /// Whose entries they are.
    fn place(&self) -> String {
        let Quarantined { table, column, .. } = &self.quarantined;
        [self.migration.as_str(), &table.to_string(), column.as_str()].map(literal).join(", ")
    }

    /// True for rows under `alias` whose value somebody gave with `concertina quarantine set`.
    pub(crate) fn settled(&self, alias: &Ident) -> String {
        let key = &self.quarantined.key;
        if key.is_empty() {
            return "false".to_owned();
        }
        let same = key
            .iter()
            .enumerate()
            .map(|(at, (column, data_type))| format!("{alias}.{column} = (q.key[{}])::{data_type}", at + 1));
        // Other entries' keys are of other types, and are not to be read as this one's.
        format!(
            "EXISTS (SELECT FROM concertina.quarantine AS q WHERE q.settled AND CASE WHEN (q.migration, q.relation, q.attribute) = ({}) \
             THEN {} END)",
            self.place(),
            same.collect::<Vec<_>>().join(" AND ")
        )
    }
}
