//! The archive of a column that is dropped, at contract or by the undo of ADD COLUMN: a copy by key, held true by a trigger
//! until the column goes, and what brings it back.

use crate::catalog::{Catalog, Column, Relation, RelationKind, Trigger, TriggerEvent};
use crate::ddl;
use crate::effect::Effect;
use crate::kind::Ctx;
use crate::kind::shared::batch::{self, Rows};
use crate::kind::shared::{tighten, tree};
use crate::pg::firing::Firing;
use crate::pg::lock::LockMode;
use crate::plan::{Archived, Need, Noun, Phase, Probe, Step, Undo, Walk, Write};
use crate::sql::constant::{self, Constant};
use crate::sql::ident::{Ident, Name};

/// Where a column of a table goes. Everything is named from the migration and the column, so that two archives never meet.
#[derive(Clone, Debug)]
pub(crate) struct Archive<'a> {
    table: &'a Relation,
    column: &'a Column,
    key: Vec<Ident>,
    name: Name,
    function: Name,
    trigger: Ident,
    /// Set for what undo keeps of an added column.
    kept: Option<Kept>,
}

/// What undo keeps of an added column.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    /// Migration, for the label of the archive.
    pub(crate) migration: String,
    /// Columns that the value is derived from: it comes back only where they have not changed since.
    pub(crate) sources: Vec<Ident>,
    /// Rows to keep.
    pub(crate) only: Only,
    /// How many archives of the same column are there already.
    pub(crate) number: usize,
    /// The greatest value must be found at once: a sequence will go on after it.
    pub(crate) numbers: bool,
}

/// Rows whose value undo keeps.
#[derive(Clone, Debug)]
pub(crate) enum Only {
    /// Those of which this is true, over the table as `concertina_row`.
    If(String),
    /// Those whose value is not this expression's, over the table under the alias.
    Differing {
        /// Alias.
        alias: Ident,
        /// Expression, of the column's type.
        expected: String,
    },
}

/// The archive that undo of a migration makes of an added column: `number` is 0 unless there are earlier ones.
pub(crate) fn kept_name(migration: &str, table: &Name, column: &Ident, number: usize) -> Name {
    let again = if number == 0 { String::new() } else { format!(" {number}") };
    let content = format!("kept {migration} {table}.{column}{again}");
    let head = format!("{}_{}", table.name.as_str(), column.as_str());
    Name { schema: "concertina_archive".into(), name: Ident::generated(&head, &content) }
}

impl<'a> Archive<'a> {
    /// Plans it. `key` identifies the table's rows until the column has been dropped.
    pub(crate) fn new(ctx: &Ctx, table: &'a Relation, column: &'a Column, key: Vec<Ident>) -> Self {
        let head = format!("{}_{}", table.name.name.as_str(), column.name.as_str());
        let content = format!("archive {} {}.{}", ctx.migration, table.name, column.name);
        let name = Name { schema: "concertina_archive".into(), name: Ident::generated(&head, &content) };
        Self::named(table, column, key, name, &content)
    }

    /// Plans what undo keeps of an added column.
    pub(crate) fn keeping(table: &'a Relation, column: &'a Column, key: Vec<Ident>, mut kept: Kept) -> Self {
        let name = kept_name(&kept.migration, &table.name, &column.name, kept.number);
        let content = name.to_string();
        kept.sources.retain(|source| !key.contains(source));
        Self { kept: Some(kept), ..Self::named(table, column, key, name, &content) }
    }

    fn named(table: &'a Relation, column: &'a Column, key: Vec<Ident>, name: Name, content: &str) -> Self {
        let head = format!("archive_{}_{}", table.name.name.as_str(), column.name.as_str());
        Self {
            table,
            column,
            key,
            name,
            function: Name { schema: "concertina".into(), name: Ident::generated(&head, content) },
            // Last in order; AFTER triggers see the row as it was stored anyway.
            trigger: Ident::generated(&format!("~concertina_archive_{}", column.name.as_str()), content),
            kept: None,
        }
    }

    /// Columns whose values it holds, the key left out.
    fn columns(&self) -> Vec<Ident> {
        let sources = self.kept.iter().flat_map(|kept| &kept.sources);
        std::iter::once(&self.column.name).chain(sources).cloned().collect()
    }

    /// The function that tells which rows to keep, where that takes one, with the statement that makes it.
    fn judge(&self) -> Option<(Name, String)> {
        let Only::Differing { alias, expected } = &self.kept.as_ref()?.only else { return None };
        let head = format!("kept_{}_{}", self.table.name.name.as_str(), self.column.name.as_str());
        let name =
            Name { schema: "concertina".into(), name: Ident::generated(&head, &self.name.to_string()) };
        let sql = ddl::archive::create_judge(&name, &self.table.name, alias, &self.column.name, expected);
        Some((name, sql))
    }

