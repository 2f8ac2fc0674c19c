//! `concertina.plan`: what would run, or why it cannot.

use concertina_plan::plan::{
    self as internal, Action as InternalAction, Plan, Undo as InternalUndo, Walk, WorkKind, Write,
};
use concertina_plan::rights::Missing;
use concertina_plan::sql::ident::Ident;
use concertina_run::outlook::Outlook;
use schemars::JsonSchema;
use serde::Serialize;

use super::estimate::{Disk, Estimate};
use super::{Document, Phase};
use crate::failure::Refusal;

/// Plans of the pending migrations, or of the one that was asked for, in the order in which they would run.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PlanDocument {
    /// Migrations that can be planned.
    pub plans: Vec<PlannedMigration>,
    /// The first migration that cannot, if there is one. The exit code is 3 then.
    pub refused: Option<RefusedMigration>,
    /// Migrations that were not looked at, because an earlier one is refused.
    pub not_planned: Vec<String>,
}

impl Document for PlanDocument {
    const FORMAT: &'static str = "concertina.plan";
}

/// One migration's plan.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PlannedMigration {
    /// File name without `.sql`.
    pub migration: String,
    /// SHA-256 of the file, byte order mark removed and CRLF as LF, in lower-case hex.
    pub checksum: String,
    /// The migration is under way or done; this is the plan that was stored when it began.
    pub stored: bool,
    /// Server that it is planned for, such as `15.18`.
    pub server_version: String,
    /// Schemas in which unqualified names are looked up.
    pub search_path: Vec<String>,
    /// Earlier pending migrations that must be contracted before this one may expand.
    pub runs_after: Vec<String>,
    /// Rights that the role lacks for it. `expand` and `contract` do not begin while there are any.
    pub missing_rights: Vec<MissingRight>,
    /// Room on the server's disk for the steps that are still to be run.
    pub disk: Option<Disk>,
    /// The file's statements.
    pub statements: Vec<Statement>,
    /// Steps in the order in which they run.
    pub steps: Vec<Step>,
    /// What clients will feel, and what a reviewer should know.
    pub notices: Vec<Notice>,
}

/// A right that the role lacks.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct MissingRight {
    /// What cannot be done without it.
    pub what: String,
    /// The statement that gives it, to be run by an administrator or the owner. Names are quoted.
    pub grant: String,
}

impl From<&Missing> for MissingRight {
    fn from(missing: &Missing) -> Self {
        Self { what: missing.what.clone(), grant: missing.grant.clone() }
    }
}

/// A statement, and what it would do if it ran as written.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Statement {
    /// Line in the file, from 1.
    pub line: usize,
    /// Its text.
    pub sql: String,
    /// What it is, such as `add_column`; one for each of its subcommands.
    pub kinds: Vec<String>,
    /// As written: strongest lock on each existing relation.
    pub locks: Vec<Lock>,
    /// As written: work whose size is the table's.
    pub work: Vec<Work>,
    /// As written: who breaks, in words.
    pub breaks: Vec<String>,
    /// As written: why it is certain to fail, with SQLSTATE.
    pub fails: Option<String>,
}

/// One thing that will be done.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Step {
    /// Number in the plan, from 1. `status` and messages use it.
    pub step: usize,
    /// Number of the statement it serves, from 1.
    pub statement: usize,
    /// When it runs.
    pub phase: Phase,
    /// What it does, in words.
    pub title: String,
    /// Why it is there, in words.
    pub why: String,
    /// What is executed.
    pub action: Action,
    /// Locks on relations that exist before it: strongest mode on each.
    pub locks: Vec<Lock>,
    /// Work whose size is the table's.
    pub work: Vec<Work>,
    /// How it is taken back.
    pub undo: Undo,
    /// It removes data: contract asks first.
    pub destroys: bool,
    /// How long it may take, and the room that it may need. For one that has begun, as it was expected then.
    pub estimate: Option<Estimate>,
}

/// What is executed, and how.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum Action {
    /// Short statements in one transaction, under the stall budget.
    Transaction {
        /// The statements, in order.
        sql: Vec<String>,
    },
    /// One long statement, under a lock that blocks neither readers nor writers.
    Long {
        /// The statement.
        sql: String,
    },
    /// One statement that PostgreSQL runs outside a transaction only.
    Alone {
        /// The statement.
        sql: String,
        /// What removes the leftover of a failed try.
        heal: Option<String>,
    },
    /// Rows in throttled batches.
    Backfill {
        /// Table.
        table: String,
        /// What is done to each row, in words.
        write: String,
        /// How rows are visited, in words.
        walk: String,
        /// Estimated number of rows.
        estimated_rows: u64,
    },
    /// A query that must return no row.
    Proof {
        /// The query.
        query: String,
        /// What a row means.
        violation: String,
    },
}

