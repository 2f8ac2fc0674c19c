//! ADD FOREIGN KEY: NOT VALID, then VALIDATE, in separate transactions.

use crate::catalog::{Constraint, ConstraintKind, Index, Relation, RelationKind};
use crate::diagnostic::{Code, Refusal};
use crate::effect::Effect;
use crate::kind::shared::not_valid::NotValid;
use crate::kind::shared::tighten::{self, OldValue, OldWriters, Timing};
use crate::kind::shared::tree;
use crate::kind::shared::will_fail::{self, WillFail};
use crate::kind::{Ctx, Kind, Online};
use crate::pg::lock::LockMode;
use crate::plan::{Facts, LockClaim, Phase, Step, WorkKind};
use crate::sql::ident::{Ident, Name, list};

/// See the module.
#[derive(Clone, Debug)]
pub struct AddForeignKey {
    /// Referencing table.
    pub table: Name,
    /// Name: given, or as PostgreSQL would choose it.
    pub name: Ident,
    /// Referencing columns.
    pub columns: Vec<Ident>,
    /// Referenced table.
    pub references: Name,
    /// Referenced columns; where none are written, the primary key's.
    pub referenced_columns: Vec<Ident>,
    /// What follows the referenced columns, as written: `MATCH FULL ON DELETE CASCADE DEFERRABLE`, without NOT VALID.
    pub options: String,
    /// DEFERRABLE
    pub deferrable: bool,
    /// Written NOT VALID: then it stays so.
    pub not_valid: bool,
}

impl Kind for AddForeignKey {
    fn name(&self) -> &'static str {
        "add_foreign_key"
    }

    fn facts(&self, ctx: &Ctx) -> Facts {
        let mut work = Vec::new();
        if !self.not_valid {
            work = tree::work(ctx.logical, &self.table, WorkKind::Scan);
            if !work.is_empty() {
                work.extend(tree::work(ctx.logical, &self.references, WorkKind::Scan));
                work.dedup();
            }
        }
        Facts {
            locks: self.locks(ctx, &self.table, LockMode::ShareRowExclusive),
            work,
            transaction: true,
            breaks: vec![format!(
                "code that writes rows into {} without their row in {}, or deletes the latter, gets errors (23503)",
                self.table, self.references
            )],
            fails: self.check(ctx).err().map(Into::into),
        }
    }

    fn online(&self, ctx: &Ctx) -> Result<Online, Refusal> {
        let (table, referenced) = self.check(ctx)?;
        let timing = self.timing(ctx, table);
        let phase = timing.phase().max(self.key_phase(ctx));
        let what = format!("foreign key {} on {}", self.name, self.table);
        let constraint = self.constraint(true);
        let steps = self.not_valid(ctx, table, &constraint);
        let mut online = Online::default();
        if timing == Timing::AsWritten {
            online.steps.push(steps.at_once(phase, "the table is new: there is nothing to scan"));
            return Ok(online);
        }
        online.notices.extend(timing.notice(&what));
        online.notices.extend(self.uncovered(table));
        if self.not_valid {
            online.steps.push(steps.add(phase));
            return Ok(online);
        }
        if timing.needs_proof() {
            let violation = format!("rows of {} without their row in {}", self.table, self.references);
            let query = self.orphans(table, referenced);
            online.steps.push(tighten::proof(&self.table, &what, query, violation));
        }
        let version = ctx.logical.server.version;
        if table.kind == RelationKind::PartitionedTable && !version.partitioned_foreign_key_not_valid() {
            online.steps.extend(self.over_partitions(ctx, table, referenced, &constraint, phase)?);
        } else {
            online.steps.push(steps.add(phase));
            online.steps.push(steps.validate(phase));
        }
        Ok(online)
    }

    fn effects(&self, _ctx: &Ctx) -> Vec<Effect> {
        vec![Effect::Constraint { table: self.table.clone(), constraint: self.constraint(!self.not_valid) }]
    }
}

