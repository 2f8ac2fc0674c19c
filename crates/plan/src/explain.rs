//! A plan in words: for a terminal, a log or a pull request. Plain text, the same for the same plan.
//!
//! [`lines`] gives each line with its role, so that a terminal can colour it; [`explain`] joins them.

use crate::estimate::{self, StepEstimate};
use crate::pg::lock::LockMode;
use crate::plan::{
    Action, Backfill, Facts, LockClaim, Phase, Plan, Step, Undo, Walk, Work, WorkKind, Write, Written,
};
use crate::sql::ident::{Name, list};

mod wrap;

use wrap::Block;

/// A line of the explanation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it is about.
    pub role: Role,
    /// The text, indented, without a newline.
    pub text: String,
}

/// What a [`Line`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Name of the migration.
    Header,
    /// The server it was planned for.
    Server,
    /// A heading: what was asked for, a phase, notices.
    Section,
    /// A statement as the user wrote it.
    Asked,
    /// What it would do as written.
    Fact,
    /// Title of a step.
    Step,
    /// Why the step is there.
    Why,
    /// SQL of a step.
    Sql,
    /// Locks that let reads and writes go on.
    WeakLock,
    /// Locks that block reads or writes.
    StrongLock,
    /// Table-sized work.
    Work,
    /// How long a step may take, and the room that it may need.
    Estimate,
    /// How a step is taken back.
    Undo,
    /// Something to know.
    Notice,
    /// An empty line.
    Blank,
}

/// The whole explanation as text.
pub fn explain(plan: &Plan) -> String {
    let mut text = String::new();
    for line in lines(plan) {
        text.push_str(line.text.trim_end());
        text.push('\n');
    }
    text
}

/// The explanation, line by line.
pub fn lines(plan: &Plan) -> Vec<Line> {
    estimated(plan, &[])
}

/// The same with what is expected of each step; steps without an estimate are explained without.
pub fn estimated(plan: &Plan, estimates: &[StepEstimate]) -> Vec<Line> {
    let mut out = Out { lines: Vec::new() };
    out.push(Role::Header, 0, &format!("Migration {}", plan.migration));
    out.push(Role::Server, 0, &format!("Planned for PostgreSQL {}", plan.server_version));
    out.section("Asked for");
    for (at, statement) in plan.statements.iter().enumerate() {
        asked(&mut out, at, statement);
    }
    if plan.steps.is_empty() {
        out.section("Nothing to do");
        out.push(Role::Why, 2, "The database is as asked for already.");
    }
    let mut phase = None;
    for (at, step) in plan.steps.iter().enumerate() {
        if phase != Some(step.phase) {
            phase = Some(step.phase);
            out.section(heading(step.phase));
        } else {
            out.blank();
        }
        out.step(at, step, plan.statements.len(), estimates.get(at));
    }
    if !plan.notices.is_empty() {
        out.section("Notices");
        for notice in &plan.notices {
            let about = reference(notice.statement, plan.statements.len());
            out.push(Role::Notice, 2, &format!("{}{about}: {}", notice.code, notice.message));
        }
    }
    out.lines
}

struct Out {
    lines: Vec<Line>,
}

impl Out {
    /// Words, wrapped; continuation lines stand two further in.
    fn push(&mut self, role: Role, indent: usize, text: &str) {
        self.block(role, Block::words(indent, indent + 2, text));
    }

    /// Words after a label; continuation lines stand under the first word.
    fn labelled(&mut self, role: Role, label: &str, text: &str) {
        self.block(role, Block::words(STEP, STEP + LABEL, &format!("{label:<LABEL$}{text}")));
    }

    fn block(&mut self, role: Role, block: Block) {
        self.lines.extend(block.lines.into_iter().map(|text| Line { role, text }));
    }

    fn blank(&mut self) {
        self.lines.push(Line { role: Role::Blank, text: String::new() });
    }

    fn section(&mut self, heading: &str) {
        self.blank();
        self.push(Role::Section, 0, heading);
    }

    fn step(&mut self, at: usize, step: &Step, statements: usize, estimate: Option<&StepEstimate>) {
        let about = reference(step.statement, statements);
        let destroys = if step.destroys { " — removes data, asks first" } else { "" };
        self.block(
            Role::Step,
            Block::words(2, STEP, &format!("{:<3}{}{about}{destroys}", format!("{}.", at + 1), step.title)),
        );
        self.labelled(Role::Why, "why", &step.why);
        self.action(&step.action);
        for (mode, relations) in by_mode(&step.locks) {
            let role = if mode.blocks_writes() { Role::StrongLock } else { Role::WeakLock };
            self.labelled(
                role,
                "lock",
                &format!("{mode} on {} — {}", some(&relations), felt(mode, &step.action)),
            );
        }
        for (what, relations) in by_kind(&step.work) {
            self.labelled(Role::Work, "work", &work(what, &relations, &step.action));
        }
        if let Some(estimate) = estimate {
            self.labelled(Role::Estimate, "time", &estimate::span(&estimate.expected));
            if let Some(room) = estimate::room(&estimate.room) {
                self.labelled(Role::Estimate, "room", &room);
            }
        }
        self.labelled(Role::Undo, "undo", &undo(&step.undo));
    }

