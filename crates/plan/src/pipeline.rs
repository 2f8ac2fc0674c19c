//! The pipeline itself: file and catalogs in, plan or diagnostics out.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use crate::catalog::Catalog;
use crate::change::{Change, Statement};
use crate::combine::combine;
use crate::diagnostic::{Code, Diagnostic, Refusal};
use crate::effect::{Effect, fold};
use crate::kind::shared::silence;
use crate::kind::{Ctx, Online};
use crate::pg::lock::LockMode;
use crate::plan::{Claim, FORMAT, Facts, LockClaim, Notice, Phase, Plan, Step, Written};
use crate::policy::Policy;
use crate::schedule::{self, Cares};
use crate::sql::directive::Directives;
use crate::sql::ident::Name;
use crate::{outcome, sql};

mod allow;

use allow::{allowed, allows_whole, unused};

/// A migration file.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Migration name: the file name without `.sql`.
    pub name: &'a str,
    /// Its text.
    pub text: &'a str,
}

/// SHA-256 of a migration's text without byte order mark and with CRLF as LF, in lower-case hex.
pub fn checksum(text: &str) -> String {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n");
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Compiles a migration.
///
/// # Errors
/// Every statement that cannot be planned, with reason and way out.
pub fn plan(
    source: Source,
    logical: &Catalog,
    physical: &Catalog,
    policy: &Policy,
) -> Result<Plan, Vec<Diagnostic>> {
    let statements = combine(sql::read(source.text, logical, policy)?);
    let mut whole = BTreeSet::new();
    loop {
        let mut planner = Planner {
            logical: logical.clone(),
            physical: physical.clone(),
            policy,
            migration: source.name,
            whole: &whole,
            steps: Vec::new(),
            notices: Vec::new(),
            written: Vec::new(),
            diagnostics: Vec::new(),
            blind: false,
        };
        for (index, statement) in statements.iter().enumerate() {
            planner.statement(index, statement);
        }
        match planner.finish(source, logical, physical, &statements) {
            Ok(plan) => return Ok(plan),
            Err(Unfinished::Refused(diagnostics)) => return Err(diagnostics),
            // Only the order of the steps shows that its parts are in each other's way.
            Err(Unfinished::Whole(statement)) => whole.insert(statement),
        };
    }
}

/// Why there is no plan yet.
enum Unfinished {
    Refused(Vec<Diagnostic>),
    /// This statement is to run as written, as a whole, by its `allow split-file`.
    Whole(usize),
}

#[derive(Clone)]
struct Planner<'a> {
    logical: Catalog,
    physical: Catalog,
    policy: &'a Policy,
    migration: &'a str,
    /// Statements that run as written because their parts are in each other's way.
    whole: &'a BTreeSet<usize>,
    steps: Vec<Step>,
    notices: Vec<Notice>,
    written: Vec<Written>,
    diagnostics: Vec<Diagnostic>,
    /// A statement was refused whose effects are unknown: later "does not exist" refusals would be guesses.
    blind: bool,
}

