//! ADD UNIQUE: unique index CONCURRENTLY, then ADD CONSTRAINT … USING INDEX.

use crate::catalog::{Constraint, ConstraintKind, Index, Relation, RelationKind};
use crate::ddl;
use crate::ddl::index::{Branch, How};
use crate::diagnostic::{Code, Refusal};
use crate::effect::Effect;
use crate::kind::shared::index::{self, Purpose, TreeBuild};
use crate::kind::shared::tighten::{self, Timing};
use crate::kind::shared::tree;
use crate::kind::shared::will_fail::{self, WillFail};
use crate::kind::{Ctx, Kind, Online};
use crate::pg::lock::LockMode;
use crate::plan::{Facts, LockClaim, Need, Phase, Probe, Step, Undo, WorkKind};
use crate::sql::ident::{Ident, Name, list};
use crate::sql::index_text;
use crate::sql::names::IndexSort;

/// See the module.
#[derive(Clone, Debug)]
pub struct AddUnique {
    /// Table.
    pub table: Name,
    /// Name: given, or as PostgreSQL would choose it.
    pub name: Ident,
    /// Key columns.
    pub columns: Vec<Ident>,
    /// INCLUDE columns.
    pub include: Vec<Ident>,
    /// NULLS NOT DISTINCT (15+)
    pub nulls_not_distinct: bool,
    /// `WITH (…)` and the index tablespace, as written; empty if none.
    pub storage: String,
    /// DEFERRABLE and INITIALLY clauses, as written; empty if none.
    pub deferrable: String,
    /// `USING INDEX name`: then the rest is empty.
    pub using_index: Option<Ident>,
}

impl Kind for AddUnique {
    fn name(&self) -> &'static str {
        "add_unique"
    }

    fn facts(&self, ctx: &Ctx) -> Facts {
        let breaks =
            vec![format!("code that writes duplicates into {} gets errors (23505) from then on", self.table)];
        let fails = self.check(ctx).err().map(Into::into);
        if let Some(index) = &self.using_index {
            let mut locks = tree::lock(ctx.logical, &self.table, LockMode::AccessExclusive);
            if *index != self.name {
                // The index takes the constraint's name.
                let relation = self.table.sibling(index.clone());
                locks.push(LockClaim { relation, mode: LockMode::ShareUpdateExclusive });
            }
            return Facts { locks, transaction: true, fails, ..Facts::default() };
        }
        Facts {
            locks: self.locks_as_written(ctx),
            work: tree::work(ctx.logical, &self.table, WorkKind::IndexBuild),
            transaction: true,
            breaks,
            fails,
        }
    }

    fn online(&self, ctx: &Ctx) -> Result<Online, Refusal> {
        let table = self.check(ctx)?;
        if let Some(index) = &self.using_index {
            return Ok(Online { steps: vec![self.adopt(ctx, index)], notices: Vec::new() });
        }
        let index = self.index(ctx);
        let timing = tighten::unique_timing(ctx, table, &self.columns, !self.nulls_not_distinct);
        if timing == Timing::AsWritten {
            return Ok(Online { steps: vec![self.at_once(ctx)], notices: Vec::new() });
        }
        let phase = timing.phase();
        let what = format!("UNIQUE constraint {} on {}", self.name, self.table);
        let mut online = Online { steps: vec![self.proof(table, &what)], notices: Vec::new() };
        online.notices.extend(timing.notice(&what));
        if table.kind == RelationKind::PartitionedTable {
            online.steps.extend(self.over_partitions(ctx, &index, phase)?);
        } else {
            let bare = Index { constraint: None, immediate: true, ..index.clone() };
            let why = "UNIQUE alone would block reads and writes while it builds the same index";
            online.steps.push(index::build(ctx.logical, &self.table, &bare, phase, why));
            online.steps.push(self.constrain(ctx, &index, &index.name, phase));
        }
        Ok(online)
    }

    fn effects(&self, ctx: &Ctx) -> Vec<Effect> {
        let own = self.index(ctx);
        let mut effects = vec![
            Effect::Index { table: self.table.clone(), index: own.clone() },
            Effect::Constraint { table: self.table.clone(), constraint: self.constraint(&own) },
        ];
        if let Some(using) = &self.using_index
            && *using != self.name
        {
            effects.insert(0, Effect::IndexGone { table: self.table.clone(), index: using.clone() });
        }
        for branch in self.branches(ctx) {
            let constraint = Constraint { inherited: true, ..self.constraint(&branch.index) };
            effects.push(Effect::Index { table: branch.table.clone(), index: branch.index });
            effects.push(Effect::Constraint { table: branch.table, constraint });
        }
        effects
    }
}

