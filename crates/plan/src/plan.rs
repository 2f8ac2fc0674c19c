//! The physical plan: plain data that is printed, reviewed, stored in the ledger and replayed.

use serde::{Deserialize, Serialize};

use crate::catalog::Trigger;
use crate::diagnostic::Code;
use crate::effect::Effect;
use crate::pg::firing::Firing;
use crate::pg::lock::LockMode;
use crate::pg::version::Version;
use crate::sql::ident::{Ident, Name};

/// Version of the stored and printed plan format. Raised whenever a field changes its meaning or goes.
pub const FORMAT: u32 = 1;

/// What will run for one migration file, in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// [`FORMAT`] it was written with.
    pub format: u32,
    /// Migration name: the file name without `.sql`.
    pub migration: String,
    /// SHA-256 of the file (BOM removed, CRLF as LF), lower-case hex.
    pub checksum: String,
    /// Version of the server it was planned for.
    pub server_version: Version,
    /// The `search_path` it was planned with, first to last; statements that run as written run under it.
    pub search_path: Vec<Ident>,
    /// Statements as the user wrote them, in file order.
    pub statements: Vec<Written>,
    /// Steps in execution order: phases ascend.
    pub steps: Vec<Step>,
    /// What clients will feel, and what a reviewer should know.
    pub notices: Vec<Notice>,
    /// What the plan reads and writes, for telling whether two migrations may be in flight together.
    pub claims: Vec<Claim>,
}

/// A statement of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Written {
    /// Line in the file, from 1.
    pub line: usize,
    /// Its text without comments around it and without the semicolon.
    pub sql: String,
    /// Kind name, such as `add_column`; several when it has several subcommands.
    pub kinds: Vec<String>,
    /// What it would do if it ran as written.
    pub facts: Facts,
}

/// What a statement does as written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// Strongest lock on each existing relation.
    pub locks: Vec<LockClaim>,
    /// Table-sized work.
    pub work: Vec<Work>,
    /// Whether it may run inside a transaction block.
    pub transaction: bool,
    /// Who breaks, in words.
    pub breaks: Vec<String>,
    /// It is certain to fail on this catalog.
    pub fails: Option<Fails>,
}

/// A failure that the catalog alone shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fails {
    /// SQLSTATE.
    pub sqlstate: String,
    /// When it fails, in words.
    pub when: String,
}

/// A table lock taken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LockClaim {
    /// Relation (table, partition, index or sequence).
    pub relation: Name,
    /// Strongest mode taken on it.
    pub mode: LockMode,
}

impl LockClaim {
    /// Adds claims to a list: of two on one relation the stronger stays.
    pub fn join(known: &mut Vec<Self>, more: impl IntoIterator<Item = Self>) {
        for lock in more {
            match known.iter_mut().find(|known| known.relation == lock.relation) {
                Some(known) => known.mode = known.mode.max(lock.mode),
                None => known.push(lock),
            }
        }
    }
}

/// Work whose size is the table's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// Table.
    pub relation: Name,
    /// What is done to it.
    pub what: WorkKind,
}

/// Sorts of table-sized work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkKind {
    /// Every row is read.
    Scan,
    /// The table is read and an index written.
    IndexBuild,
    /// The table and all its indexes are written anew.
    Rewrite,
    /// Rows are updated, copied or deleted in batches.
    Rows,
}

/// The phases, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Add the new shape beside the old; install sync; loosen.
    Expand,
    /// Derive new data in batches.
    Backfill,
    /// Prove constraints.
    Validate,
    /// Swap where the same name changes its type.
    Switch,
    /// Tighten what old code might break; remove the old shape.
    Contract,
}

impl Phase {
    /// Lower-case name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expand => "expand",
            Self::Backfill => "backfill",
            Self::Validate => "validate",
            Self::Switch => "switch",
            Self::Contract => "contract",
        }
    }
}

