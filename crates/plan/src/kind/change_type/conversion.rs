//! Values of one column carried into another of another type: the trigger for rows that are written, and the expression for rows
//! that are there.
//!
//! The trigger fires last of the BEFORE row triggers, derives only when a source changes by its image, so that an unrelated write
//! neither rolls a volatile expression again nor spends anything, and never fails an application's write: a row whose value cannot be
//! converted goes into quarantine.

use crate::catalog::{Relation, Volatility};
use crate::ddl;
use crate::effect::Effect;
use crate::kind::Ctx;
use crate::kind::shared::batch::wrap;
use crate::kind::shared::quarantine::{self, Quarantine};
use crate::kind::shared::row_trigger::RowTrigger;
use crate::kind::shared::{batch, sync};
use crate::plan::{Blocks, Probe, Quarantined};
use crate::sql::expr::Expr;
use crate::sql::ident::{Ident, Name};

/// What is converted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Values<'a> {
    /// Column whose values are converted.
    pub(super) from: &'a Ident,
    /// Its type.
    pub(super) from_type: &'a str,
    /// Column that they go into.
    pub(super) into: &'a Ident,
    /// Its type.
    pub(super) into_type: &'a str,
    /// The expression over columns of the row; `None` assigns the value as it is.
    pub(super) by: Option<&'a Expr>,
    /// Some values raise an error, and what such rows block.
    pub(super) may_fail: Option<Blocks>,
}

/// A conversion with its trigger and functions.
#[derive(Clone, Debug)]
pub(super) struct Conversion {
    from: Ident,
    into: Ident,
    into_type: String,
    by: Option<Expr>,
    /// Columns read, with their types.
    sources: Vec<(Ident, String)>,
    search_path: Vec<Ident>,
    again: bool,
    trigger: RowTrigger,
    /// Where it may fail.
    quarantine: Option<Quarantine>,
}

impl Conversion {
    /// Plans it for rows of `table`, which has the columns or will have them.
    pub(super) fn new(ctx: &Ctx, table: &Relation, values: Values) -> Self {
        let content = format!("{} {} {} {}", ctx.migration, table.name, values.into, values.into_type);
        let mut sources = vec![(values.from.clone(), values.from_type.to_owned())];
        for reference in values.by.iter().flat_map(|expr| &expr.columns) {
            let known = sources.iter().any(|(name, _)| *name == reference.column);
            if let Some(column) = table.column(&reference.column).filter(|_| !known) {
                sources.push((column.name.clone(), column.data_type.clone()));
            }
        }
        if let Some(by) = values.by {
            sources.retain(|(name, _)| by.uses(name));
        }
        let quarantine = values.may_fail.map(|blocks| {
            let quarantined = Quarantined {
                table: table.name.clone(),
                column: values.from.clone(),
                target: values.into.clone(),
                data_type: values.into_type.to_owned(),
                key: quarantine::key(table),
                attempt: Name {
                    schema: Ident::new("concertina"),
                    name: Ident::generated(&format!("try_{}", values.from.as_str()), &content),
                },
                sources: sources.iter().map(|(name, _)| name.clone()).collect(),
                blocks,
            };
            Quarantine::new(ctx, quarantined, &content)
        });
        Self {
            from: values.from.clone(),
            into: values.into.clone(),
            into_type: values.into_type.to_owned(),
            by: values.by.cloned(),
            sources,
            search_path: ctx.physical.server.search_path.clone(),
            again: values.by.is_none_or(|by| by.volatility(ctx.physical) < Volatility::Volatile),
            trigger: RowTrigger::new(ctx, &table.name, "convert", values.from, &content),
            quarantine,
        }
    }

    /// The function that tries the conversion, if any: it gives the value, or what was raised.
    pub(super) fn attempt(&self) -> Option<&Name> {
        self.quarantine.as_ref().map(Quarantine::attempt)
    }

    /// What is recorded of rows whose value cannot be converted.
    pub(super) fn quarantined(&self) -> Option<Quarantined> {
        self.quarantine.as_ref().map(Quarantine::quarantined)
    }

    /// Makes that function.
    pub(super) fn create_attempt(&self) -> Vec<String> {
        let Some(name) = self.attempt() else { return Vec::new() };
        let argument = |column: &Ident| {
            let at = self.sources.iter().position(|(name, _)| name == column).unwrap_or_default();
            format!("${}", at + 1)
        };
        let value = self.expression(&argument);
        vec![ddl::trigger::create_attempt(name, &self.search_path, &self.types(), &self.into_type, &value)]
    }

    /// Removes it, also when it is gone already.
    pub(super) fn remove_attempt(&self) -> Vec<String> {
        self.attempt().iter().map(|name| ddl::trigger::drop_attempt(name, &self.types())).collect()
    }

    /// Its arguments' types.
    fn types(&self) -> Vec<&str> {
        self.sources.iter().map(|(_, data_type)| data_type.as_str()).collect()
    }