impl AddForeignKey {
    /// Before contract if a column is new and old writers leave it NULL: with MATCH SIMPLE one NULL is enough to pass, with
    /// MATCH FULL all have to be.
    fn timing(&self, ctx: &Ctx, table: &Relation) -> Timing {
        let absent: Vec<Ident> = self
            .columns
            .iter()
            .filter(|column| tighten::old_value(ctx, table, column) == OldValue::Null)
            .cloned()
            .collect();
        let passes = if self.match_full() { absent.len() == self.columns.len() } else { !absent.is_empty() };
        let old = if passes { OldWriters::Satisfy } else { OldWriters::MayBreak };
        tighten::timing(ctx, table, &absent, old)
    }

    /// When the unique key it refers to is there. One of the same file may come as late as validate or contract.
    fn key_phase(&self, ctx: &Ctx) -> Phase {
        let Some(referenced) = ctx.physical.relation(&self.references) else { return Phase::Expand };
        let fresh = |name| referenced.column(name).is_some_and(|column| column.new_here);
        if !referenced.indexes.iter().any(|index| serves(index, &self.referenced_columns)) {
            Phase::Contract
        } else if !referenced.new_here && self.referenced_columns.iter().any(fresh) {
            Phase::Validate
        } else {
            Phase::Expand
        }
    }

    fn match_full(&self) -> bool {
        let mut words = self.options.split_whitespace().map(str::to_uppercase);
        words.any(|word| word == "MATCH") && words.next().is_some_and(|word| word == "FULL")
    }