/// One thing to do, with everything a reviewer and a runner need to know of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Statement it serves, as an index into [`Plan::statements`].
    pub statement: usize,
    /// When it runs.
    pub phase: Phase,
    /// What it does, for people: "Build index orders_user_idx without blocking".
    pub title: String,
    /// Why it is there, in one sentence.
    pub why: String,
    /// What to execute.
    pub action: Action,
    /// Every relation lock of SHARE UPDATE EXCLUSIVE or stronger on relations that exist before the step; weaker
    /// ones where they matter. Observed locks must be a subset (in strength) of these.
    pub locks: Vec<LockClaim>,
    /// Table-sized work done, whatever lock it is done under.
    pub work: Vec<Work>,
    /// How to see that it is done.
    pub probe: Probe,
    /// How it is taken back.
    pub undo: Undo,
    /// What must exist before; checked when steps are ordered.
    pub requires: Vec<Need>,
    /// What it changes in the catalog.
    pub provides: Vec<Effect>,
    /// It removes data that no undo brings back entirely, or archives it: `contract` asks first.
    pub destroys: bool,
    /// What it leaves in the archive, from which undo brings it back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub archived: Vec<Archived>,
    /// What it begins to count, until contract or undo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<Counted>,
    /// Rows whose value cannot be computed are recorded from here on, until contract or undo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantines: Option<Quarantined>,
}

/// Rows for which the expression of a column fails: the column is NULL in them, and an entry in the ledger says why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// Table.
    pub table: Name,
    /// The column as its reader knows it.
    pub column: Ident,
    /// Column that is NULL in such rows.
    pub target: Ident,
    /// Its type.
    pub data_type: String,
    /// Columns that identify a row, with their types; empty where the table has no such key.
    pub key: Vec<(Ident, String)>,
    /// Function that tries the expression: it gives the value, or what was raised. While it is there, entries count.
    pub attempt: Name,
    /// Columns that it takes.
    pub sources: Vec<Ident>,
    /// What open entries block.
    pub blocks: Blocks,
}

/// What rows in quarantine block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Blocks {
    /// The switch: new code would read NULL.
    Switch,
    /// Contract: the value would never be computed.
    Contract,
    /// Undo: old code would read NULL.
    Undo,
}

/// A count of updates of rows that gave two columns of one value different values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// Sequence of ours that counts them.
    pub sequence: Name,
    /// Table.
    pub table: Name,
    /// Column that old code writes.
    pub old: Ident,
    /// Column that new code writes; its value counts.
    pub new: Ident,
}

/// An object in the archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archived {
    /// What it is there.
    pub noun: Noun,
    /// Its name there.
    pub name: Name,
    /// What it was or holds: "table public.orders", "column email of public.users".
    pub of: String,
}

/// What can lie in the archive, as SQL calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Noun {
    /// Table, partitioned or not.
    Table,
    /// Index.
    Index,
    /// Sequence.
    Sequence,
    /// Function, procedure or aggregate.
    Routine,
    /// Type or domain.
    Type,
}

impl Noun {
    /// What follows ALTER and DROP.
    pub fn sql(self) -> &'static str {
        match self {
            Self::Table => "TABLE",
            Self::Index => "INDEX",
            Self::Sequence => "SEQUENCE",
            Self::Routine => "ROUTINE",
            Self::Type => "TYPE",
        }
    }
}

/// What to execute, and so how.
#[expect(clippy::large_enum_variant, reason = "there are few of them, and a box would only stand in the way")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum Action {
    /// Short statements in one transaction, under the stall budget: tried with a lock timeout, retried.
    Transaction {
        /// Statements in order.
        sql: Vec<String>,
    },
    /// One long statement in its own transaction under a lock that blocks neither readers nor writers (VALIDATE).
    Long {
        /// The statement.
        sql: String,
    },
    /// One statement outside a transaction (CONCURRENTLY). `heal` removes what a failed try leaves behind.
    Alone {
        /// The statement.
        sql: String,
        /// Statement that removes an INVALID leftover, run before a retry when the probe says "not done".
        heal: Option<String>,
    },
    /// Rows in batches.
    Backfill(Backfill),
    /// A read-only query that must return no row; what it returns are the violators (at most a few), as text.
    Proof {
        /// The query. Its columns identify the row.
        query: String,
        /// What a row means, for the message: "rows of app.users where email is null".
        violation: String,
    },
}

/// A throttled, journaled, resumable write over a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Backfill {
    /// A plain table or one partition.
    pub table: Name,
    /// What is done to each row.
    pub write: Write,
    /// How rows are visited.
    pub walk: Walk,
    /// Users' triggers fire as for an ordinary UPDATE; if false they are kept silent where the role may.
    pub fire_triggers: bool,
    /// Estimated rows at planning.
    pub rows: u64,
}