    fn action(&mut self, action: &Action) {
        match action {
            Action::Transaction { sql } => {
                for statement in sql {
                    self.sql("sql", &format!("{statement};"));
                }
            }
            Action::Long { sql } | Action::Alone { sql, .. } => self.sql("sql", &format!("{sql};")),
            Action::Backfill(backfill) => {
                self.sql("rows", &rows(backfill));
                self.labelled(Role::Work, "walk", &walk(backfill));
            }
            Action::Proof { query, violation } => {
                self.sql("query", &format!("{query};"));
                self.labelled(Role::Work, "proves", &format!("there are no {violation}"));
            }
        }
    }

    fn sql(&mut self, label: &str, sql: &str) {
        self.block(Role::Sql, Block::code(STEP, STEP + LABEL, &format!("{label:<LABEL$}"), sql));
    }
}

/// Column where the parts of a step begin, and the width of their labels.
const STEP: usize = 5;
const LABEL: usize = 7;

fn reference(statement: usize, statements: usize) -> String {
    if statements > 1 { format!(" (statement {})", statement + 1) } else { String::new() }
}

fn heading(phase: Phase) -> &'static str {
    match phase {
        Phase::Expand => "Expand: the new shape beside the old",
        Phase::Backfill => "Backfill: the new data, in batches",
        Phase::Validate => "Validate: proofs, and what could not come before them",
        Phase::Switch => "Switch: the same name gets the new type",
        Phase::Contract => "Contract: what old code could break, and what goes",
    }
}

fn asked(out: &mut Out, at: usize, statement: &Written) {
    let number = format!("{:<3}", format!("{}.", at + 1));
    out.block(Role::Asked, Block::code(2, STEP, &number, &format!("{};", statement.sql)));
    let facts = as_written(&statement.facts);
    for fact in &facts {
        out.push(Role::Fact, STEP, &format!("as written: {fact}"));
    }
}

/// What a statement does as written, one sentence a line.
pub fn as_written(facts: &Facts) -> Vec<String> {
    let mut told = Vec::new();
    if let Some(fails) = &facts.fails {
        told.push(format!("fails, because {} ({})", fails.when, fails.sqlstate));
    }
    for (mode, relations) in by_mode(&facts.locks) {
        let during = |relation: &&Name| facts.work.iter().any(|work| work.relation == **relation);
        let (busy, idle): (Vec<&Name>, Vec<&Name>) = relations.into_iter().partition(during);
        for (what, tables) in by_kind(&facts.work) {
            let held: Vec<&Name> = busy.iter().copied().filter(|name| tables.contains(name)).collect();
            if !held.is_empty() {
                told.push(format!("{mode} on {} while {}{}", some(&held), while_(what), blocks(mode)));
            }
        }
        if !idle.is_empty() {
            told.push(format!("{mode} on {}{}", some(&idle), blocks(mode)));
        }
    }
    for (what, tables) in by_kind(&facts.work) {
        let unlocked: Vec<&Name> =
            tables.into_iter().filter(|name| !facts.locks.iter().any(|l| l.relation == **name)).collect();
        if !unlocked.is_empty() {
            told.push(format!("on {} {}", some(&unlocked), while_(what)));
        }
    }
    if told.is_empty() {
        told.push("no lock that anyone waits for".to_owned());
    }
    if !facts.transaction {
        told.push("runs outside a transaction".to_owned());
    }
    told.extend(facts.breaks.iter().cloned());
    told
}

fn while_(what: WorkKind) -> &'static str {
    match what {
        WorkKind::Scan => "every row is read",
        WorkKind::IndexBuild => "an index is built",
        WorkKind::Rewrite => "the table is rewritten",
        WorkKind::Rows => "its rows are written",
    }
}

fn blocks(mode: LockMode) -> &'static str {
    if mode.blocks_reads() {
        ": blocks reads and writes"
    } else if mode.blocks_writes() {
        ": blocks writes"
    } else {
        ""
    }
}

fn felt(mode: LockMode, action: &Action) -> &'static str {
    let short = matches!(action, Action::Transaction { .. });
    match (mode.blocks_reads(), mode.blocks_writes(), short) {
        (true, _, true) => "blocks reads and writes, for an instant",
        (true, _, false) => "blocks reads and writes",
        (false, true, true) => "blocks writes, for an instant",
        (false, true, false) => "blocks writes",
        (false, false, _) => "reads and writes go on",
    }
}

