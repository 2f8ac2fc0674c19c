//! The trigger that fills a column for rows which old code writes, from the first step until contract.
//!
//! It fires last of the BEFORE row triggers, so that it sees what users' triggers changed. What changed is decided by the
//! image of the values, never by `=`: some types have none, and for others it calls different values equal.

use crate::catalog::{Catalog, Relation};
use crate::ddl;
use crate::diagnostic::{Code, Refusal};
use crate::effect::Effect;
use crate::kind::Ctx;
use crate::kind::shared::batch::{self, wrap};
use crate::kind::shared::clock::Clock;
use crate::kind::shared::quarantine::{self, Quarantine};
use crate::kind::shared::row_trigger::RowTrigger;
use crate::kind::shared::{alter, tree};
use crate::pg::lock::LockMode;
use crate::plan::{Blocks, LockClaim, Phase, Probe, Quarantined, Step, Undo, Walk, Write};
use crate::sql::expr::{Expr, NullWhen};
use crate::sql::ident::{Ident, Name};

/// Where the value of a column comes from, row by row.
#[derive(Clone, Debug)]
pub(crate) struct Derivation<'a> {
    /// Alias under which the expressions see the table.
    pub(crate) alias: Ident,
    /// The value.
    pub(crate) expr: &'a Expr,
    /// Only for rows of which this is true.
    pub(crate) filter: Option<&'a Expr>,
    /// For the other rows: the column's DEFAULT.
    pub(crate) otherwise: Option<&'a Expr>,
}

/// When the trigger derives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Into every new row without a value, and again whenever a source of the value changes.
    Derive,
    /// Into every written row without a value.
    Fill,
}

/// The trigger and its function.
#[derive(Clone, Debug)]
pub(crate) struct Sync {
    table: Name,
    trigger: RowTrigger,
    body: String,
    caught: Option<Caught>,
    /// The expression cannot fail.
    safe: bool,
}

/// Rows for which the expression fails go into quarantine.
#[derive(Clone, Debug)]
struct Caught {
    quarantine: Quarantine,
    /// Types of what the expression reads.
    types: Vec<String>,
    /// Makes the function that tries it.
    attempt: String,
}

impl Derivation<'_> {
    /// Columns that the value depends on, each once.
    pub(crate) fn sources(&self) -> Vec<Ident> {
        let mut sources = Vec::new();
        for reference in self.expressions().flat_map(|expr| &expr.columns) {
            if !sources.contains(&reference.column) {
                sources.push(reference.column.clone());
            }
        }
        sources
    }

    /// The value over the table's columns.
    pub(crate) fn value(&self) -> String {
        match (self.filter, self.otherwise) {
            (Some(filter), Some(otherwise)) => format!(
                "CASE WHEN {} THEN {} ELSE {} END",
                wrap(&self.over_table(filter)),
                wrap(&self.over_table(self.expr)),
                wrap(&otherwise.text)
            ),
            _ => self.over_table(self.expr),
        }
    }

    /// The rows that still need their value: true until the row is written, and never true again after. A row for which the
    /// value is NULL needs no write.
    pub(crate) fn pending(&self, column: &Ident, table: Option<&Relation>) -> String {
        let missing = format!("{}.{column} IS NULL", self.alias);
        let never_null = |expr: &Expr| match table {
            Some(table) => expr.never_null_in(table),
            None => expr.never_null(|_| false),
        };
        let filter = self.filter.filter(|_| self.otherwise.is_none()).map(|filter| self.over_table(filter));
        let value = match (&self.expr.null_when, self.otherwise) {
            _ if [Some(self.expr), self.otherwise].into_iter().flatten().all(never_null) => None,
            // Sources that are there say enough, and the value is not computed twice, nor a volatile one rolled twice.
            (NullWhen::AnyOf(sources), None) => {
                let there: Vec<String> =
                    sources.iter().map(|source| format!("{}.{source} IS NOT NULL", self.alias)).collect();
                Some(format!("({} OR NOT ({} IS NULL))", there.join(" AND "), wrap(&self.value())))
            }
            _ => Some(format!("NOT ({} IS NULL)", wrap(&self.value()))),
        };
        match (filter, value) {
            (None, None) => missing,
            (None, Some(value)) => format!("{missing} AND {value}"),
            (Some(filter), None) => format!("{missing} AND {}", wrap(&filter)),
            // The value must not be evaluated where the filter does not hold: it may divide by what the filter excludes.
            (Some(filter), Some(value)) => {
                format!("{missing} AND CASE WHEN {} THEN {value} ELSE false END", wrap(&filter))
            }
        }
    }

    /// The value over what `column` makes of each column's name; NULL for rows that the filter leaves out.
    fn over(&self, column: impl Fn(&Ident) -> String) -> String {
        let value = wrap(&self.expr.rewrite(&column));
        match (self.filter, self.otherwise) {
            (None, _) => value,
            (Some(filter), otherwise) => format!(
                "CASE WHEN {} THEN {value} ELSE {} END",
                wrap(&filter.rewrite(&column)),
                otherwise.map_or_else(|| "NULL".to_owned(), |otherwise| wrap(&otherwise.rewrite(&column)))
            ),
        }
    }

    /// No value of the row's makes it raise an error, as far as that shows: constants, the column itself, and texts put together.
    fn cannot_fail(&self, table: &Relation, data_type: &str) -> bool {
        let of = |expr: &Expr| {
            let all = |wanted: &str| {
                let known = |name: &Ident| table.column(name).is_some_and(|known| known.data_type == wanted);
                expr.columns.iter().all(|reference| known(&reference.column))
            };
            let alone = matches!(expr.columns.as_slice(), [one] if one.at == (0..expr.text.len()));
            expr.constant || alone && all(data_type) || data_type == "text" && all("text") && only_texts(expr)
        };
        self.expressions().all(of)
    }

    fn over_table(&self, expr: &Expr) -> String {
        batch::qualified(&self.alias, expr)
    }

    /// Everything evaluated for a row.
    pub(crate) fn expressions(&self) -> impl Iterator<Item = &Expr> {
        [Some(self.expr), self.filter, self.otherwise].into_iter().flatten()
    }
}