impl Planner<'_> {
    fn ctx<'a>(&'a self, directives: &'a Directives) -> Ctx<'a> {
        Ctx {
            logical: &self.logical,
            physical: &self.physical,
            policy: self.policy,
            directives,
            migration: self.migration,
        }
    }

    fn statement(&mut self, index: usize, statement: &Statement) {
        let mut kinds = Vec::new();
        let mut facts = Facts { transaction: true, ..Facts::default() };
        for change in &statement.absorbed {
            let ctx = self.ctx(&statement.directives);
            kinds.push(change.kind().name().to_owned());
            merge(&mut facts, felt(&self.logical, change.kind().facts(&ctx)));
            if change.takes_effect_here() {
                let effects = change.kind().effects(&ctx);
                self.logical = fold(&self.logical, &effects);
            }
        }
        match &statement.changes {
            Ok(changes) => {
                let mut idle: Vec<Code> = statement.directives.allow.iter().map(|(code, _)| *code).collect();
                idle.retain(|code| !statement.directives.used.contains(code));
                let as_one = self.as_one(index, statement, changes);
                if let Some(one) = &as_one {
                    idle.retain(|code| !one.lifted.contains(code));
                    kinds.extend(changes.iter().map(|change| change.kind().name().to_owned()));
                    merge(&mut facts, felt(&self.logical, one.facts.clone()));
                    self.change(index, statement, &Change::AsWritten(one.run.clone()));
                } else {
                    for change in changes {
                        idle.retain(|code| !self.needs(statement, change, *code));
                        kinds.push(change.kind().name().to_owned());
                        merge(&mut facts, self.change(index, statement, change));
                    }
                }
                // Whether its parts are in each other's way is known at the end.
                idle.retain(|code| as_one.is_some() || changes.len() < 2 || *code != Code::SplitFile);
                self.diagnostics.extend(idle.into_iter().map(|code| unused(code, statement)));
            }
            Err(diagnostic) if self.blind && matches!(diagnostic.code, Code::WillFail | Code::SplitFile) => {}
            Err(diagnostic) => {
                self.diagnostics.push(diagnostic.clone());
                self.as_if_run(&statement.refused_effects);
            }
        }
        self.written.push(Written { line: statement.line, sql: statement.sql.clone(), kinds, facts });
    }

    /// The plan, once all statements are planned.
    fn finish(
        self,
        source: Source,
        logical: &Catalog,
        physical: &Catalog,
        statements: &[Statement],
    ) -> Result<Plan, Unfinished> {
        let Self { mut steps, notices, written, diagnostics, logical: after, whole, .. } = self;
        if !diagnostics.is_empty() {
            return Err(Unfinished::Refused(diagnostics));
        }
        schedule::order(&mut steps);
        let refused = |statement: usize, refusal| {
            Err(Unfinished::Refused(vec![locate(refusal, &statements[statement], None)]))
        };
        match schedule::check(&steps, physical, logical) {
            Err(unmet) if unmet.within && allows_whole(&statements[unmet.statement]) => {
                return Err(Unfinished::Whole(unmet.statement));
            }
            Err(unmet) => return refused(unmet.statement, unmet.refusal),
            Ok(()) => {}
        }
        if let Err((statement, refusal)) = outcome::check(logical, &steps, &after) {
            return refused(statement, refusal);
        }
        let idle = |(at, statement): &(usize, &Statement)| allows_whole(statement) && !whole.contains(at);
        let idle: Vec<Diagnostic> = statements
            .iter()
            .enumerate()
            .filter(idle)
            .map(|(_, statement)| unused(Code::SplitFile, statement))
            .collect();
        if !idle.is_empty() {
            return Err(Unfinished::Refused(idle));
        }
        Ok(Plan {
            format: FORMAT,
            migration: source.name.to_owned(),
            checksum: checksum(source.text),
            server_version: physical.server.version,
            search_path: physical.server.search_path.clone(),
            claims: claims(&steps),
            statements: written,
            steps,
            notices,
        })
    }

    /// What follows a refused statement is judged as if it had run, as far as its effects are known.
    fn as_if_run(&mut self, effects: &[Effect]) {
        self.blind = true;
        for effect in effects.iter().filter(|effect| !matches!(effect, Effect::Unknown(_))) {
            effect.apply(&mut self.logical);
            effect.apply(&mut self.physical);
        }
    }

    fn change(&mut self, index: usize, statement: &Statement, change: &Change) -> Facts {
        let ctx = self.ctx(&statement.directives);
        let kind = change.kind();
        let facts = kind.facts(&ctx);
        let effects = kind.effects(&ctx);
        let mut lifted = false;
        let online = match &self.logical.unknown_since {
            Some(since) => Err(Refusal::new(
                Code::SplitFile,
                format!("what is in the database after \"{since}\" is not known"),
                "put what follows it into a file of its own",
            )),
            None => kind.online(&ctx).or_else(|refusal| {
                lifted = true;
                allowed(&ctx, statement, change, &facts, &effects, refusal)
            }),
        };
        let online = online.and_then(|online| self.in_order(index, statement, change, online, lifted));
        match online {
            Ok(online) => self.accept(index, online),
            Err(refusal) if self.blind && refusal.code == Code::WillFail => {}
            Err(refusal) => self.diagnostics.push(locate(refusal, statement, Some(kind.name()))),
        }
        let facts = felt(&self.logical, facts);
        self.logical = fold(&self.logical, &effects);
        facts
    }

    fn in_order(
        &self,
        index: usize,
        statement: &Statement,
        change: &Change,
        mut online: Online,
        lifted: bool,
    ) -> Result<Online, Refusal> {
        let before = self.steps.iter().filter(|step| step.statement < index);
        let renamed = schedule::renamed(before);
        if let Some(refusal) = online.steps.iter().find_map(|step| schedule::after_renaming(step, &renamed)) {
            return Err(refusal);
        }
        if let Change::RenameTable(rename) = change
            && let Some(refusal) = schedule::view_over_second(&rename.from, &self.steps)
        {
            return Err(refusal);
        }
        if let Change::RenameColumn(rename) = change
            && statement.directives.alias_view.is_some()
            && let Some(refusal) = schedule::before_alias_view(&rename.table, &self.steps)
        {
            return Err(refusal);
        }
        if let Some(refusal) = schedule::one_second_at_a_time(change, &online.steps, &self.steps) {
            return Err(refusal);
        }
        if let Some(refusal) = self.fires_what_is_away(change, &online, lifted) {
            return Err(refusal);
        }
        if let Change::ChangeType(retype) = change
            && schedule::is_written(&retype.table, &self.steps)
        {
            online.steps.iter_mut().for_each(schedule::proof_behind_backfills);
        }
        // What was allowed runs as written, like what is online as it stands.
        let cares = if lifted { Some(Cares::Rows) } else { cares(change) };
        let Some(cares) = cares else { return Ok(online) };
        for step in online.steps.iter_mut().filter(|step| step.phase == Phase::Expand) {
            schedule::postpone(step, cares, &self.steps)?;
        }
        // The rows that are filled must be within the bound before its proof, which touches no lock of theirs.
        if matches!(change, Change::AttachPartition(_))
            && online.steps.iter().any(|step| step.phase == Phase::Validate)
        {
            online.steps.iter_mut().for_each(schedule::behind_backfills);
        }
        Ok(online)
    }

    /// What runs as written and writes rows would fire triggers that earlier statements drop or disable only later.
    fn fires_what_is_away(&self, change: &Change, online: &Online, lifted: bool) -> Option<Refusal> {
        let writes = |kind: &str| {
            matches!(
                kind,
                "insert" | "insert_select" | "update_table" | "delete_table" | "merge" | "truncate"
            )
        };
        let kind = change.kind().name();
        if !(lifted || matches!(change, Change::AsWritten(_))) || !writes(kind) {
            return None;
        }
        let locks = online.steps.iter().flat_map(|step| &step.locks);
        let written: Vec<&Name> =
            locks.filter(|lock| lock.mode >= LockMode::RowExclusive).map(|lock| &lock.relation).collect();
        silence::as_written(&self.ctx(&Directives::default()), &written)
    }

    fn accept(&mut self, index: usize, online: Online) {
        for mut step in online.steps {
            step.statement = index;
            if step.phase < Phase::Contract {
                for effect in &step.provides {
                    effect.apply(&mut self.physical);
                }
            }
            self.steps.push(step);
        }
        self.notices.extend(online.notices.into_iter().map(|(code, message)| Notice {
            statement: index,
            code,
            message,
        }));
    }
}