impl AddUnique {
    fn proof(&self, table: &Relation, what: &str) -> Step {
        let keys: Vec<String> = self.columns.iter().map(ToString::to_string).collect();
        let query = tighten::duplicates(table, &keys, None, self.nulls_not_distinct);
        let violation = format!("keys that several rows of {} share", self.table);
        tighten::proof(&self.table, what, query, violation)
    }

    /// On a table that nobody uses yet.
    fn at_once(&self, ctx: &Ctx) -> Step {
        let mut step = Step::transaction(
            Phase::Expand,
            format!("Add unique constraint {} to {}", self.name, self.table),
            "the table is new: nobody uses it yet",
            vec![ddl::constraint::add(&self.table, &self.name, &self.definition())],
        )
        .locks(tree::locks(ctx.logical, &self.table, LockMode::AccessExclusive))
        .probe(self.probe(Some(true)))
        .undone_by(vec![self.gone(ctx, Phase::Expand)])
        .requires(Need::Relation(self.table.clone()))
        .requires(Need::NoConstraint(self.table.clone(), self.name.clone()));
        for effect in self.effects(ctx) {
            step = step.provides(effect);
        }
        step
    }

    /// Puts the constraint on the index just built.
    fn constrain(&self, ctx: &Ctx, index: &Index, using: &Ident, phase: Phase) -> Step {
        Step::transaction(
            phase,
            format!("Make index {using} of {} the unique constraint {}", self.table, self.name),
            "the index is there, so nothing is scanned",
            vec![ddl::constraint::add_unique_using(&self.table, &self.name, using, &self.deferrable)],
        )
        .locks(tree::lock(ctx.logical, &self.table, LockMode::AccessExclusive))
        .probe(self.probe(Some(true)))
        .undone_by(vec![self.gone(ctx, phase)])
        .requires(Need::Relation(self.table.clone()))
        .requires(Need::NoConstraint(self.table.clone(), self.name.clone()))
        .provides(Effect::Index { table: self.table.clone(), index: index.clone() })
        .provides(Effect::Constraint { table: self.table.clone(), constraint: self.constraint(index) })
    }

    /// USING INDEX as written: the index enforces already, so that nothing tightens. An index of the same file may be built
    /// in validate, or in contract; it comes after.
    fn adopt(&self, ctx: &Ctx, using: &Ident) -> Step {
        let phase = match ctx.physical.relation(&self.table) {
            Some(table) if table.new_here => Phase::Expand,
            Some(table) if table.index(using).is_some() => Phase::Validate,
            _ => Phase::Contract,
        };
        let index = self.index(ctx);
        let mut step = self.constrain(ctx, &index, using, phase);
        step.undo = self.undo_adopt(ctx, phase);
        if *using == self.name {
            return step;
        }
        let old = self.table.sibling(using.clone());
        step.locks.push(LockClaim { relation: old, mode: LockMode::ShareUpdateExclusive });
        step.provides.insert(0, Effect::IndexGone { table: self.table.clone(), index: using.clone() });
        step
    }

    /// Dropping the constraint drops the index that was there before: it is built again.
    fn undo_adopt(&self, ctx: &Ctx, phase: Phase) -> Undo {
        let mut steps = vec![self.gone(ctx, phase)];
        if let Some(given) = self.given(ctx) {
            let why = "it was there before, and went with the constraint";
            let mut build = index::build(ctx.logical, &self.table, &given, phase, why);
            build.undo = Undo::Nothing;
            steps.push(build);
        }
        Undo::Steps { steps, loses: None }
    }