/// Refuses expressions that a row trigger cannot evaluate.
pub(crate) fn check(table: &Relation, from: &Derivation) -> Result<(), Refusal> {
    for source in from.sources() {
        let column = alter::column(table, &source)?;
        if column.generated.is_some() {
            return Err(Refusal::new(
                Code::NotBatchable,
                format!(
                    "the expression reads generated column {source} of {}, which a BEFORE trigger sees as NULL, so rows \
                     of running code could not be kept in step",
                    table.name
                ),
                "write the generated column's own expression instead of its name",
            ));
        }
    }
    let refuse = |what: &str| {
        Err(Refusal::new(
            Code::NotBatchable,
            format!(
                "the expression holds {what}, so rows of running code could not be kept in step by a trigger"
            ),
            "use columns of the row, or a function of them",
        ))
    };
    if from.expressions().any(|expr| expr.subquery) {
        return refuse("a subquery");
    }
    if from.expressions().any(|expr| expr.whole_row) {
        return refuse("the whole row");
    }
    Ok(())
}

/// Every row that old code writes gets a value: nothing is left to a filter, and the expression is NULL for no row of `table`.
pub(crate) fn never_null(table: &Relation, from: &Derivation) -> bool {
    let shown = |expr: &Expr| expr.never_null_in(table);
    let rest = match (from.filter, from.otherwise) {
        (Some(_), Some(otherwise)) => shown(otherwise),
        (Some(_), None) => false,
        (None, _) => true,
    };
    rest && shown(from.expr)
}

/// How a derived value is written into rows that have none.
#[derive(Clone, Debug)]
pub(crate) struct Manner<'a> {
    /// See [`Walk::Pages`].
    pub(crate) stride: u32,
    /// See [`crate::plan::Backfill`].
    pub(crate) fire_triggers: bool,
    /// How it is taken back.
    pub(crate) undo: Undo,
    /// Why it is done.
    pub(crate) why: &'a str,
}