/// What the order of the file means to a change that runs in expand as it stands; `None` where its kind sees to the phases.
fn cares(change: &Change) -> Option<Cares> {
    match change {
        Change::AsWritten(written) if heedless(written.kind) => Some(Cares::Existence),
        Change::AsWritten(written) if written.whole => Some(Cares::Rows),
        Change::AsWritten(_)
        | Change::CreateTrigger(_)
        | Change::EnableTrigger(_)
        | Change::Rule(_)
        | Change::AttachPartition(_) => Some(Cares::Writes),
        Change::Replace(replace) => {
            let all = replace.parts.iter().filter_map(cares);
            let whole = all.into_iter().any(|cares| cares == Cares::Rows);
            Some(if whole { Cares::Rows } else { Cares::Writes })
        }
        _ => None,
    }
}

/// What neither reads nor writes rows: comments, privileges, settings. A trigger cares for the rows' writes.
fn heedless(kind: &str) -> bool {
    matches!(
        kind,
        "comment"
            | "grant"
            | "change_owner"
            | "alter_index"
            | "alter_constraint"
            | "set_statistics"
            | "set_column_options"
            | "set_cluster_index"
            | "set_storage_parameters"
            | "set_storage"
            | "set_compression"
            | "set_replica_identity"
    )
}