/// A lock on a relation.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Lock {
    /// Relation, schema-qualified and quoted as SQL needs it.
    pub relation: String,
    /// As PostgreSQL's documentation spells it: `ACCESS EXCLUSIVE`.
    pub mode: String,
    /// It blocks SELECT.
    pub blocks_reads: bool,
    /// It blocks INSERT, UPDATE and DELETE.
    pub blocks_writes: bool,
}

/// Work whose size is the table's.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Work {
    /// Relation.
    pub relation: String,
    /// Sort of work.
    pub what: What,
}

/// Sorts of table-sized work.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Every row is read.
    Scan,
    /// The table is read and an index written.
    IndexBuild,
    /// The table and all its indexes are written anew.
    Rewrite,
    /// Rows are updated, copied or deleted in batches.
    Rows,
}

/// How a step is taken back.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum Undo {
    /// By these steps.
    Steps {
        /// Titles, in order.
        titles: Vec<String>,
        /// What does not come back, in words.
        loses: Option<String>,
    },
    /// There is nothing to take back.
    Nothing,
    /// It cannot be taken back.
    Impossible {
        /// Reason.
        why: String,
    },
}

/// Something to know before it runs.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Notice {
    /// Number of the statement it is about, from 1.
    pub statement: usize,
    /// Which; docs/directives.md lists the codes.
    pub code: String,
    /// In words.
    pub message: String,
}

/// A migration that cannot be planned.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RefusedMigration {
    /// File name without `.sql`.
    pub migration: String,
    /// Why, statement by statement.
    pub diagnostics: Vec<Diagnostic>,
}

/// Why a statement is refused.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Diagnostic {
    /// Which; docs/directives.md lists the codes.
    pub code: String,
    /// First byte of the file it is about.
    pub start: usize,
    /// The byte after the last one.
    pub end: usize,
    /// Line of `start`, from 1.
    pub line: usize,
    /// Column of `start` in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
    /// What the statement is, when it was recognised: `rename_column`.
    pub kind: Option<String>,
}

impl PlannedMigration {
    /// The outside of a plan.
    pub fn new(plan: &Plan, stored: bool, runs_after: Vec<String>) -> Self {
        Self {
            migration: plan.migration.clone(),
            checksum: plan.checksum.clone(),
            stored,
            server_version: plan.server_version.to_string(),
            search_path: plan.search_path.iter().map(|schema| schema.as_str().to_owned()).collect(),
            runs_after,
            missing_rights: Vec::new(),
            disk: None,
            statements: plan.statements.iter().map(Statement::from).collect(),
            steps: plan.steps.iter().enumerate().map(|(at, step)| Step::new(at + 1, step)).collect(),
            notices: plan
                .notices
                .iter()
                .map(|notice| Notice {
                    statement: notice.statement + 1,
                    code: notice.code.slug().to_owned(),
                    message: notice.message.clone(),
                })
                .collect(),
        }
    }
}

impl PlannedMigration {
    /// Adds what is expected of it.
    pub fn add_outlook(&mut self, outlook: &Outlook) {
        self.disk = Some(Disk::from(outlook));
        for (step, estimate) in self.steps.iter_mut().zip(&outlook.steps) {
            step.estimate = Some(Estimate::from(estimate));
        }
    }
}

impl From<&internal::Written> for Statement {
    fn from(written: &internal::Written) -> Self {
        Self {
            line: written.line,
            sql: written.sql.clone(),
            kinds: written.kinds.clone(),
            locks: written.facts.locks.iter().map(Lock::from).collect(),
            work: written.facts.work.iter().map(Work::from).collect(),
            breaks: written.facts.breaks.clone(),
            fails: written.facts.fails.as_ref().map(|fails| format!("{} ({})", fails.when, fails.sqlstate)),
        }
    }
}

impl Step {
    fn new(number: usize, step: &internal::Step) -> Self {
        Self {
            step: number,
            statement: step.statement + 1,
            phase: step.phase.into(),
            title: step.title.clone(),
            why: step.why.clone(),
            action: Action::from(&step.action),
            locks: step.locks.iter().map(Lock::from).collect(),
            work: step.work.iter().map(Work::from).collect(),
            undo: Undo::from(&step.undo),
            destroys: step.destroys,
            estimate: None,
        }
    }
}