/// Writes the value into rows that have none.
pub(crate) fn backfill(
    ctx: &Ctx,
    table: &Name,
    column: &Ident,
    from: &Derivation,
    manner: Manner,
) -> Vec<Step> {
    let clock = Clock::needed(ctx, table, from.expressions());
    let freeze = |expr: &Expr| clock.as_ref().map_or_else(|| expr.clone(), |clock| clock.freeze(expr));
    let (expr, filter) = (freeze(from.expr), from.filter.map(freeze));
    let otherwise = from.otherwise.map(freeze);
    let alias = from.alias.clone();
    let from = Derivation { alias, expr: &expr, filter: filter.as_ref(), otherwise: otherwise.as_ref() };
    let rows = batch::Rows {
        title: format!("Fill column {column} of {table}"),
        why: manner.why.to_owned(),
        write: Write::Update {
            alias: from.alias.clone(),
            set: vec![(column.clone(), from.value())],
            unchanged: batch::unchanged(ctx, table, column, manner.fire_triggers),
            pending: from.pending(column, ctx.physical.relation(table)),
        },
        walk: Walk::Pages { stride: manner.stride },
        fire_triggers: manner.fire_triggers,
        undo: manner.undo,
    };
    let mut steps = batch::steps(ctx.physical, table, &rows);
    if let Some(clock) = clock {
        clock.around(&mut steps);
    }
    steps
}

/// Nothing but words that make texts of texts, whatever they hold.
fn only_texts(expr: &Expr) -> bool {
    const WORDS: [&str; 22] = [
        "and",
        "btrim",
        "case",
        "coalesce",
        "concat",
        "concat_ws",
        "else",
        "end",
        "from",
        "initcap",
        "is",
        "lower",
        "ltrim",
        "not",
        "null",
        "nullif",
        "or",
        "rtrim",
        "then",
        "trim",
        "upper",
        "when",
    ];
    let rest = expr.rewrite(|_| " ".to_owned());
    // Every second part stands between quotes; a doubled quote only makes an empty part more.
    let outside: String = rest.split('\'').step_by(2).collect::<Vec<_>>().join(" ");
    let plain = !expr.subquery && !rest.contains('\\') && !rest.contains('$') && !rest.contains('"');
    let words = outside.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty());
    let own = |function: &crate::sql::expr::FunctionRef| function.schema.is_none();
    plain
        && expr.functions.iter().all(own)
        && outside.chars().all(|c| c.is_ascii_alphabetic() || c.is_whitespace() || "_(),|=".contains(c))
        && words.map(str::to_lowercase).all(|word| WORDS.contains(&word.as_str()))
}

/// What running code may feel of the trigger.
pub(crate) fn notices(
    table: &Name,
    column: &Ident,
    mode: Mode,
    from: &Derivation,
    sync: &Sync,
) -> Vec<(Code, String)> {
    let said = match mode {
        Mode::Derive => format!(
            "until contract, column {column} of {table} is derived anew whenever one of its sources changes, and for every \
             inserted row that has no value in it, also where new code writes an explicit NULL"
        ),
        Mode::Fill => format!(
            "until contract, a NULL that is written into column {column} of {table} becomes {}",
            from.expr.text
        ),
    };
    let mut notices = vec![(Code::Announce, said)];
    if sync.caught.is_some() {
        notices.push((
            Code::Announce,
            format!(
                "until contract, a row of {table} for which the expression for column {column} raises an error is written with NULL in \
                 it and goes into quarantine, which stops contract until it is repaired (`concertina quarantine`)"
            ),
        ));
    } else if !sync.safe && !from.expressions().all(|expr| expr.constant) {
        notices.push((
            Code::Breaks,
            format!(
                "until contract, where the expression for column {column} raises an error for a row (or calls a function \
                 that the writing role may not execute), the application's write of that row to {table} raises it too"
            ),
        ));
    }
    notices
}

impl Sync {
    /// Plans the trigger for `column`. Expressions must not hold a subquery or the whole row.
    pub(crate) fn new(ctx: &Ctx, table: &Name, column: &Ident, from: &Derivation, mode: Mode) -> Self {
        let body = match mode {
            Mode::Derive => derive(column, from, None),
            Mode::Fill => fill(column, from),
        };
        let content = format!("{} {table}.{column} {body}", ctx.migration);
        let trigger = RowTrigger::new(ctx, table, "sync", column, &content);
        Self { table: table.clone(), trigger, body, caught: None, safe: false }
    }