    /// Statements that install the trigger. Both columns are there.
    pub(super) fn create(&self) -> Vec<String> {
        let (name, body) = (self.trigger.function(), self.body());
        let function = match &self.by {
            // Nothing in it is looked up by name.
            None => ddl::trigger::create_plain_function(name, &body),
            Some(_) => ddl::trigger::create_function(name, &self.search_path, &body),
        };
        let caught = self.quarantine.iter().flat_map(Quarantine::create);
        [function, self.trigger.create()].into_iter().chain(caught).collect()
    }

    /// Statements that remove the trigger, also when it is gone already.
    pub(super) fn remove(&self) -> Vec<String> {
        let caught = self.quarantine.iter().flat_map(Quarantine::remove);
        self.trigger.remove().into_iter().chain(caught).collect()
    }

    /// What installing it does to the catalog.
    pub(super) fn appears(&self) -> Vec<Effect> {
        let caught = self.quarantine.iter().map(Quarantine::appears);
        std::iter::once(self.trigger.appears()).chain(caught).collect()
    }

    /// What removing it does to the catalog.
    pub(super) fn goes(&self) -> Vec<Effect> {
        let caught = self.quarantine.iter().map(Quarantine::goes);
        std::iter::once(self.trigger.goes()).chain(caught).collect()
    }

    /// Whether it is there.
    pub(super) fn probe(&self, exists: bool) -> Probe {
        self.trigger.probe(exists)
    }

    /// The value for a row of the table under `alias`; NULL where it cannot be converted.
    pub(super) fn value(&self, alias: &Ident) -> String {
        match self.attempt() {
            Some(attempt) => format!("({}).value", self.tried(attempt, alias)),
            None => match &self.by {
                Some(by) => batch::qualified(alias, by),
                None => format!("{alias}.{}::{}", self.from, self.into_type),
            },
        }
    }

    /// True for rows that still need their value.
    pub(super) fn pending(&self, alias: &Ident) -> String {
        let there = match (self.attempt(), &self.by) {
            (None, None) => format!("{alias}.{} IS NOT NULL", self.from),
            _ => format!("NOT ({} IS NULL)", wrap(&self.value(alias))),
        };
        format!("{alias}.{} IS NULL AND {there}", self.into)
    }

    /// True for rows whose value cannot be converted; `None` where every value can.
    pub(super) fn fails(&self, alias: &Ident) -> Option<String> {
        self.attempt().map(|attempt| format!("({}).error IS NOT NULL", self.tried(attempt, alias)))
    }

    /// The same without rows for which somebody has given a value.
    pub(super) fn fails_still(&self, alias: &Ident) -> Option<String> {
        let quarantine = self.quarantine.as_ref()?;
        let (fails, settled) = (self.fails(alias)?, quarantine.settled(alias));
        Some(format!("{fails} AND ({alias}.{} IS NULL OR NOT {settled})", self.into))
    }

    /// True for rows that are not as they must be before the column is used: the value cannot be converted and nobody has given
    /// another, or the two do not belong together.
    pub(super) fn wrong(&self, alias: &Ident) -> String {
        let differs = self.differs(alias);
        match (&self.quarantine, self.fails(alias)) {
            (Some(quarantine), Some(fails)) => format!(
                "CASE WHEN {fails} THEN {alias}.{} IS NULL OR NOT {} ELSE {differs} END",
                self.into,
                quarantine.settled(alias)
            ),
            _ => differs,
        }
    }

    /// True for rows whose two values do not belong together. What is volatile cannot be computed again: then only whether it is there.
    fn differs(&self, alias: &Ident) -> String {
        if self.again {
            let value = self.value(alias);
            format!("pg_catalog.record_image_ne(ROW({alias}.{}), ROW({}))", self.into, wrap(&value))
        } else {
            format!("{alias}.{} IS NULL AND {alias}.{} IS NOT NULL", self.into, self.from)
        }
    }

    fn tried(&self, attempt: &Name, alias: &Ident) -> String {
        let arguments: Vec<String> =
            self.sources.iter().map(|(source, _)| format!("{alias}.{source}")).collect();
        format!("{attempt}({})", arguments.join(", "))
    }

    fn expression(&self, column: &dyn Fn(&Ident) -> String) -> String {
        match &self.by {
            Some(by) => wrap(&by.rewrite(column)),
            None => column(&self.from),
        }
    }

    fn body(&self) -> String {
        let into = sync::quoted(&self.into);
        let new = |column: &Ident| format!("NEW.{}", sync::quoted(column));
        let row = |record: &str| {
            let columns = self.sources.iter().map(|(source, _)| format!("{record}.{}", sync::quoted(source)));
            columns.collect::<Vec<_>>().join(", ")
        };
        let assign = |indent: &str| format!("{indent}NEW.{into} := {};\n", self.expression(&new));
        let assign = match &self.quarantine {
            None => assign("    "),
            Some(quarantine) => quarantine.caught(&assign("      "), "    "),
        };
        let changed = if self.sources.is_empty() {
            String::new()
        } else {
            format!(" OR pg_catalog.record_image_ne(ROW({}), ROW({}))", row("OLD"), row("NEW"))
        };
        format!(
            "BEGIN\n  IF TG_OP OPERATOR(pg_catalog.=) 'INSERT'{changed} THEN\n{assign}  END IF;\n  RETURN NEW;\nEND"
        )
    }
}