/// The per-row work of a [`Backfill`]. Expressions are the user's SQL over the table's columns, unqualified or
/// qualified by `alias`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum Write {
    /// `UPDATE ONLY table AS alias SET … WHERE <range> AND (pending)`
    Update {
        /// Alias under which the expressions see the table.
        alias: Ident,
        /// Columns and their expressions.
        set: Vec<(Ident, String)>,
        /// Indexed columns that are written with the value they have, which spares PostgreSQL a vain search.
        unchanged: Vec<Ident>,
        /// True for rows that still need the write. For [`Walk::Pages`] it must turn false once a row is written.
        pending: String,
    },
    /// `DELETE FROM ONLY table AS alias WHERE <range>`; only over a [`Walk::RowSet`].
    Delete {
        /// Alias under which the row set's filter sees the table.
        alias: Ident,
    },
    /// `INSERT INTO into (columns) SELECT columns FROM ONLY table WHERE <range> ON CONFLICT DO NOTHING`, rows locked FOR KEY
    /// SHARE: keeps a copy that a trigger holds up to date.
    Copy {
        /// Target table, whose columns are named alike and whose key is `key`.
        into: Name,
        /// Columns copied, key included.
        columns: Vec<Ident>,
        /// Only rows of which this is true, over the table as `concertina_row`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        only: Option<String>,
    },
    /// `UPDATE ONLY table SET column = archive.column FROM archive` by key: brings an archived column back.
    Restore {
        /// Archive table.
        from: Name,
        /// Key columns, in both.
        key: Vec<Ident>,
        /// Column.
        column: Ident,
        /// Rows, seen as `concertina_row`, whose value is not newer than the archive's; where nothing is said, those that have
        /// none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pending: Option<String>,
        /// Only rows whose values of these columns are what the archive has beside the column's, by image.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        same: Vec<Ident>,
    },
    /// An update or a delete that keeps what it overwrites or removes, in the same transaction.
    Keeping {
        /// [`Write::Update`] or [`Write::Delete`].
        what: Box<Write>,
        /// Table that gets a row for each row written.
        into: Name,
        /// Key columns, in both.
        key: Vec<Ident>,
        /// Columns kept, all but the key. Of an update they are kept as they were and, as `concertina_after_1` and so on, as
        /// the update left them.
        columns: Vec<Ident>,
    },
    /// Moves rows back out of a table that [`Write::Keeping`] filled: those that nobody has written since.
    PutBack {
        /// That table.
        from: Name,
        /// Key columns, in both.
        key: Vec<Ident>,
        /// Columns kept, all but the key.
        columns: Vec<Ident>,
        /// The rows were deleted, and are inserted again where no other row is in their place.
        deleted: bool,
    },
}

/// How a [`Backfill`] visits rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum Walk {
    /// Windows of heap pages by ctid; within a window `stride` passes, each over every stride-th row, so that pruning makes
    /// room on the page for HOT updates. Only for writes with a pending predicate. A last sweep takes rows that moved.
    Pages {
        /// Passes per window, a power of two; 1 is a plain sweep.
        stride: u32,
    },
    /// Ascending batches of a unique NOT NULL key that the statement does not write.
    Key {
        /// Key columns.
        columns: Vec<Ident>,
    },
    /// Rows fixed at the start: for writes that are not idempotent. Each of them is written exactly once.
    RowSet(RowSet),
}

/// The rows that satisfied the statement's WHERE when the backfill started, by key, in a table of ours.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RowSet {
    /// The table, in schema `concertina`; made by the backfill, dropped when it is done.
    pub table: Name,
    /// A unique NOT NULL key of the table that the statement does not write.
    pub key: Vec<Ident>,
    /// The statement's WHERE, evaluated at the start and again at each row's batch.
    pub filter: Option<String>,
    /// Alias under which the filter sees the table.
    pub alias: Ident,
}