    fn not_valid<'s>(&'s self, ctx: &Ctx, table: &'s Relation, constraint: &'s Constraint) -> NotValid<'s> {
        let mut validate = tree::locks(ctx.logical, &self.references, LockMode::RowShare);
        if table.name == self.references {
            validate.clear();
        }
        validate.extend(tree::locks(ctx.logical, &table.name, LockMode::ShareUpdateExclusive));
        let mut work = tree::work(ctx.logical, &table.name, WorkKind::Scan);
        for more in tree::work(ctx.logical, &self.references, WorkKind::Scan) {
            if !work.contains(&more) {
                work.push(more);
            }
        }
        NotValid {
            table: &table.name,
            constraint,
            add: self.locks(ctx, &table.name, LockMode::ShareRowExclusive),
            validate,
            drop: self.locks(ctx, &table.name, LockMode::AccessExclusive),
            work,
        }
    }

    /// Before 18 a partitioned table has no NOT VALID foreign keys. Each leaf gets its own, and the foreign key of the parent
    /// then takes these as its partitions' without a look at the rows; it drops their triggers on the referenced
    /// table, which takes ACCESS EXCLUSIVE there.
    /// Source: `tryAttachPartitionForeignKey` in src/backend/commands/tablecmds.c; scans, locks and catalog rows measured
    /// on 14, 15 and 17 against the one statement.
    fn over_partitions(
        &self,
        ctx: &Ctx,
        table: &Relation,
        referenced: &Relation,
        constraint: &Constraint,
        phase: Phase,
    ) -> Result<Vec<Step>, Refusal> {
        for partition in ctx.logical.tree(&table.name).into_iter().skip(1) {
            if let Some(found) = partition.constraints.iter().find(|found| {
                found.name == self.name
                    || (found.kind == constraint.kind && found.columns == constraint.columns)
            }) {
                return Err(Refusal::new(
                    Code::NotYet,
                    format!("partition {} has constraint {} already", partition.name, found.name),
                    "drop it first, or choose another name if it is another key",
                ));
            }
        }
        if table.name == referenced.name {
            return Err(Refusal::new(
                Code::NotYet,
                format!("{} is partitioned and refers to itself", self.table),
                "PostgreSQL 18 has NOT VALID for it; or `allow not-yet` to run it as written",
            ));
        }
        let mut steps = Vec::new();
        for leaf in ctx.logical.leaves(&table.name) {
            let each = self.not_valid(ctx, leaf, constraint);
            steps.push(each.add(phase));
            steps.push(each.validate(phase));
        }
        let mut whole = self.not_valid(ctx, table, constraint);
        // The partitions' own triggers go from the referenced side, and from theirs if that one is partitioned too.
        let leaves = if referenced.kind == RelationKind::PartitionedTable {
            LockMode::AccessExclusive
        } else {
            LockMode::ShareRowExclusive
        };
        whole.add = tree::locks(ctx.logical, &self.references, LockMode::AccessExclusive);
        whole.add.extend(tree::locks(ctx.logical, &table.name, leaves));
        let mut step = whole
            .at_once(phase, "the keys of the partitions, proven valid, become part of it without a scan");
        step.title = format!("Add foreign key {} to partitioned table {}", self.name, self.table);
        steps.push(step);
        Ok(steps)
    }

    /// Rows without their referenced row. A row with a NULL in the key passes; with MATCH FULL only if all are NULL.
    fn orphans(&self, table: &Relation, referenced: &Relation) -> String {
        let child = &table.name.name;
        let pairs: Vec<String> = self
            .columns
            .iter()
            .zip(&self.referenced_columns)
            .map(|(column, target)| format!("concertina_referenced.{target} = {child}.{column}"))
            .collect();
        let all = |test: &str, joint: &str| {
            let tests: Vec<String> =
                self.columns.iter().map(|column| format!("{child}.{column} {test}")).collect();
            tests.join(joint)
        };
        let only = if referenced.kind == RelationKind::PartitionedTable { "" } else { "ONLY " };
        let missing = format!(
            "NOT EXISTS (SELECT 1 FROM {only}{} AS concertina_referenced WHERE {})",
            self.references,
            pairs.join(" AND ")
        );
        let condition = if self.match_full() && self.columns.len() > 1 {
            format!("({}) AND ({} OR {missing})", all("IS NOT NULL", " OR "), all("IS NULL", " OR "))
        } else {
            format!("{} AND {missing}", all("IS NOT NULL", " AND "))
        };
        tighten::violators(table, &condition)
    }

    /// Deleting a referenced row looks for rows that refer to it.
    fn uncovered(&self, table: &Relation) -> Option<(Code, String)> {
        let covered = table.indexes.iter().any(|index| {
            index.valid
                && !index.partial
                && index.columns.len() >= self.columns.len()
                && index.columns[..self.columns.len()]
                    .iter()
                    .all(|key| key.as_ref().is_some_and(|key| self.columns.contains(key)))
        });
        (!covered).then(|| {
            (
                Code::Announce,
                format!(
                    "{} has no index that begins with ({}): every DELETE and key UPDATE on {} will scan it",
                    self.table,
                    list(&self.columns),
                    self.references
                ),
            )
        })
    }

    /// The referenced table, then `table`, both with their partitions.
    fn locks(&self, ctx: &Ctx, table: &Name, mode: LockMode) -> Vec<LockClaim> {
        let mut locks = tree::locks(ctx.logical, &self.references, mode);
        for lock in tree::locks(ctx.logical, table, mode) {
            if !locks.contains(&lock) {
                locks.push(lock);
            }
        }
        locks
    }

    /// What is certain to make the statement fail; else both tables. Source: `ATAddForeignKeyConstraint` in
    /// src/backend/commands/tablecmds.c.
    fn check<'a>(&self, ctx: &Ctx<'a>) -> Result<(&'a Relation, &'a Relation), WillFail> {
        let table = will_fail::table(ctx, &self.table)?;
        let referenced = will_fail::table(ctx, &self.references)?;
        will_fail::columns(table, &self.columns)?;
        will_fail::stored(table, &self.columns)?;
        will_fail::columns(referenced, &self.referenced_columns)?;
        will_fail::constraint_name_free(table, &self.name)?;
        if self.columns.len() != self.referenced_columns.len() {
            return Err(WillFail::new(
                "42830",
                format!(
                    "foreign key {} has {} columns for {}",
                    self.name,
                    self.columns.len(),
                    self.referenced_columns.len()
                ),
                "name as many referenced columns as referencing ones",
            ));
        }
        if !referenced.indexes.iter().any(|index| serves(index, &self.referenced_columns)) {
            return Err(WillFail::new(
                "42830",
                format!("{} has no unique key on ({})", self.references, list(&self.referenced_columns)),
                "add a unique constraint on these columns first",
            ));
        }
        if referenced.unlogged && !table.unlogged {
            return Err(WillFail::new(
                "42P16",
                format!("{} is logged and {} is unlogged", self.table, self.references),
                "make both logged or both unlogged",
            ));
        }
        for (column, target) in self.columns.iter().zip(&self.referenced_columns) {
            let (Some(from), Some(to)) = (table.column(column), referenced.column(target)) else { continue };
            if incomparable(&from.data_type, &to.data_type) {
                return Err(WillFail::new(
                    "42804",
                    format!(
                        "{column} of {} is {}, but {target} of {} is {}",
                        self.table, from.data_type, self.references, to.data_type
                    ),
                    "give both columns the same type",
                ));
            }
        }
        if self.not_valid
            && table.kind == RelationKind::PartitionedTable
            && !ctx.logical.server.version.partitioned_foreign_key_not_valid()
        {
            return Err(WillFail::new(
                "42809",
                format!(
                    "{} is partitioned: its foreign keys cannot be NOT VALID before PostgreSQL 18",
                    self.table
                ),
                "leave NOT VALID out: the plan proves it partition by partition",
            ));
        }
        Ok((table, referenced))
    }

    /// The constraint as the catalog will show it.
    fn constraint(&self, validated: bool) -> Constraint {
        Constraint {
            name: self.name.clone(),
            kind: ConstraintKind::ForeignKey {
                table: self.references.clone(),
                columns: self.referenced_columns.clone(),
            },
            columns: self.columns.clone(),
            definition: self.definition(),
            validated,
            deferrable: self.deferrable,
            inherited: false,
        }
    }

    /// What follows `ADD CONSTRAINT name`.
    fn definition(&self) -> String {
        let options = if self.options.is_empty() { String::new() } else { format!(" {}", self.options) };
        format!(
            "FOREIGN KEY ({}) REFERENCES {} ({}){options}",
            list(&self.columns),
            self.references,
            list(&self.referenced_columns)
        )
    }
}