    fn given(&self, ctx: &Ctx) -> Option<Index> {
        ctx.logical.relation(&self.table)?.index(self.using_index.as_ref()?).cloned()
    }

    fn over_partitions(&self, ctx: &Ctx, index: &Index, phase: Phase) -> Result<Vec<Step>, Refusal> {
        if let Some((partition, twin)) = ddl::index::doubtful(ctx.logical, &self.table, index) {
            return Err(Refusal::new(
                Code::NotYet,
                format!(
                    "partition {} has unique constraint {}, which may be equal to {}: PostgreSQL would then take it \
                     instead of making another",
                    partition.name, twin.name, index.name
                ),
                "drop it first",
            ));
        }
        let branches = self.branches(ctx);
        let constraint = Constraint { definition: self.definition(), ..self.constraint(index) };
        let tree = TreeBuild {
            catalog: ctx.logical,
            table: &self.table,
            index,
            branches: &branches,
            purpose: Purpose::Unique { constraint: &constraint, deferrable: &self.deferrable },
            phase,
        };
        Ok(tree.steps())
    }

    fn gone(&self, ctx: &Ctx, phase: Phase) -> Step {
        Step::transaction(
            phase,
            format!("Drop unique constraint {} of {}", self.name, self.table),
            "takes the new constraint away",
            vec![ddl::constraint::drop_if_exists(&self.table, &self.name)],
        )
        .locks(tree::locks(ctx.logical, &self.table, LockMode::AccessExclusive))
        .probe(self.probe(None))
        .provides(Effect::ConstraintGone { table: self.table.clone(), constraint: self.name.clone() })
    }

    fn probe(&self, validated: Option<bool>) -> Probe {
        Probe::Constraint { table: self.table.clone(), name: self.name.clone(), validated }
    }

    /// ACCESS EXCLUSIVE on the table; on its partitions only SHARE before 18. Source: measured on 14 to 18.
    fn locks_as_written(&self, ctx: &Ctx) -> Vec<LockClaim> {
        let below = if ctx.logical.server.version.unique_locks_partitions() {
            LockMode::AccessExclusive
        } else {
            LockMode::Share
        };
        let mut locks = tree::locks(ctx.logical, &self.table, below);
        if let Some(own) = locks.iter_mut().find(|lock| lock.relation == self.table) {
            own.mode = LockMode::AccessExclusive;
        }
        locks
    }