fn work(what: WorkKind, relations: &[&Name], action: &Action) -> String {
    let relations = some(relations);
    match (what, action) {
        (WorkKind::Scan, _) => format!("reads every row of {relations}"),
        (WorkKind::IndexBuild, _) => format!("reads {relations} and writes an index"),
        (WorkKind::Rewrite, _) => format!("writes {relations} anew"),
        (WorkKind::Rows, Action::Backfill(Backfill { rows, .. })) if *rows > 0 => {
            format!("about {} rows of {relations}, in throttled batches", rounded(*rows))
        }
        (WorkKind::Rows, _) => format!("rows of {relations}, in throttled batches"),
    }
}

/// Two significant digits, grouped by thousands: it is an estimate.
fn rounded(rows: u64) -> String {
    let mut unit = 1;
    while rows / unit >= 100 {
        unit *= 10;
    }
    let digits = ((rows + unit / 2) / unit * unit).to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn rows(backfill: &Backfill) -> String {
    let table = &backfill.table;
    match &backfill.write {
        Write::Update { alias, set, unchanged, pending } => {
            let set = set.iter().map(|(column, expr)| format!("{column} = {expr}"));
            let unchanged = unchanged.iter().map(|column| format!("{column} = {alias}.{column}"));
            let set: Vec<String> = set.chain(unchanged).collect();
            format!("UPDATE ONLY {table} AS {alias} SET {} WHERE {pending};", set.join(", "))
        }
        Write::Copy { into, columns, only } => {
            let columns = list(columns);
            let only =
                only.as_ref().map(|only| format!(" AS concertina_row WHERE {only}")).unwrap_or_default();
            format!("INSERT INTO {into} ({columns}) SELECT {columns} FROM ONLY {table}{only};")
        }
        Write::Delete { alias } => format!("DELETE FROM ONLY {table} AS {alias};"),
        Write::Restore { from, key, column, .. } => {
            format!("UPDATE ONLY {table} SET {column} = that of {from} with the same ({});", list(key))
        }
        Write::Keeping { what, into, .. } => {
            let kept = Backfill { write: (**what).clone(), ..backfill.clone() };
            format!("{} -- each row as it was goes into {into}", rows(&kept))
        }
        Write::PutBack { from, key, columns, deleted: false } => format!(
            "UPDATE ONLY {table} SET ({}) = those of {from} with the same ({}) that nobody has written since;",
            list(columns),
            list(key)
        ),
        Write::PutBack { from, .. } => format!("INSERT INTO {table} the rows of {from};"),
    }
}

fn walk(backfill: &Backfill) -> String {
    match &backfill.walk {
        Walk::Pages { stride: 1 } => "page by page".to_owned(),
        Walk::Pages { stride } => format!("in windows of pages, every {stride}th row at a time"),
        Walk::Key { columns } => format!("in order of ({})", list(columns)),
        Walk::RowSet(set) => {
            let those = set.filter.as_ref().map_or("all rows", |_| "the rows that satisfy WHERE");
            format!("{those} at the start, each once, by ({})", list(&set.key))
        }
    }
}

fn undo(undo: &Undo) -> String {
    match undo {
        Undo::Nothing => "nothing to take back".to_owned(),
        Undo::Impossible { why } => format!("impossible: {why}"),
        Undo::Steps { steps, loses } => {
            let titles: Vec<&str> = steps.iter().map(|step| step.title.as_str()).collect();
            let loses = loses.as_ref().map(|loses| format!(" — but: {loses}")).unwrap_or_default();
            if titles.is_empty() {
                format!("nothing to take back{loses}")
            } else {
                format!("{}{loses}", titles.join("; "))
            }
        }
    }
}

/// Locks by mode, strongest first; relations in their order.
fn by_mode(locks: &[LockClaim]) -> Vec<(LockMode, Vec<&Name>)> {
    let of = |mode| locks.iter().filter(move |lock| lock.mode == mode).map(|lock| &lock.relation);
    LockMode::ALL
        .into_iter()
        .rev()
        .map(|mode| (mode, of(mode).collect::<Vec<_>>()))
        .filter(|(_, relations)| !relations.is_empty())
        .collect()
}

fn by_kind(work: &[Work]) -> Vec<(WorkKind, Vec<&Name>)> {
    [WorkKind::Rewrite, WorkKind::IndexBuild, WorkKind::Scan, WorkKind::Rows]
        .into_iter()
        .map(|what| {
            let relations = work.iter().filter(|work| work.what == what).map(|work| &work.relation);
            (what, relations.collect::<Vec<_>>())
        })
        .filter(|(_, relations)| !relations.is_empty())
        .collect()
}

/// A list of names that stays readable for a table with hundreds of partitions.
fn some(relations: &[&Name]) -> String {
    const SHOWN: usize = 6;
    let mut names: Vec<String> = relations.iter().take(SHOWN).map(ToString::to_string).collect();
    if relations.len() > SHOWN {
        names.push(format!("{} more", relations.len() - SHOWN));
    }
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, first)) => format!("{} and {last}", first.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests;