/// The index can stand behind a foreign key to these columns. Source: `transformFkeyCheckAttrs` in
/// src/backend/commands/tablecmds.c.
fn serves(index: &Index, columns: &[Ident]) -> bool {
    index.unique
        && index.valid
        && index.immediate
        && !index.partial
        && index.columns.len() == columns.len()
        && index.columns.iter().all(|key| key.as_ref().is_some_and(|key| columns.contains(key)))
}

/// No equality operator serves a foreign key from one type to the other. Only pairs of built-in types are judged.
/// Source: measured on 15 and 18 for every pair; `ATAddForeignKeyConstraint` says why.
fn incomparable(from: &str, to: &str) -> bool {
    match (family(from), family(to)) {
        (Some(Family::Integer), Some(Family::Number)) => false,
        (Some(from), Some(to)) => from != to,
        _ => false,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Integer,
    Number,
    Text,
    Uuid,
    Time,
    Boolean,
    Bytes,
}

fn family(data_type: &str) -> Option<Family> {
    let lower = data_type.to_ascii_lowercase();
    if lower.contains('[') {
        return None;
    }
    let head = lower.split('(').next().unwrap_or_default().trim();
    let head = head.strip_prefix("pg_catalog.").unwrap_or(head);
    Some(match head {
        "smallint" | "int2" | "integer" | "int" | "int4" | "bigint" | "int8" => Family::Integer,
        "numeric" | "decimal" | "real" | "float4" | "float8" | "double precision" | "float" => Family::Number,
        "text" | "character varying" | "varchar" | "character" | "char" | "bpchar" => Family::Text,
        "uuid" => Family::Uuid,
        "date" | "timestamp" | "timestamptz" | "timestamp without time zone" | "timestamp with time zone" => {
            Family::Time
        }
        "boolean" | "bool" => Family::Boolean,
        "bytea" => Family::Bytes,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::incomparable;
    use crate::diagnostic::Code;
    use crate::kind::shared::proving::{catalog, catalog_on, plan};
    use crate::kind::shared::testing::{refused, show};
    use crate::pg::lock::LockMode;
    use crate::plan::Phase;

    const SCHEMA: &str = "CREATE TABLE users (id bigint PRIMARY KEY, email text, UNIQUE (email, id));
        CREATE TABLE posts (id int PRIMARY KEY, author bigint, mail text, reply int);
        CREATE TABLE p (id int, author bigint) PARTITION BY RANGE (id);
        CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10)";

    #[test]
    fn proven_then_enforced_in_two_transactions() {
        let plan = plan(
            &catalog(SCHEMA),
            "ALTER TABLE posts ADD FOREIGN KEY (author) REFERENCES users ON DELETE CASCADE",
        );
        assert_eq!(
            show(&plan),
            "validate, proof: SELECT posts.id::text AS id FROM ONLY public.posts WHERE posts.author IS NOT NULL AND \
             NOT EXISTS (SELECT 1 FROM ONLY public.users AS concertina_referenced WHERE \
             concertina_referenced.id = posts.author) LIMIT 5\n\
             contract: ALTER TABLE public.posts ADD CONSTRAINT posts_author_fkey FOREIGN KEY (author) REFERENCES \
             public.users (id) ON DELETE CASCADE NOT VALID\n\
             contract, long: ALTER TABLE public.posts VALIDATE CONSTRAINT posts_author_fkey\n"
        );
        assert!(plan.steps[1].locks.iter().all(|lock| lock.mode == LockMode::ShareRowExclusive));
        assert!(
            plan.notices.iter().any(|notice| notice.message.contains("no index that begins with (author)"))
        );
    }

    #[test]
    fn match_full_wants_all_or_none() {
        let sql = "ALTER TABLE posts ADD FOREIGN KEY (author, mail) REFERENCES users (id, email) MATCH  full";
        let shown = show(&plan(&catalog(SCHEMA), sql));
        assert!(
            shown.contains(
                "(posts.author IS NOT NULL OR posts.mail IS NOT NULL) AND (posts.author IS NULL OR"
            ),
            "{shown}"
        );
    }

    #[test]
    fn before_18_partitions_get_theirs_first() {
        let sql = "ALTER TABLE p ADD CONSTRAINT fk FOREIGN KEY (author) REFERENCES users (id)";
        let plan_15 = plan(&catalog(SCHEMA), sql);
        let shown = show(&plan_15);
        let steps: Vec<&str> = shown.lines().skip(1).collect();
        assert_eq!(
            steps,
            [
                "contract: ALTER TABLE public.p1 ADD CONSTRAINT fk FOREIGN KEY (author) REFERENCES public.users (id) NOT VALID",
                "contract, long: ALTER TABLE public.p1 VALIDATE CONSTRAINT fk",
                "contract: ALTER TABLE public.p ADD CONSTRAINT fk FOREIGN KEY (author) REFERENCES public.users (id)",
            ]
        );
        assert_eq!(plan_15.steps[3].locks[0].mode, LockMode::AccessExclusive);
        let shown = show(&plan(&catalog_on(18, SCHEMA), sql));
        assert!(
            shown.contains("public.p ADD CONSTRAINT fk")
                && shown.contains("NOT VALID")
                && !shown.contains("p1"),
            "{shown}"
        );
    }

    #[test]
    fn a_new_column_is_null_for_old_writers() {
        let sql = "ALTER TABLE posts ADD COLUMN owner bigint; ALTER TABLE posts ADD FOREIGN KEY (owner) REFERENCES users";
        let plan = plan(&catalog(SCHEMA), sql);
        assert!(plan.steps[1..].iter().all(|step| step.phase == Phase::Validate), "{}", show(&plan));
    }

    #[test]
    fn certain_failures() {
        for (sql, word) in [
            ("ALTER TABLE posts ADD FOREIGN KEY (mail) REFERENCES users (email)", "42830"),
            ("ALTER TABLE posts ADD FOREIGN KEY (mail) REFERENCES users (id)", "42804"),
            ("ALTER TABLE p ADD FOREIGN KEY (author) REFERENCES users NOT VALID", "42809"),
        ] {
            let (code, said) = refused(&catalog(SCHEMA), sql);
            assert!(code == Code::WillFail && said.contains(word), "{sql}: {said}");
        }
    }

    #[test]
    fn types_that_have_no_common_equality() {
        assert!(incomparable("numeric(10,2)", "integer") && !incomparable("int", "numeric"));
        assert!(!incomparable("character varying(3)", "text") && incomparable("uuid", "text"));
        assert!(!incomparable("citext", "text") && !incomparable("date", "timestamp(3) without time zone"));
    }
}
