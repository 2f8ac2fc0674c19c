//! Counts updates of rows that give the two columns of one value different values, by which one of them is lost: new code's counts.
//!
//! A trigger's WHEN asks, so that PL/pgSQL is entered only where it happens. It looks at what the statement wrote, before any other
//! trigger. The count is a sequence: nobody waits for it, and it is no row that all writers share. The function runs with its
//! owner's rights and a pinned `search_path`, because writers have no rights on our schema.
//!
//! What the figure is: an update that is rolled back counts too, and a server that crashes may add up to 32
//! (`SEQ_LOG_VALS` in src/backend/commands/sequence.c). An INSERT does not count: a default in one of the columns would look like
//! a value that somebody wrote.

use crate::catalog::TriggerEvent;
use crate::ddl;
use crate::effect::Effect;
use crate::kind::Ctx;
use crate::kind::shared::sync;
use crate::plan::{Counted, sync_trigger};
use crate::sql::ident::{Ident, Name};

/// The trigger, its function and its sequence.
#[derive(Clone, Debug)]
pub(crate) struct DoubleWrites {
    trigger: Ident,
    function: Name,
    counted: Counted,
}

impl DoubleWrites {
    /// Counts for a column and its second name.
    pub(crate) fn new(ctx: &Ctx, table: &Name, old: &Ident, new: &Ident) -> Self {
        let content = format!("{} double writes {table}.{old} {new}", ctx.migration);
        let ours =
            |name: String| Name { schema: Ident::new("concertina"), name: Ident::generated(&name, &content) };
        Self {
            trigger: Ident::generated(&format!("{BEFORE_ALL}{}", new.as_str()), &content),
            function: ours(format!("count_{}", new.as_str())),
            counted: Counted {
                sequence: ours(format!("counts_{}", new.as_str())),
                table: table.clone(),
                old: old.clone(),
                new: new.clone(),
            },
        }
    }

    /// What status reads.
    pub(crate) fn counted(&self) -> Counted {
        self.counted.clone()
    }

    /// Statements that install it. Both columns are there.
    pub(crate) fn create(&self) -> Vec<String> {
        let body = format!(
            "BEGIN\n  PERFORM pg_catalog.{};\n  RETURN NEW;\nEND",
            ddl::sequence::next_value(&self.counted.sequence)
        );
        vec![
            ddl::sequence::create(&self.counted.sequence, "bigint", "", false),
            ddl::trigger::create_definer_function(&self.function, &body),
            self.definition("pg_catalog."),
        ]
    }

    /// Statements that remove it, also when it is gone already.
    pub(crate) fn remove(&self) -> Vec<String> {
        vec![
            ddl::trigger::drop_trigger(&self.trigger, &self.counted.table),
            ddl::trigger::drop_function(&self.function),
            ddl::sequence::drop(&self.counted.sequence),
        ]
    }

    /// What installing it does to the catalog.
    pub(crate) fn appears(&self) -> Effect {
        Effect::Trigger {
            table: self.counted.table.clone(),
            trigger: sync_trigger(self.trigger.clone(), vec![TriggerEvent::Update], self.definition("")),
        }
    }

    /// What removing it does to the catalog.
    pub(crate) fn goes(&self) -> Effect {
        Effect::TriggerGone { table: self.counted.table.clone(), trigger: self.trigger.clone() }
    }

    /// As it is written, or as `pg_get_triggerdef` gives it back.
    fn definition(&self, functions: &str) -> String {
        let Counted { table, old, new, .. } = &self.counted;
        let differ =
            |one: String, other: String| format!("{functions}record_image_ne(ROW({one}), ROW({other}))");
        let condition = [
            differ(format!("old.{old}"), format!("new.{old}")),
            differ(format!("old.{new}"), format!("new.{new}")),
            differ(format!("new.{old}"), format!("new.{new}")),
        ]
        .join(" AND ");
        ddl::trigger::create_update_trigger_when(&self.trigger, table, &condition, &self.function)
    }
}

/// Sorts before the first trigger of any mirror.
const BEFORE_ALL: &str = "!!concertina_";

/// Whether a trigger is one of ours, as a condition on `pg_trigger.tgname`; see [`sync::is_ours`].
pub(crate) fn is_ours_sql(name: &str) -> String {
    debug_assert!(sync::is_ours(&Ident::new(format!("{BEFORE_ALL}x"))));
    format!("{name} OPERATOR(pg_catalog.~) '^[!~]+concertina_'")
}