impl From<&InternalAction> for Action {
    fn from(action: &InternalAction) -> Self {
        match action {
            InternalAction::Transaction { sql } => Self::Transaction { sql: sql.clone() },
            InternalAction::Long { sql } => Self::Long { sql: sql.clone() },
            InternalAction::Alone { sql, heal } => Self::Alone { sql: sql.clone(), heal: heal.clone() },
            InternalAction::Backfill(backfill) => Self::Backfill {
                table: backfill.table.to_string(),
                write: describe_write(&backfill.write),
                walk: describe_walk(&backfill.walk),
                estimated_rows: backfill.rows,
            },
            InternalAction::Proof { query, violation } => {
                Self::Proof { query: query.clone(), violation: violation.clone() }
            }
        }
    }
}

fn names(idents: &[Ident]) -> String {
    concertina_plan::sql::ident::list(idents)
}

fn describe_write(write: &Write) -> String {
    match write {
        Write::Update { alias, set, unchanged, .. } => {
            let set = set.iter().map(|(column, value)| format!("{column} = {value}"));
            let unchanged = unchanged.iter().map(|column| format!("{column} = {alias}.{column}"));
            let set: Vec<String> = set.chain(unchanged).collect();
            format!("SET {}", set.join(", "))
        }
        Write::Delete { .. } => "delete".to_owned(),
        Write::Copy { into, columns, .. } => format!("copy {} into {into}", names(columns)),
        Write::Restore { from, column, .. } => format!("SET {column} from {from}"),
        Write::Keeping { what, into, .. } => {
            format!("{}, each row as it was kept in {into}", describe_write(what))
        }
        Write::PutBack { from, .. } => format!("put back from {from}"),
    }
}

fn describe_walk(walk: &Walk) -> String {
    match walk {
        Walk::Pages { stride: 1 } => "by pages".to_owned(),
        Walk::Pages { stride } => format!("by windows of pages, in {stride} passes each"),
        Walk::Key { columns } => format!("by key ({})", names(columns)),
        Walk::RowSet(set) => {
            format!("by key ({}), rows fixed at the start in {}", names(&set.key), set.table)
        }
    }
}

impl From<&internal::LockClaim> for Lock {
    fn from(claim: &internal::LockClaim) -> Self {
        Self {
            relation: claim.relation.to_string(),
            mode: claim.mode.sql().to_owned(),
            blocks_reads: claim.mode.blocks_reads(),
            blocks_writes: claim.mode.blocks_writes(),
        }
    }
}

impl From<&internal::Work> for Work {
    fn from(work: &internal::Work) -> Self {
        let what = match work.what {
            WorkKind::Scan => What::Scan,
            WorkKind::IndexBuild => What::IndexBuild,
            WorkKind::Rewrite => What::Rewrite,
            WorkKind::Rows => What::Rows,
        };
        Self { relation: work.relation.to_string(), what }
    }
}

impl From<&InternalUndo> for Undo {
    fn from(undo: &InternalUndo) -> Self {
        match undo {
            InternalUndo::Steps { steps, loses } => Self::Steps {
                titles: steps.iter().map(|step| step.title.clone()).collect(),
                loses: loses.clone(),
            },
            InternalUndo::Nothing => Self::Nothing,
            InternalUndo::Impossible { why } => Self::Impossible { why: why.clone() },
        }
    }
}

impl From<&Refusal> for RefusedMigration {
    fn from(refusal: &Refusal) -> Self {
        let diagnostics = refusal.diagnostics.iter().map(|diagnostic| {
            let (line, column) = position(&refusal.text, diagnostic.span.start);
            Diagnostic {
                code: diagnostic.code.slug().to_owned(),
                start: diagnostic.span.start,
                end: diagnostic.span.end,
                line,
                column,
                message: diagnostic.message.clone(),
                help: diagnostic.help.clone(),
                kind: diagnostic.kind.clone(),
            }
        });
        Self { migration: refusal.migration.clone(), diagnostics: diagnostics.collect() }
    }
}

/// Line and column of a byte, both from 1, the column in characters.
fn position(text: &str, byte: usize) -> (usize, usize) {
    let mut end = byte.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let before = &text[..end];
    (before.matches('\n').count() + 1, before.rsplit('\n').next().unwrap_or("").chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::position;

    #[test]
    fn positions_count_characters_and_survive_any_byte() {
        assert_eq!(position("a\nbü c", 2), (2, 1));
        assert_eq!(position("a\nbü c", 6), (2, 4));
        // In the middle of ü, and beyond the end.
        assert_eq!(position("a\nbü c", 4), (2, 2));
        assert_eq!(position("a", 99), (1, 2));
    }
}