    /// What is certain to make the statement fail. Source: `transformIndexConstraint` in
    /// src/backend/parser/parse_utilcmd.c.
    fn check<'a>(&self, ctx: &Ctx<'a>) -> Result<&'a Relation, WillFail> {
        let table = will_fail::table(ctx, &self.table)?;
        will_fail::columns(table, self.columns.iter().chain(&self.include))?;
        will_fail::constraint_name_free(table, &self.name)?;
        if self.nulls_not_distinct && !ctx.logical.server.version.nulls_not_distinct() {
            return Err(WillFail::new(
                "42601",
                format!(
                    "NULLS NOT DISTINCT needs PostgreSQL 15, the server is {}",
                    ctx.logical.server.version
                ),
                "leave it out, or use a unique index on an expression without NULL",
            ));
        }
        if let Some(given) = &self.using_index {
            let Some(index) = table.index(given) else {
                return Err(WillFail::new(
                    "42704",
                    format!("{} has no index {given}", self.table),
                    "correct the index name",
                ));
            };
            if !index.valid || index.constraint.is_some() {
                return Err(WillFail::new(
                    "55000",
                    format!("index {given} is INVALID or stands behind a constraint already"),
                    "build a new unique index",
                ));
            }
            if !index.unique || index.partial || index.columns.iter().any(Option::is_none) {
                return Err(WillFail::new(
                    "42809",
                    format!("index {given} is not unique, or partial, or over expressions"),
                    "build a unique index over plain columns",
                ));
            }
        } else if ctx.logical.relation_name_taken(&self.table.sibling(self.name.clone())) {
            return Err(WillFail::new(
                "42P07",
                format!("relation {} exists already", self.table.sibling(self.name.clone())),
                "choose another name",
            ));
        }
        if table.kind == RelationKind::PartitionedTable {
            if self.using_index.is_some() {
                return Err(WillFail::new(
                    "0A000",
                    format!("ADD CONSTRAINT USING INDEX does not work on partitioned table {}", self.table),
                    "write UNIQUE (columns)",
                ));
            }
            will_fail::unique_covers_partition_key(ctx, table, &self.columns)?;
        }
        Ok(table)
    }

    /// The index behind the constraint, as the catalog will show it.
    fn index(&self, ctx: &Ctx) -> Index {
        let given = self
            .using_index
            .as_ref()
            .and_then(|index| ctx.logical.relation(&self.table)?.index(index))
            .cloned();
        let constraint = Some(self.name.clone());
        let immediate = self.deferrable.is_empty();
        match given {
            Some(index) => Index { name: self.name.clone(), constraint, immediate, ..index },
            None => Index {
                name: self.name.clone(),
                columns: self.columns.iter().cloned().map(Some).collect(),
                include: self.include.clone(),
                uses: self.columns.iter().chain(&self.include).cloned().collect(),
                unique: true,
                primary: false,
                exclusion: false,
                partial: false,
                immediate,
                valid: true,
                constraint,
                inherited: false,
                definition: self.index_definition(&self.name, &self.table),
            },
        }
    }

    /// The unique index as `CREATE UNIQUE INDEX` would be written. A constraint's `USING INDEX TABLESPACE` is an index's
    /// `TABLESPACE`.
    fn index_definition(&self, name: &Ident, table: &Name) -> String {
        let mut keys = format!("({})", list(&self.columns));
        if !self.include.is_empty() {
            keys.push_str(&format!(" INCLUDE ({})", list(&self.include)));
        }
        if self.nulls_not_distinct {
            keys.push_str(" NULLS NOT DISTINCT");
        }
        let storage = index_text::storage(&self.storage);
        if !storage.is_empty() {
            keys.push(' ');
            keys.push_str(&storage);
        }
        ddl::index::create(name, table, true, How::Plain, &format!("USING btree {keys}"))
    }

    /// Keys as a constraint writes them.
    fn keys(&self) -> String {
        let distinct = if self.nulls_not_distinct { "NULLS NOT DISTINCT " } else { "" };
        let include = if self.include.is_empty() {
            String::new()
        } else {
            format!(" INCLUDE ({})", list(&self.include))
        };
        format!("{distinct}({}){include}", list(&self.columns))
    }

    /// What follows `ADD CONSTRAINT name`.
    fn definition(&self) -> String {
        let mut definition = format!("UNIQUE {}", self.keys());
        for clause in [&self.storage, &self.deferrable] {
            if !clause.is_empty() {
                definition.push(' ');
                definition.push_str(clause);
            }
        }
        definition
    }

    /// The constraint that stands on `index`.
    fn constraint(&self, index: &Index) -> Constraint {
        let columns: Vec<Ident> = index.columns.iter().flatten().cloned().collect();
        let deferrable =
            if self.deferrable.is_empty() { String::new() } else { format!(" {}", self.deferrable) };
        let keys = match self.using_index {
            None => self.keys(),
            Some(_) if index.include.is_empty() => format!("({})", list(&columns)),
            Some(_) => format!("({}) INCLUDE ({})", list(&columns), list(&index.include)),
        };
        Constraint {
            name: index.name.clone(),
            kind: ConstraintKind::Unique,
            definition: format!("UNIQUE {keys}{deferrable}"),
            columns,
            validated: true,
            deferrable: !index.immediate,
            inherited: false,
        }
    }

    fn branches(&self, ctx: &Ctx) -> Vec<Branch> {
        if self.using_index.is_some() {
            return Vec::new();
        }
        ddl::index::branches(ctx.logical, &self.table, &self.index(ctx), IndexSort::Unique)
    }
}