/// Facts without the locks that nobody feels: on tables that the same file makes, and their indexes.
fn felt(logical: &Catalog, mut facts: Facts) -> Facts {
    facts.locks.retain(|lock| {
        let index = || logical.index(&lock.relation).map(|(table, _)| table);
        !logical.relation(&lock.relation).or_else(index).is_some_and(|table| table.new_here)
    });
    facts
}

fn merge(facts: &mut Facts, more: Facts) {
    LockClaim::join(&mut facts.locks, more.locks);
    for work in more.work {
        if !facts.work.contains(&work) {
            facts.work.push(work);
        }
    }
    facts.transaction &= more.transaction;
    facts.breaks.extend(more.breaks);
    facts.fails = facts.fails.take().or(more.fails);
}

fn locate(refusal: Refusal, statement: &Statement, kind: Option<&str>) -> Diagnostic {
    Diagnostic {
        code: refusal.code,
        span: statement.span.clone(),
        message: refusal.reason,
        help: refusal.way_out,
        kind: kind.map(ToOwned::to_owned),
    }
}

/// What the steps change and what they rely on, sorted and without doubles.
fn claims(steps: &[Step]) -> Vec<Claim> {
    let mut claims: Vec<Claim> = steps.iter().flat_map(Step::claims).collect();
    claims.sort();
    claims.dedup();
    claims
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::lower::tests::catalog;

    const DDL: &str = "CREATE TABLE t (id bigint PRIMARY KEY, a int, b int DEFAULT 1, d int, f int); CREATE INDEX ON t (b, f); CREATE VIEW v AS SELECT a FROM t";

    fn planned(sql: &str) -> Result<Plan, Vec<Diagnostic>> {
        let catalog = catalog(DDL);
        plan(Source { name: "m", text: sql }, &catalog, &catalog, &Policy::default())
    }

    fn refused(sql: &str) -> Vec<(Code, String)> {
        let refused = planned(sql).expect_err("is refused");
        refused.into_iter().map(|diagnostic| (diagnostic.code, diagnostic.message)).collect()
    }

    #[test]
    fn an_allow_must_be_needed() {
        let codes = refused("-- concertina:allow not-yet reason: x\nALTER TABLE t ADD COLUMN c int");
        assert_eq!(codes.len(), 1, "{codes:?}");
        assert!(codes[0].0 == Code::Directive && codes[0].1.contains("allow not-yet is unused"));
        // Needed while lowering, and needed by a kind.
        for sql in [
            "-- concertina:allow not-yet reason: x\nINSERT INTO t SELECT * FROM t",
            "-- concertina:allow not-batchable reason: x\nUPDATE t SET a = random()",
            "-- concertina:allow not-yet reason: x\nALTER TABLE t DISABLE RULE r",
        ] {
            let plan = planned(sql).expect("is allowed");
            assert_eq!(plan.steps.len(), 1);
        }
    }

    #[test]
    fn allow_runs_a_statement_of_several_changes_as_a_whole() {
        let sql = "ALTER TABLE t DROP COLUMN id, ALTER b TYPE uuid, ADD COLUMN c int";
        assert_eq!(refused(sql).iter().map(|(code, _)| *code).collect::<Vec<_>>(), [Code::NotYet; 2]);
        let planned = planned(&format!("-- concertina:allow not-yet reason: x\n{sql}")).expect("is allowed");
        assert_eq!(planned.steps.len(), 1);
        assert_eq!(planned.statements[0].kinds, ["drop_column", "add_column", "change_type"]);
        // One that is not allowed keeps the other from running.
        let sql = "ALTER TABLE t DROP COLUMN id, ADD EXCLUDE USING btree (b WITH =)";
        assert_eq!(refused(&format!("-- concertina:allow not-yet reason: x\n{sql}")).len(), 1);
    }

    #[test]
    fn parts_in_each_others_way_are_told_from_what_fails() {
        let again = "ALTER TABLE t DROP COLUMN b, ADD COLUMN b bigint";
        assert!(
            matches!(&refused(again)[..], [(Code::SplitFile, said)] if said.contains("part of this statement"))
        );
        let plan =
            planned(&format!("-- concertina:allow split-file reason: x\n{again}")).expect("is allowed");
        assert_eq!(plan.steps.len(), 1);
        let add = "ALTER TABLE t ADD COLUMN c int, ADD COLUMN h int";
        let idle = refused(&format!("-- concertina:allow split-file reason: x\n{add}"));
        assert!(matches!(&idle[..], [(Code::Directive, _)]), "{idle:?}");
        // What comes in between makes room for a name; another statement than this one.
        for sql in [
            "ALTER TABLE t DROP COLUMN b; ALTER TABLE t RENAME COLUMN id TO b",
            "ALTER TABLE t RENAME COLUMN b TO c; ALTER TABLE t RENAME COLUMN id TO b",
        ] {
            let refused = refused(&format!("-- concertina:allow split-file reason: x\n{sql}"));
            assert!(refused.iter().any(|(code, _)| *code == Code::Directive), "{refused:?}");
        }
        let refused = refused("ALTER TABLE t DROP COLUMN b; ALTER TABLE t RENAME COLUMN id TO b");
        assert!(
            matches!(&refused[..], [(Code::SplitFile, said)] if said.contains("earlier statement")),
            "{refused:?}"
        );
    }

    #[test]
    fn what_waits_for_contract_splits_the_file() {
        let one_by_one = "ALTER TABLE t RENAME COLUMN b TO c; ALTER TABLE t RENAME COLUMN d TO e";
        assert!(planned(one_by_one).is_ok());
        for sql in [
            "ALTER TABLE t RENAME COLUMN b TO c; ALTER TABLE t RENAME COLUMN f TO g",
            // The second column goes before the view over it.
            "ALTER TABLE t RENAME COLUMN b TO c; ALTER TABLE t RENAME TO u",
            // The default that is in the way of the type goes at contract.
            "ALTER TABLE t ALTER b DROP DEFAULT;
             -- concertina:allow rewrites reason: x
             ALTER TABLE t ALTER b TYPE text",
        ] {
            let refused = refused(sql);
            assert!(matches!(&refused[..], [(Code::SplitFile, _)]), "{sql}: {refused:?}");
        }
    }

    #[test]
    fn a_constraint_is_altered_once_it_is_there() {
        let refused = refused(
            "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES t (id) DEFERRABLE;
             ALTER TABLE t ALTER CONSTRAINT f INITIALLY DEFERRED",
        );
        assert!(matches!(&refused[..], [(Code::SplitFile, _)]), "{refused:?}");
    }

    #[test]
    fn a_statement_that_phases_would_turn_round_is_refused() {
        let refused = refused(
            "ALTER TABLE t ADD COLUMN c int; UPDATE t SET c = 1; ALTER TABLE t ALTER c SET NOT NULL;
             ALTER TABLE t ALTER c DROP NOT NULL",
        );
        assert!(
            matches!(&refused[..], [(Code::SplitFile, said)] if said.contains("column c")),
            "{refused:?}"
        );
    }

    #[test]
    fn what_follows_a_refusal_is_judged_as_if_it_had_run() {
        let codes = refused(
            "DROP VIEW v; ALTER TABLE t DROP COLUMN a; ALTER TABLE t ALTER b TYPE uuid; CREATE INDEX ON t (lower(b))",
        );
        let codes: Vec<Code> = codes.into_iter().map(|(code, _)| code).collect();
        assert_eq!(codes, [Code::NotYet, Code::NotYet]);
        let codes: Vec<Code> =
            refused("DO 'x'; ALTER TABLE zz ADD c int").into_iter().map(|(code, _)| code).collect();
        assert_eq!(codes, [Code::Opaque]);
    }
}