/// How to see on the server that a step is done. [`Probe::Ledger`] steps commit their ledger row with their effect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum Probe {
    /// Nothing to see in the catalog: the ledger row alone tells.
    Ledger,
    /// A relation exists or not.
    Relation {
        /// Name.
        name: Name,
        /// Expected.
        exists: bool,
    },
    /// A column exists or not.
    Column {
        /// Table.
        table: Name,
        /// Column.
        column: Ident,
        /// Expected.
        exists: bool,
    },
    /// A column has a default or not.
    Default {
        /// Table.
        table: Name,
        /// Column.
        column: Ident,
        /// Expected.
        exists: bool,
    },
    /// A column is NOT NULL or not.
    NotNull {
        /// Table.
        table: Name,
        /// Column.
        column: Ident,
        /// Expected.
        not_null: bool,
    },
    /// A constraint exists, with this validity; or does not exist (`None`). Finds NOT NULL constraints too (18+).
    Constraint {
        /// Table.
        table: Name,
        /// Constraint.
        name: Ident,
        /// Expected `convalidated`, or absence.
        validated: Option<bool>,
    },
    /// A valid index exists on this table, or no index of this name exists.
    Index {
        /// Index name (schema is the table's).
        name: Name,
        /// Expected.
        valid: bool,
    },
    /// A trigger exists or not.
    Trigger {
        /// Table.
        table: Name,
        /// Trigger.
        name: Ident,
        /// Expected.
        exists: bool,
    },
    /// A table is a partition of another, or neither that nor about to cease to be it.
    Partition {
        /// Partitioned table.
        table: Name,
        /// Partition.
        partition: Name,
        /// Expected.
        attached: bool,
    },
    /// Nothing in the catalog shows that it is done, but a try that failed leaves INVALID twins of indexes (`…_ccnew`, `…_ccold`).
    Rebuilt {
        /// Table.
        table: Name,
        /// The index that is rebuilt; `None` for all of the table and its TOAST table.
        index: Option<Name>,
        /// Twins that were there before, which are not ours.
        known: Vec<Name>,
    },
    /// All of these.
    All {
        /// Probes.
        of: Vec<Probe>,
    },
}

/// How a step is taken back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum Undo {
    /// By these steps, in this order.
    Steps {
        /// Steps; their own undo is [`Undo::Nothing`].
        steps: Vec<Step>,
        /// What does not come back, in words, if anything.
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

/// What a step needs to find in the physical catalog.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// The relation exists.
    Relation(Name),
    /// The column exists.
    Column(Name, Ident),
    /// No column of this name exists.
    NoColumn(Name, Ident),
    /// No relation, index or sequence of this name exists.
    NoRelation(Name),
    /// No constraint of this name exists on the table.
    NoConstraint(Name, Ident),
    /// The trigger of this table fires in these sessions.
    TriggerFires(Name, Ident, Firing),
    /// Nothing depends on this view. Looked at again before `contract` and `undo` begin: it may come while both names live.
    NoDependents(Name),
}

/// Something a person should know before it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Statement it is about, as an index into [`Plan::statements`].
    pub statement: usize,
    /// What.
    pub code: Code,
    /// In words: who feels what, when.
    pub message: String,
}

/// What a plan touches.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Claim {
    /// Relation.
    pub relation: Name,
    /// Column; `None` claims the relation as a whole.
    pub column: Option<Ident>,
    /// Written (changed) or only relied upon.
    pub write: bool,
}

impl Claim {
    /// Whether two migrations with these claims may not be in flight together.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.relation == other.relation
            && (self.write || other.write)
            && match (&self.column, &other.column) {
                (Some(a), Some(b)) => a == b,
                // Who only relies on the relation to be there does not mind what becomes of a column.
                (None, Some(_)) => self.write,
                (Some(_), None) => other.write,
                (None, None) => true,
            }
    }

    /// What is claimed, for people.
    pub fn object(&self) -> String {
        match &self.column {
            Some(column) => format!("column {column} of {}", self.relation),
            None => self.relation.to_string(),
        }
    }
}

impl Plan {
    /// A step of this plan and one of the other that may not both be to come, with what both claim.
    pub fn overlap<'p>(&'p self, other: &'p Plan) -> Option<Overlap<'p>> {
        if !self.claims.iter().any(|claim| other.claims.iter().any(|theirs| claim.overlaps(theirs))) {
            return None;
        }
        let own: Vec<(&Step, Vec<Claim>)> = self.steps.iter().map(|step| (step, step.claims())).collect();
        // What removes or renames comes last, and says most.
        for theirs in other.steps.iter().rev() {
            for their in theirs.claims() {
                let found = own.iter().find_map(|(step, claims)| {
                    claims.iter().find(|claim| claim.overlaps(&their)).map(|claim| (*step, claim.clone()))
                });
                if let Some((own, claim)) = found {
                    let claim = if claim.column.is_some() { claim } else { their };
                    return Some(Overlap { claim, own, theirs });
                }
            }
        }
        None
    }
}