    /// The same, and where the expression fails for a row, its value is NULL and it goes into quarantine. As [`Sync::new`] where it
    /// cannot fail.
    pub(crate) fn catching(
        ctx: &Ctx,
        table: &Relation,
        (column, data_type): (&Ident, &str),
        from: &Derivation,
    ) -> Self {
        let plain = Self::new(ctx, &table.name, column, from, Mode::Derive);
        if from.cannot_fail(table, data_type) {
            return Self { safe: true, ..plain };
        }
        let content = format!("{} {}.{column} {}", ctx.migration, table.name, plain.body);
        let sources = from.sources();
        let typed = |source: &Ident| table.column(source).map(|column| column.data_type.clone());
        let types: Vec<String> = sources.iter().filter_map(typed).collect();
        let at = |column: &Ident| {
            format!("${}", sources.iter().position(|known| known == column).unwrap_or_default() + 1)
        };
        let name = Name {
            schema: Ident::new("concertina"),
            name: Ident::generated(&format!("try_{}", column.as_str()), &content),
        };
        let arguments: Vec<&str> = types.iter().map(String::as_str).collect();
        let path = &ctx.physical.server.search_path;
        let attempt = ddl::trigger::create_attempt(&name, path, &arguments, data_type, &from.over(at));
        let quarantined = Quarantined {
            table: table.name.clone(),
            column: column.clone(),
            target: column.clone(),
            data_type: data_type.to_owned(),
            key: quarantine::key(table),
            attempt: name,
            sources,
            blocks: Blocks::Contract,
        };
        let quarantine = Quarantine::new(ctx, quarantined, &content);
        let body = derive(column, from, Some(&quarantine));
        Self { body, caught: Some(Caught { quarantine, types, attempt }), ..plain }
    }

    /// What is recorded of rows for which the expression fails.
    pub(crate) fn quarantined(&self) -> Option<Quarantined> {
        self.caught.as_ref().map(|caught| caught.quarantine.quarantined())
    }

    /// Statements that install it.
    pub(crate) fn create(&self, catalog: &Catalog) -> Vec<String> {
        let function = self.trigger.function();
        let mut sql = vec![
            ddl::trigger::create_function(function, &catalog.server.search_path, &self.body),
            self.trigger.create(),
        ];
        if let Some(caught) = &self.caught {
            sql.extend(caught.quarantine.create());
            sql.push(caught.attempt.clone());
        }
        sql
    }

    /// Statements that remove it, also when it is gone already.
    pub(crate) fn remove(&self) -> Vec<String> {
        let mut sql = self.trigger.remove();
        if let Some(Caught { quarantine, types, .. }) = &self.caught {
            sql.extend(quarantine.remove());
            let types: Vec<&str> = types.iter().map(String::as_str).collect();
            sql.push(ddl::trigger::drop_attempt(quarantine.attempt(), &types));
        }
        sql
    }

    /// What installing it does to the catalog.
    pub(crate) fn appears(&self) -> Vec<Effect> {
        let caught = self.caught.iter().map(|caught| caught.quarantine.appears());
        std::iter::once(self.trigger.appears()).chain(caught).collect()
    }

    /// What removing it does to the catalog.
    pub(crate) fn goes(&self) -> Vec<Effect> {
        let caught = self.caught.iter().map(|caught| caught.quarantine.goes());
        std::iter::once(self.trigger.goes()).chain(caught).collect()
    }

    /// Whether it is there.
    pub(crate) fn probe(&self, exists: bool) -> Probe {
        self.trigger.probe(exists)
    }

    /// Locks that removing it takes. Source: `RemoveTriggerById` in src/backend/commands/trigger.c.
    fn removal_locks(&self, catalog: &Catalog) -> Vec<LockClaim> {
        tree::locks(catalog, &self.table, LockMode::AccessExclusive)
    }

    /// The step that installs it on a column that exists already. Source for the lock: "Table-Level Locks" in
    /// doc/src/sgml/mvcc.sgml.
    pub(crate) fn install(&self, ctx: &Ctx, column: &Ident) -> Step {
        let undo = self.removal(ctx, Phase::Expand, "takes back the trigger", Vec::new());
        let mut step = Step::transaction(
            Phase::Expand,
            format!("Fill column {column} of {} in rows that are written from now on", self.table),
            "rows that running code writes after the backfill has passed must not be left out",
            self.create(ctx.physical),
        )
        .locks(tree::locks(ctx.physical, &self.table, LockMode::ShareRowExclusive))
        .probe(self.probe(true))
        .undone_by(vec![undo]);
        step.provides = self.appears();
        step
    }

