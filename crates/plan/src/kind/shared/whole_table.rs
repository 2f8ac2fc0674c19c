//! Whether batches over a table equal the one statement: UPDATE and DELETE ask the same questions.

use crate::catalog::{RelationKind, Trigger, TriggerEvent, Volatility};
use crate::diagnostic::{Code, Refusal};
use crate::kind::Ctx;
use crate::sql::expr::{Expr, FunctionRef};
use crate::sql::ident::{Ident, Name};

/// A statement over a whole table.
#[derive(Debug)]
pub(crate) struct Whole<'w> {
    /// UPDATE or DELETE.
    pub(crate) verb: &'static str,
    /// What its triggers fire on.
    pub(crate) event: TriggerEvent,
    /// Table.
    pub(crate) table: &'w Name,
    /// Every expression in it.
    pub(crate) expressions: Vec<&'w Expr>,
    /// Columns that it writes.
    pub(crate) written: Vec<&'w Ident>,
}

impl Whole<'_> {
    /// Each row is written by itself: what happens to it depends on nothing that another batch writes.
    pub(crate) fn one_by_one(&self, ctx: &Ctx) -> Result<(), Refusal> {
        if self
            .expressions
            .iter()
            .flat_map(|expr| &expr.columns)
            .any(|reference| SYSTEM_COLUMNS.contains(&reference.column.as_str()))
        {
            return not_batchable(
                format!("the {} of {} reads a system column, which batches change", self.verb, self.table),
                "use columns of your own",
            );
        }
        let itself: Vec<&Name> =
            ctx.logical.tree(self.table).into_iter().map(|relation| &relation.name).collect();
        for read in self.expressions.iter().flat_map(|expr| &expr.reads) {
            let ancestor = ctx.logical.tree(read).iter().any(|relation| relation.name == *self.table);
            if itself.contains(&read) || ancestor {
                return not_batchable(
                    format!(
                        "the {} reads {read} while it writes {}: a batch would read what earlier batches wrote",
                        self.verb, self.table
                    ),
                    "put what it needs into another table first",
                );
            }
            if ctx.logical.relation(read).is_none_or(|relation| {
                !matches!(relation.kind, RelationKind::Table | RelationKind::PartitionedTable)
            }) {
                return not_batchable(
                    format!(
                        "the {} reads {read}, which is not a table and may itself read {}",
                        self.verb, self.table
                    ),
                    "read the tables below it",
                );
            }
        }
        Ok(())
    }

    /// The same row gives the same value whenever its batch runs.
    pub(crate) fn unchanging(&self, ctx: &Ctx) -> Result<(), Refusal> {
        for function in self.expressions.iter().flat_map(|expr| &expr.functions) {
            let alone = Expr { functions: vec![function.clone()], ..Expr::default() };
            let name = function.name.as_str();
            match alone.volatility(ctx.logical) {
                Volatility::Immutable => {}
                Volatility::Volatile => {
                    return not_batchable(
                        format!(
                            "{name}() is volatile, or not known: it may give another value, or other rows, on each evaluation"
                        ),
                        "add a new column and fill that one; or mark the function IMMUTABLE if it is",
                    );
                }
                Volatility::Stable if is_user_function(function, ctx) => {
                    return not_batchable(
                        format!(
                            "{name}() is only STABLE: what it reads may change from one batch to the next"
                        ),
                        "mark the function IMMUTABLE if it is",
                    );
                }
                Volatility::Stable if TIME_FUNCTIONS.contains(&name) => return Err(self.not_frozen(name)),
                Volatility::Stable => {}
            }
        }
        Ok(())
    }

    /// Nothing on the table sees the statement as a whole.
    pub(crate) fn undisturbed(&self, ctx: &Ctx) -> Result<(), Refusal> {
        let written = &self.written;
        for relation in ctx.logical.tree(self.table) {
            let name = &relation.name;
            if let Some(column) = relation.partition_key.iter().find(|column| written.contains(column)) {
                return not_batchable(
                    format!("it writes column {column} of the partition key of {name}, which moves rows"),
                    "move the rows by DELETE and INSERT, partition by partition",
                );
            }
            for index in relation.indexes.iter().filter(|index| index.unique || index.exclusion) {
                if let Some(column) = index.uses.iter().find(|column| written.contains(column)) {
                    return not_batchable(
                        format!(
                            "it writes column {column}, which unique index {} of {name} uses: the values may be right only all \
                             together",
                            index.name
                        ),
                        "write the new values into a new column",
                    );
                }
            }
            for constraint in relation.constraints.iter().filter(|constraint| constraint.deferrable) {
                if let Some(column) = constraint.columns.iter().find(|column| written.contains(column)) {
                    return not_batchable(
                        format!(
                            "it writes column {column} under deferrable constraint {} of {name}, which is checked at the end of \
                             the whole",
                            constraint.name
                        ),
                        "make the constraint NOT DEFERRABLE first",
                    );
                }
            }
            let whole = |trigger: &&Trigger| {
                fires(trigger, self.event, written) && (!trigger.row || trigger.transition_table)
            };
            if let Some(trigger) = relation.triggers.iter().find(whole) {
                return not_batchable(
                    format!(
                        "trigger {} of {name} fires once for the statement, and would fire once for each batch",
                        trigger.name
                    ),
                    &format!("make it a row trigger, or disable it while the {} runs", self.verb),
                );
            }
        }
        Ok(())
    }

    fn not_frozen(&self, what: &str) -> Refusal {
        Refusal::new(
            Code::NotYet,
            format!(
                "{what}() would tell each batch of the {} of {} something else; to keep the first answer is not built yet",
                self.verb, self.table
            ),
            "write a constant, or use now(), which is kept",
        )
    }
}

/// They change with every write, or are the same for none.
pub(crate) const SYSTEM_COLUMNS: &[&str] = &["cmax", "cmin", "ctid", "tableoid", "xmax", "xmin"];

/// STABLE because they tell of the transaction, in a way that a [`Clock`] does not keep. Source: "Date/Time Functions" and
/// "Transaction ID and Snapshot Information Functions" in doc/src/sgml/func.sgml; `age` with one argument counts from today.
const TIME_FUNCTIONS: &[&str] = &[
    "age",
    "current_setting",
    "pg_current_snapshot",
    "pg_current_xact_id",
    "pg_current_xact_id_if_assigned",
    "txid_current",
    "txid_current_if_assigned",
    "txid_current_snapshot",
];

/// Whether a trigger fires for a write of these columns.
pub(crate) fn fires(trigger: &Trigger, event: TriggerEvent, written: &[&Ident]) -> bool {
    trigger.fires.ordinary()
        && trigger.on.contains(&event)
        && (trigger.update_of.is_empty() || trigger.update_of.iter().any(|column| written.contains(&column)))
}

/// Whether the catalog knows it as a function of a user's.
fn is_user_function(function: &FunctionRef, ctx: &Ctx) -> bool {
    ctx.logical.functions.iter().any(|known| {
        known.name.name == function.name
            && function.schema.as_ref().is_none_or(|schema| *schema == known.name.schema)
    })
}

/// The refusal, with the two ways out.
pub(crate) fn not_batchable(reason: String, way_out: &str) -> Result<(), Refusal> {
    Err(Refusal::new(
        Code::NotBatchable,
        reason,
        format!("{way_out}; or run it as one statement with `-- concertina:allow not-batchable reason: …`"),
    ))
}