/// Why two migrations may not be in flight together.
#[derive(Clone, Debug, PartialEq)]
pub struct Overlap<'p> {
    /// What both claim.
    pub claim: Claim,
    /// The step that claims it in the one.
    pub own: &'p Step,
    /// The step that claims it in the other.
    pub theirs: &'p Step,
}

impl Write {
    /// What is done, without what is kept of it.
    pub fn kept(&self) -> &Self {
        match self {
            Self::Keeping { what, .. } => what.kept(),
            other => other,
        }
    }
}

impl Step {
    /// What it changes and what it relies on. A switch claims whole what it locks.
    pub fn claims(&self) -> Vec<Claim> {
        let mut claims: Vec<Claim> = self.provides.iter().flat_map(Effect::claims).collect();
        claims.extend(self.locks.iter().map(|lock| Claim {
            relation: lock.relation.clone(),
            column: None,
            write: self.phase == Phase::Switch && lock.mode == LockMode::AccessExclusive,
        }));
        let Action::Backfill(Backfill { table, write, .. }) = &self.action else { return claims };
        let claim = |column| Claim { relation: table.clone(), column, write: true };
        match write.kept() {
            Write::Update { set, .. } => {
                claims.extend(set.iter().map(|(column, _)| claim(Some(column.clone()))));
            }
            Write::Delete { .. } => claims.push(claim(None)),
            Write::Keeping { .. } | Write::Copy { .. } | Write::Restore { .. } | Write::PutBack { .. } => {}
        }
        claims
    }

    /// Starts a step that runs short statements in one transaction; the builder methods fill in the rest.
    pub fn transaction(
        phase: Phase,
        title: impl Into<String>,
        why: impl Into<String>,
        sql: Vec<String>,
    ) -> Self {
        Self::new(phase, title, why, Action::Transaction { sql })
    }

    /// Starts a step: no locks, no work, ledger probe, nothing to undo.
    pub fn new(phase: Phase, title: impl Into<String>, why: impl Into<String>, action: Action) -> Self {
        Self {
            statement: 0,
            phase,
            title: title.into(),
            why: why.into(),
            action,
            locks: Vec::new(),
            work: Vec::new(),
            probe: Probe::Ledger,
            undo: Undo::Nothing,
            requires: Vec::new(),
            provides: Vec::new(),
            destroys: false,
            archived: Vec::new(),
            counts: None,
            quarantines: None,
        }
    }

    /// Claims a lock.
    #[must_use]
    pub fn lock(mut self, relation: &Name, mode: LockMode) -> Self {
        self.locks.push(LockClaim { relation: relation.clone(), mode });
        self
    }

    /// Claims several locks.
    #[must_use]
    pub fn locks(mut self, locks: impl IntoIterator<Item = LockClaim>) -> Self {
        self.locks.extend(locks);
        self
    }

    /// Adds table-sized work.
    #[must_use]
    pub fn work(mut self, relation: &Name, what: WorkKind) -> Self {
        self.work.push(Work { relation: relation.clone(), what });
        self
    }

    /// Sets the probe.
    #[must_use]
    pub fn probe(mut self, probe: Probe) -> Self {
        self.probe = probe;
        self
    }

    /// Undone by these steps without loss.
    #[must_use]
    pub fn undone_by(mut self, steps: Vec<Step>) -> Self {
        self.undo = Undo::Steps { steps, loses: None };
        self
    }

    /// Sets the undo.
    #[must_use]
    pub fn undo(mut self, undo: Undo) -> Self {
        self.undo = undo;
        self
    }

    /// Adds a need.
    #[must_use]
    pub fn requires(mut self, need: Need) -> Self {
        self.requires.push(need);
        self
    }

    /// Adds an effect.
    #[must_use]
    pub fn provides(mut self, effect: Effect) -> Self {
        self.provides.push(effect);
        self
    }

    /// Marks it as removing data.
    #[must_use]
    pub fn destroys(mut self) -> Self {
        self.destroys = true;
        self
    }
}

/// A trigger of ours: fires before, for each row, on these events.
pub fn sync_trigger(name: Ident, on: Vec<crate::catalog::TriggerEvent>, definition: String) -> Trigger {
    Trigger {
        name,
        row: true,
        before: true,
        on,
        update_of: Vec::new(),
        transition_table: false,
        fires: Firing::Origin,
        definition,
    }
}