    /// The step that removes it, running `more` in the same transaction.
    pub(crate) fn removal(&self, ctx: &Ctx, phase: Phase, why: &str, more: Vec<String>) -> Step {
        let mut sql = self.remove();
        sql.extend(more);
        let title = format!("Remove the sync trigger of {}", self.table);
        let mut step = Step::transaction(phase, title, why, sql)
            .locks(self.removal_locks(ctx.physical))
            .probe(self.probe(false));
        step.provides = self.goes();
        step
    }
}

/// A trigger that [`Sync`] or [`super::mirror::Mirror`] named.
pub(crate) fn is_ours(trigger: &Ident) -> bool {
    trigger.as_str().trim_start_matches(['!', '~']).starts_with("concertina_")
}

/// How many triggers of ours fire last: the next one comes after them.
pub(crate) fn ours(relation: &Relation) -> usize {
    relation.triggers.iter().filter(|trigger| trigger.name.as_str().starts_with(PREFIX)).count()
}

/// Sorts after any name that begins with a letter, a digit or an underscore.
/// Source: "triggers are fired in alphabetical order by name", doc/src/sgml/trigger.sgml.
pub(crate) const PREFIX: &str = "~concertina_";

fn derive(column: &Ident, from: &Derivation, quarantine: Option<&Quarantine>) -> String {
    let target = quoted(column);
    let new = |name: &Ident| format!("NEW.{}", quoted(name));
    let expr = wrap(&from.expr.rewrite(new));
    let filter = from.filter.map(|filter| wrap(&filter.rewrite(new)));
    let otherwise = from.otherwise.map(|expr| wrap(&expr.rewrite(new)));
    let plain = |indent: &str, otherwise: Option<&str>| match (&filter, otherwise) {
        (None, _) => format!("{indent}NEW.{target} := {expr};\n"),
        (Some(filter), None) => {
            format!("{indent}IF {filter} THEN\n{indent}  NEW.{target} := {expr};\n{indent}END IF;\n")
        }
        (Some(filter), Some(otherwise)) => format!(
            "{indent}IF {filter} THEN\n{indent}  NEW.{target} := {expr};\n{indent}ELSE\n\
             {indent}  NEW.{target} := {otherwise};\n{indent}END IF;\n"
        ),
    };
    let assign = |indent: &str, otherwise: Option<&str>| match quarantine {
        None => plain(indent, otherwise),
        Some(quarantine) => quarantine.caught(&plain(&format!("{indent}  "), otherwise), indent),
    };
    let mut body = format!(
        "BEGIN\n  IF TG_OP = 'INSERT' THEN\n    IF NEW.{target} IS NULL THEN\n{}    END IF;\n",
        assign("      ", otherwise.as_deref())
    );
    let sources = from.sources();
    if !sources.is_empty() {
        let row = |record: &str| {
            sources.iter().map(|source| format!("{record}.{}", quoted(source))).collect::<Vec<_>>().join(", ")
        };
        body.push_str(&format!(
            "  ELSIF pg_catalog.record_image_eq(ROW(OLD.{target}), ROW(NEW.{target}))\n\
             \x20   AND pg_catalog.record_image_ne(ROW({}), ROW({})) THEN\n{}",
            row("OLD"),
            row("NEW"),
            assign("    ", None)
        ));
    }
    body.push_str("  END IF;\n  RETURN NEW;\nEND");
    body
}

fn fill(column: &Ident, from: &Derivation) -> String {
    let target = quoted(column);
    let expr = wrap(&from.expr.rewrite(|name| format!("NEW.{}", quoted(name))));
    format!(
        "BEGIN\n  IF NEW.{target} IS NULL THEN\n    NEW.{target} := {expr};\n  END IF;\n  RETURN NEW;\nEND"
    )
}

/// In PL/pgSQL words are reserved that SQL knows as names (`begin`, `loop`), so every column is quoted.
pub(crate) fn quoted(column: &Ident) -> String {
    format!("\"{}\"", column.as_str().replace('"', "\"\""))
}
