//! `-- concertina:allow CODE`: what is refused as CODE runs as written.

use crate::change::{Change, Statement};
use crate::diagnostic::{Code, Diagnostic, Refusal};
use crate::effect::Effect;
use crate::kind::as_written::AsWritten;
use crate::kind::{Ctx, Kind, Online};
use crate::plan::Facts;

use super::{Planner, merge};

/// A statement of several changes, run as written.
pub(super) struct AsOne {
    /// The whole.
    pub(super) run: AsWritten,
    /// What its parts say of it as written.
    pub(super) facts: Facts,
    /// The refusals that `allow` lifts.
    pub(super) lifted: Vec<Code>,
}

/// Several changes whose order `allow split-file` leaves to PostgreSQL.
pub(super) fn allows_whole(statement: &Statement) -> bool {
    statement.directives.allows(Code::SplitFile)
        && statement.changes.as_ref().is_ok_and(|changes| changes.len() > 1)
}

pub(super) fn unused(code: Code, statement: &Statement) -> Diagnostic {
    Diagnostic {
        code: Code::Directive,
        span: statement.span.clone(),
        message: format!("allow {code} is unused: nothing here is refused as {code}"),
        help: "remove it".to_owned(),
        kind: None,
    }
}

impl Planner<'_> {
    /// Whether a change is planned otherwise, or refused, without `allow` of this code.
    pub(super) fn needs(&self, statement: &Statement, change: &Change, code: Code) -> bool {
        let mut without = statement.directives.clone();
        without.allow.retain(|(allowed, _)| *allowed != code);
        let online = |directives| change.kind().online(&self.ctx(directives));
        match (online(&statement.directives), online(&without)) {
            (Ok(with), Ok(without)) => with.steps != without.steps || with.notices != without.notices,
            (Err(with), Err(without)) => with != without || with.code == code,
            _ => true,
        }
    }

    /// A statement of several changes is one under `allow`: where any of them is refused and all refusals are allowed, the whole
    /// runs as written.
    pub(super) fn as_one(&self, index: usize, statement: &Statement, changes: &[Change]) -> Option<AsOne> {
        let replaces = changes.iter().any(|change| matches!(change, Change::Replace(_)));
        if changes.len() < 2 || statement.directives.allow.is_empty() || replaces {
            return None;
        }
        let mut trial = self.clone();
        trial.diagnostics.clear();
        let mut facts = Facts { transaction: true, ..Facts::default() };
        let mut effects = Vec::new();
        for change in changes {
            let ctx = trial.ctx(&statement.directives);
            merge(&mut facts, change.kind().facts(&ctx));
            effects.extend(change.kind().effects(&ctx));
            trial.change(index, statement, change);
        }
        let mut lifted: Vec<Code> = trial.diagnostics.iter().map(|diagnostic| diagnostic.code).collect();
        // An earlier statement that is still to come stays in the way however this one runs.
        let stays = |code: &Code| {
            matches!(code, Code::WillFail | Code::SplitFile) || !statement.directives.allows(*code)
        };
        if lifted.iter().any(stays) {
            return None;
        }
        if self.whole.contains(&index) {
            lifted.push(Code::SplitFile);
        }
        (!lifted.is_empty()).then(|| AsOne {
            run: as_written(name(changes), statement, &facts, effects),
            facts,
            lifted,
        })
    }
}

/// That of its changes, where they are of one kind. Only ALTER TABLE mixes them.
fn name(changes: &[Change]) -> &'static str {
    let mut names = changes.iter().map(|change| change.kind().name());
    let first = names.next().unwrap_or_default();
    if names.all(|name| name == first) { first } else { "alter_table" }
}

/// `-- concertina:allow CODE` turns a refusal of that code into "runs as written".
pub(super) fn allowed(
    ctx: &Ctx,
    statement: &Statement,
    change: &Change,
    facts: &Facts,
    effects: &[Effect],
    refusal: Refusal,
) -> Result<Online, Refusal> {
    // A replacement is more than its last statement.
    let whole = !matches!(change, Change::Replace(_));
    if refusal.code == Code::WillFail || !whole || !statement.directives.allows(refusal.code) {
        return Err(refusal);
    }
    if statement.changes.as_ref().is_ok_and(|changes| changes.len() > 1) {
        return Err(Refusal {
            way_out: format!(
                "`allow` runs a whole statement as written, and here more is refused than it allows: allow all of it, or write this as \
                 a statement of its own. {}",
                refusal.way_out
            ),
            ..refusal
        });
    }
    as_written(change.kind().name(), statement, facts, effects.to_vec()).online(ctx)
}

fn as_written(kind: &'static str, statement: &Statement, facts: &Facts, effects: Vec<Effect>) -> AsWritten {
    AsWritten {
        kind,
        sql: statement.sql.clone(),
        locks: facts.locks.clone(),
        work: facts.work.clone(),
        transaction: facts.transaction,
        whole: true,
        effects,
        undo: Err("it ran as written, under `allow`".to_owned()),
    }
}