    /// Which rows of the table it must hold; all of them where nothing is said.
    fn only(&self) -> Option<String> {
        match (&self.kept.as_ref()?.only, self.judge()) {
            (Only::If(condition), _) => Some(condition.clone()),
            // A partition's row is seen as one of the whole table's.
            (Only::Differing { .. }, Some((judge, _))) => {
                Some(format!("{judge}({}::{})", crate::batch::ROW, self.table.name))
            }
            (Only::Differing { .. }, None) => None,
        }
    }

    /// The table that holds it.
    pub(crate) fn name(&self) -> &Name {
        &self.name
    }

    /// The same with what it holds.
    pub(crate) fn archived(&self) -> Archived {
        Archived { noun: Noun::Table, name: self.name.clone(), of: self.holds() }
    }

    fn holds(&self) -> String {
        let what = if self.kept.is_some() { "what was written into column" } else { "column" };
        format!("{what} {} of {}", self.column.name, self.table.name)
    }

    /// Archive and trigger, the copy, and the proof that nothing is missing.
    pub(crate) fn steps(&self, ctx: &Ctx) -> Vec<Step> {
        let mut steps = vec![self.install(ctx)];
        steps.extend(self.copy(ctx));
        steps.push(self.proof());
        steps
    }

    fn install(&self, ctx: &Ctx) -> Step {
        let table = &self.table.name;
        let columns = self.columns();
        let mut sql = ddl::archive::create(&self.name, table, &self.key, &columns);
        if let Some(kept) = &self.kept {
            sql.push(ddl::archive::label(&self.name, &kept.migration, &self.holds()));
            if kept.numbers {
                sql.push(ddl::archive::create_index(&self.name, &self.column.name));
            }
        }
        sql.extend(self.judge().map(|(_, sql)| sql));
        sql.extend(ddl::archive::create_function(&self.function, &self.name, &self.key, &columns));
        sql.push(ddl::archive::create_trigger(&self.trigger, table, &self.function));
        sql.push(ddl::archive::always(&self.trigger, table));
        let mut gone = self.removal();
        gone.push(ddl::archive::drop(&self.name));
        let undo = Step::transaction(
            Phase::Contract,
            format!("Remove the archive of column {} of {table}", self.column.name),
            "the column is there: the archive is not needed",
            gone,
        )
        .locks(tree::locks(ctx.physical, table, LockMode::AccessExclusive))
        .probe(self.probe(false))
        .provides(self.trigger_gone());
        let mut step = Step::transaction(
            Phase::Contract,
            format!("Begin to archive column {} of {table}", self.column.name),
            "from here on a trigger brings every write of the column into the archive as well",
            sql,
        )
        .locks(tree::locks(ctx.physical, table, LockMode::ShareRowExclusive))
        .probe(self.probe(true))
        .undone_by(vec![undo])
        .requires(Need::Column(table.clone(), self.column.name.clone()))
        .provides(Effect::Trigger { table: table.clone(), trigger: self.trigger() });
        for column in &self.key {
            step = step.requires(Need::Column(table.clone(), column.clone()));
        }
        step
    }

    fn copy(&self, ctx: &Ctx) -> Vec<Step> {
        let columns = self.key.iter().cloned().chain(self.columns()).collect();
        let why = match self.kept {
            Some(_) => "it comes back from there when the migration is run again",
            None => "undo brings the values back from there",
        };
        let rows = Rows {
            title: format!("Archive column {} of {}", self.column.name, self.table.name),
            why: why.to_owned(),
            write: Write::Copy { into: self.name.clone(), columns, only: self.only() },
            walk: Walk::Key { columns: self.key.clone() },
            fire_triggers: false,
            undo: Undo::Nothing,
        };
        self.at_contract(ctx.physical, &rows)
    }

    fn proof(&self) -> Step {
        let only = if self.table.kind == RelationKind::PartitionedTable { "" } else { "ONLY " };
        let from = format!("{only}{}", self.table.name);
        let only = self.only();
        let query = ddl::archive::differing(&self.name, &from, &self.key, &self.columns(), only.as_deref());
        let violation = format!(
            "rows of {} whose {} the archive does not hold, or holds otherwise",
            self.table.name, self.column.name
        );
        let mut step = tighten::proof(&self.table.name, "the archive", query, violation);
        step.phase = Phase::Contract;
        step.title =
            format!("Prove that the archive holds column {} of {}", self.column.name, self.table.name);
        "every value and every row is compared before anything is dropped, and the trigger keeps it so"
            .clone_into(&mut step.why);
        step
    }

