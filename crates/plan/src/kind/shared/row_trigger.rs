//! A trigger of ours that keeps a column in step: BEFORE INSERT OR UPDATE, for each row, last of all, with a function of its own.

use crate::catalog::TriggerEvent;
use crate::ddl;
use crate::effect::Effect;
use crate::kind::Ctx;
use crate::kind::shared::sync;
use crate::plan::{Probe, sync_trigger};
use crate::sql::ident::{Ident, Name};

/// The trigger and the name of its function.
#[derive(Clone, Debug)]
pub(crate) struct RowTrigger {
    table: Name,
    name: Ident,
    function: Name,
}

impl RowTrigger {
    /// Names both after the column, and the function after what it does, `verb`. Triggers of ours fire in the order in which they were
    /// planned: one may read what another derives.
    pub(crate) fn new(ctx: &Ctx, table: &Name, verb: &str, column: &Ident, content: &str) -> Self {
        Self::at(ctx, table, 0, verb, column, content)
    }

    /// The same, `after` so many others that are planned together with it.
    pub(crate) fn at(
        ctx: &Ctx,
        table: &Name,
        after: usize,
        verb: &str,
        column: &Ident,
        content: &str,
    ) -> Self {
        let place = ctx.physical.relation(table).map_or(0, sync::ours) + after;
        let head = format!("{}{place:02}_{}", sync::PREFIX, column.as_str());
        Self {
            table: table.clone(),
            name: Ident::generated(&head, content),
            function: Name {
                schema: Ident::new("concertina"),
                name: Ident::generated(&format!("{verb}_{}", column.as_str()), content),
            },
        }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &Ident {
        &self.name
    }

    /// Its table.
    pub(crate) fn table(&self) -> &Name {
        &self.table
    }

    /// Its function.
    pub(crate) fn function(&self) -> &Name {
        &self.function
    }

    /// The statement that makes it; the function is there.
    pub(crate) fn create(&self) -> String {
        ddl::trigger::create_trigger(&self.name, &self.table, &self.function)
    }

    /// Statements that remove it and its function, also when they are gone already.
    pub(crate) fn remove(&self) -> Vec<String> {
        vec![ddl::trigger::drop_trigger(&self.name, &self.table), ddl::trigger::drop_function(&self.function)]
    }

    /// What installing it does to the catalog.
    pub(crate) fn appears(&self) -> Effect {
        let on = vec![TriggerEvent::Insert, TriggerEvent::Update];
        let trigger = sync_trigger(self.name.clone(), on, self.create());
        Effect::Trigger { table: self.table.clone(), trigger }
    }

    /// What removing it does to the catalog.
    pub(crate) fn goes(&self) -> Effect {
        Effect::TriggerGone { table: self.table.clone(), trigger: self.name.clone() }
    }

    /// Whether it is there.
    pub(crate) fn probe(&self, exists: bool) -> Probe {
        Probe::Trigger { table: self.table.clone(), name: self.name.clone(), exists }
    }
}