#[cfg(test)]
mod tests {
    use crate::diagnostic::Code;
    use crate::kind::shared::proving::{catalog, catalog_on, facts, plan};
    use crate::kind::shared::testing::{refused, show};
    use crate::pg::lock::LockMode;

    const SCHEMA: &str = "CREATE TABLE users (id bigint PRIMARY KEY, email text NOT NULL, age int);
        CREATE UNIQUE INDEX ready ON users (age);
        CREATE TABLE p (id int, k int, c text) PARTITION BY RANGE (id);
        CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10)";

    #[test]
    fn the_index_is_built_first() {
        let sql = "ALTER TABLE users ADD UNIQUE (email) INCLUDE (age) WITH (fillfactor = 70) DEFERRABLE INITIALLY DEFERRED";
        let plan = plan(&catalog(SCHEMA), sql);
        let shown = show(&plan);
        let steps: Vec<&str> = shown.lines().skip(1).collect();
        assert_eq!(
            steps,
            [
                "contract, alone: CREATE UNIQUE INDEX CONCURRENTLY users_email_age_key ON public.users USING btree \
                 (email) INCLUDE (age) WITH (fillfactor = 70)",
                "contract: ALTER TABLE public.users ADD CONSTRAINT users_email_age_key UNIQUE USING INDEX \
                 users_email_age_key DEFERRABLE INITIALLY DEFERRED",
            ]
        );
        assert_eq!(plan.statements[0].facts.locks[0].mode, LockMode::AccessExclusive);
    }

    #[test]
    fn a_given_index_takes_the_constraints_name() {
        let plan = plan(&catalog(SCHEMA), "ALTER TABLE users ADD CONSTRAINT by_age UNIQUE USING INDEX ready");
        assert_eq!(
            show(&plan),
            "validate: ALTER TABLE public.users ADD CONSTRAINT by_age UNIQUE USING INDEX ready\n"
        );
    }

    #[test]
    fn over_partitions_each_leaf_has_its_own() {
        let shown = show(&plan(&catalog(SCHEMA), "ALTER TABLE p ADD CONSTRAINT u UNIQUE (id, k)"));
        let steps: Vec<&str> = shown.lines().skip(1).collect();
        assert_eq!(
            steps,
            [
                "contract: ALTER TABLE ONLY public.p ADD CONSTRAINT u UNIQUE (id, k)",
                "contract, alone: CREATE UNIQUE INDEX CONCURRENTLY p1_id_k_key ON public.p1 USING btree (id, k)",
                "contract: ALTER TABLE public.p1 ADD CONSTRAINT p1_id_k_key UNIQUE USING INDEX p1_id_k_key",
                "contract: ALTER INDEX public.u ATTACH PARTITION public.p1_id_k_key",
            ]
        );
    }

    #[test]
    fn partitions_are_locked_harder_from_18_on() {
        for (major, mode) in [(17, LockMode::Share), (18, LockMode::AccessExclusive)] {
            let facts = facts(&catalog_on(major, SCHEMA), "ALTER TABLE p ADD UNIQUE (id)");
            assert_eq!(facts[0].locks[1].mode, mode, "{major}");
        }
    }

    #[test]
    fn certain_failures() {
        for (sql, word) in [
            ("ALTER TABLE users ADD UNIQUE (nothing)", "42703"),
            ("ALTER TABLE users ADD CONSTRAINT ready UNIQUE (email)", "42P07"),
            ("ALTER TABLE p ADD UNIQUE (k)", "0A000"),
            ("ALTER TABLE users ADD CONSTRAINT x UNIQUE USING INDEX users_pkey", "55000"),
        ] {
            let (code, said) = refused(&catalog(SCHEMA), sql);
            assert!(code == Code::WillFail && said.contains(word), "{sql}: {said}");
        }
        let (_, said) =
            refused(&catalog_on(14, SCHEMA), "ALTER TABLE users ADD UNIQUE NULLS NOT DISTINCT (age)");
        assert!(said.contains("42601"), "{said}");
    }
}