    /// Statements that remove the trigger and its functions.
    pub(crate) fn removal(&self) -> Vec<String> {
        let mut sql = vec![
            ddl::trigger::drop_trigger(&self.trigger, &self.table.name),
            ddl::trigger::drop_function(&self.function),
        ];
        sql.extend(self.judge().map(|(judge, _)| ddl::archive::drop_judge(&judge, &self.table.name)));
        sql
    }

    /// What [`Archive::removal`] does to the catalog.
    pub(crate) fn trigger_gone(&self) -> Effect {
        Effect::TriggerGone { table: self.table.name.clone(), trigger: self.trigger.clone() }
    }

    /// Brings the dropped column back with its values; nullable, and with its default for new rows. Rows written in the
    /// meantime have NULL in it.
    pub(crate) fn bring_back(&self, ctx: &Ctx) -> Vec<Step> {
        let (table, column) = (&self.table.name, &self.column.name);
        let mut sql = vec![if plain(&self.column.data_type) {
            ddl::column::add(table, column, &self.column.data_type)
        } else {
            ddl::archive::add_column_like(table, column, &self.name)
        }];
        sql.extend(self.column.default.iter().map(|d| ddl::column::set_default(table, column, d)));
        let back = Column { not_null: None, new_here: false, ..self.column.clone() };
        let mut steps = vec![
            Step::transaction(
                Phase::Contract,
                format!("Add column {column} to {table} again"),
                "empty at first: nothing is rewritten",
                sql,
            )
            .locks(tree::locks(ctx.physical, table, LockMode::AccessExclusive))
            .probe(Probe::Column { table: table.clone(), column: column.clone(), exists: true })
            .provides(Effect::Column { table: table.clone(), column: back }),
        ];
        let restore = Rows {
            title: format!("Bring back column {column} of {table}"),
            why: "from the archive, row by row".to_owned(),
            write: Write::Restore {
                from: self.name.clone(),
                key: self.key.clone(),
                column: column.clone(),
                pending: None,
                same: Vec::new(),
            },
            walk: Walk::Key { columns: self.key.clone() },
            fire_triggers: false,
            undo: Undo::Nothing,
        };
        steps.extend(self.at_contract(ctx.physical, &restore));
        steps
    }

    /// Gives rows that were written while the column was away its default.
    pub(crate) fn fill_default(&self, ctx: &Ctx, default: &str) -> Vec<Step> {
        let (table, column) = (&self.table.name, &self.column.name);
        let alias = Ident::new("concertina_row");
        let fill = Rows {
            title: format!("Give new rows of {table} the default of column {column}"),
            why: "they were written while the column was away".to_owned(),
            write: Write::Update {
                alias: alias.clone(),
                set: vec![(column.clone(), default.to_owned())],
                unchanged: Vec::new(),
                pending: format!("{alias}.{column} IS NULL"),
            },
            walk: Walk::Key { columns: self.key.clone() },
            fire_triggers: false,
            undo: Undo::Nothing,
        };
        self.at_contract(ctx.physical, &fill)
    }

    fn at_contract(&self, catalog: &Catalog, rows: &Rows) -> Vec<Step> {
        let mut steps = batch::steps(catalog, &self.table.name, rows);
        for step in &mut steps {
            step.phase = Phase::Contract;
        }
        steps
    }

    fn trigger(&self) -> Trigger {
        Trigger {
            name: self.trigger.clone(),
            row: true,
            before: false,
            on: vec![TriggerEvent::Insert, TriggerEvent::Update, TriggerEvent::Delete],
            update_of: Vec::new(),
            transition_table: false,
            fires: Firing::Always,
            definition: ddl::archive::create_trigger(&self.trigger, &self.table.name, &self.function),
        }
    }

    fn probe(&self, exists: bool) -> Probe {
        Probe::Trigger { table: self.table.name.clone(), name: self.trigger.clone(), exists }
    }
}

/// A type of PostgreSQL's own that has no collation.
fn plain(data_type: &str) -> bool {
    const TYPES: &[&str] = &[
        "bigint",
        "boolean",
        "bytea",
        "cidr",
        "date",
        "double precision",
        "inet",
        "integer",
        "interval",
        "json",
        "jsonb",
        "macaddr",
        "money",
        "numeric",
        "real",
        "smallint",
        "time",
        "timestamp",
        "uuid",
    ];
    let base = data_type.split(['(', '[']).next().unwrap_or_default();
    let base = ["with time zone", "without time zone"]
        .iter()
        .find_map(|zone| base.strip_suffix(zone))
        .unwrap_or(base)
        .trim();
    TYPES.binary_search(&base).is_ok()
}

/// A default that is the same for every row, and so for the rows written while the column was away.
pub(crate) fn is_literal(default: &str) -> bool {
    constant::read(default) == Constant::Value
}
