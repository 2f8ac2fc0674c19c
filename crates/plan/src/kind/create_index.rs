//! CREATE INDEX: built CONCURRENTLY; partitioned: ON ONLY, each leaf, ATTACH.
//!
//! A unique index over columns that running code writes is proven first, and built at contract: from the moment it
//! exists it rejects what that code may write.

use crate::catalog::{Index, Relation, RelationKind};
use crate::ddl;
use crate::ddl::index::{How, Sameness};
use crate::diagnostic::{Code, Refusal};
use crate::effect::Effect;
use crate::kind::shared::index::{Purpose, TreeBuild, build, drop, drop_tree};
use crate::kind::shared::tighten::{self, Timing};
use crate::kind::shared::tree;
use crate::kind::shared::will_fail::{self, WillFail};
use crate::kind::{Ctx, Kind, Online};
use crate::pg::lock::LockMode;
use crate::plan::{Facts, Need, Phase, Probe, Step, WorkKind};
use crate::sql::ident::{Ident, Name};
use crate::sql::index_text;
use crate::sql::names::IndexSort;

/// See the module.
#[derive(Clone, Debug)]
pub struct CreateIndex {
    /// Table.
    pub table: Name,
    /// The index, named as PostgreSQL would name it.
    pub index: Index,
    /// Everything after `ON table`: `USING btree (a, lower(b)) INCLUDE (c) WHERE d`, as written.
    pub body: String,
    /// IF NOT EXISTS
    pub if_not_exists: bool,
    /// ON ONLY
    pub only: bool,
    /// Written with CONCURRENTLY.
    pub concurrently: bool,
}

impl Kind for CreateIndex {
    fn name(&self) -> &'static str {
        "create_index"
    }

    fn facts(&self, ctx: &Ctx) -> Facts {
        let mode = if self.concurrently { LockMode::ShareUpdateExclusive } else { LockMode::Share };
        let (locks, mut work) = if self.only {
            let leaf = !self.partitioned(ctx);
            let work = tree::work(ctx.logical, &self.table, WorkKind::IndexBuild);
            (tree::lock(ctx.logical, &self.table, mode), if leaf { work } else { Vec::new() })
        } else {
            (
                tree::locks(ctx.logical, &self.table, mode),
                tree::work(ctx.logical, &self.table, WorkKind::IndexBuild),
            )
        };
        if self.if_not_exists && ctx.logical.relation_name_taken(&self.full_name()) {
            work.clear();
        }
        let mut breaks = Vec::new();
        if self.index.unique {
            breaks.push(format!(
                "code that writes duplicates into {} gets errors (23505) once {} exists",
                self.table, self.index.name
            ));
        }
        Facts {
            locks,
            work,
            transaction: !self.concurrently,
            breaks,
            fails: self.check(ctx).err().map(Into::into),
        }
    }

    fn online(&self, ctx: &Ctx) -> Result<Online, Refusal> {
        let table = self.check(ctx)?;
        let mut online = Online::default();
        let timing = self.timing(ctx, table);
        let phase = self.phase(table, timing);
        match self.found(ctx)? {
            Found::Nothing => {}
            Found::Equal => return Ok(online),
            Found::Invalid(leftover) => {
                let why = "a build that failed left it INVALID; IF NOT EXISTS alone would keep it so";
                online.steps.push(drop(ctx.logical, &self.table, leftover, phase, why));
            }
        }
        if timing == Timing::AsWritten || (self.only && self.partitioned(ctx)) {
            online.steps.push(self.at_once(ctx));
            return Ok(online);
        }
        let index = self.made(ctx);
        if index.unique {
            online.steps.extend(self.proof(table));
            online.notices.extend(timing.notice(&format!("unique index {} on {}", index.name, self.table)));
        }
        if !self.partitioned(ctx) {
            let why = "CREATE INDEX alone would block every write while it scans the table";
            online.steps.push(build(ctx.logical, &self.table, &index, phase, why));
            return Ok(online);
        }
        if let Some((partition, twin)) = ddl::index::doubtful(ctx.logical, &self.table, &index) {
            return Err(Refusal::new(
                Code::NotYet,
                format!(
                    "partition {} has index {}, which may be equal to {}: PostgreSQL would then take it instead of \
                     building another",
                    partition.name, twin.name, index.name
                ),
                "drop it first, or make the index ON ONLY the table and attach the partitions' indexes yourself",
            ));
        }
        let branches = ddl::index::branches(ctx.logical, &self.table, &index, IndexSort::Plain);
        let tree = TreeBuild {
            catalog: ctx.logical,
            table: &self.table,
            index: &index,
            branches: &branches,
            purpose: Purpose::Index,
            phase,
        };
        online.steps.extend(tree.steps());
        Ok(online)
    }

    fn effects(&self, ctx: &Ctx) -> Vec<Effect> {
        if self.if_not_exists
            && ctx.logical.relation_name_taken(&self.full_name())
            && !matches!(self.found(ctx), Ok(Found::Invalid(_)))
        {
            return Vec::new();
        }
        let index = self.made(ctx);
        let own = Effect::Index { table: self.table.clone(), index: index.clone() };
        if self.only {
            return vec![own];
        }
        let below = ddl::index::branches(ctx.logical, &self.table, &index, IndexSort::Plain)
            .into_iter()
            .map(|branch| Effect::Index { table: branch.table, index: branch.index });
        std::iter::once(own).chain(below).collect()
    }
}

/// What IF NOT EXISTS meets.
enum Found<'a> {
    /// The name is free.
    Nothing,
    /// An index that is as wanted.
    Equal,
    /// The leftover of a failed build.
    Invalid(&'a Index),
}

impl CreateIndex {
    fn full_name(&self) -> Name {
        self.table.sibling(self.index.name.clone())
    }

    fn partitioned(&self, ctx: &Ctx) -> bool {
        ctx.logical.relation(&self.table).is_some_and(|table| table.kind == RelationKind::PartitionedTable)
    }

    /// The index as the catalog will show it. On a partitioned table alone it is INVALID where there are partitions.
    fn made(&self, ctx: &Ctx) -> Index {
        let partitions = ctx.logical.relation(&self.table).is_some_and(|table| !table.partitions.is_empty());
        Index { valid: !(self.only && partitions), definition: self.sql(How::Plain), ..self.index.clone() }
    }

    fn sql(&self, how: How) -> String {
        ddl::index::create(&self.index.name, &self.table, self.index.unique, how, &self.body)
    }

    /// What is certain to make the statement fail. Source: `DefineIndex` in src/backend/commands/indexcmds.c.
    fn check<'a>(&self, ctx: &Ctx<'a>) -> Result<&'a Relation, WillFail> {
        let table = match ctx.logical.relation(&self.table) {
            Some(view) if view.kind == RelationKind::MaterializedView => view,
            _ => will_fail::table(ctx, &self.table)?,
        };
        will_fail::columns(table, &self.index.uses)?;
        will_fail::stored(table, &self.index.uses)?;
        let partitioned = table.kind == RelationKind::PartitionedTable;
        if partitioned && self.concurrently {
            return Err(WillFail::new(
                "0A000",
                format!("CREATE INDEX CONCURRENTLY does not work on partitioned table {}", self.table),
                "leave CONCURRENTLY out: the plan builds each partition's index concurrently and attaches it",
            ));
        }
        if partitioned && self.index.unique {
            let plain: Vec<Ident> = self.index.columns.iter().flatten().cloned().collect();
            will_fail::unique_covers_partition_key(ctx, table, &plain)?;
        }
        let version = ctx.logical.server.version;
        if !version.nulls_not_distinct()
            && index_text::read(&self.body).is_some_and(|index| index.nulls_not_distinct)
        {
            return Err(WillFail::new(
                "42601",
                format!("NULLS NOT DISTINCT needs PostgreSQL 15, the server is {version}"),
                "leave it out, or index an expression without NULL",
            ));
        }
        if !self.if_not_exists && ctx.logical.relation_name_taken(&self.full_name()) {
            let invalid = ctx.logical.index(&self.full_name()).is_some_and(|(_, index)| !index.valid);
            return Err(WillFail::new(
                "42P07",
                format!(
                    "relation {} exists already{}",
                    self.full_name(),
                    if invalid { " (an INVALID index)" } else { "" }
                ),
                "choose another name; IF NOT EXISTS accepts an equal index, and replaces an INVALID one",
            ));
        }
        Ok(table)
    }

    fn found<'a>(&self, ctx: &Ctx<'a>) -> Result<Found<'a>, Refusal> {
        let name = self.full_name();
        if !self.if_not_exists || !ctx.logical.relation_name_taken(&name) {
            return Ok(Found::Nothing);
        }
        let index = self.made(ctx);
        match ctx.logical.index(&name) {
            Some((table, found)) if table.name == self.table => {
                let sameness = ddl::index::same((&self.table, found), (&self.table, &index));
                if sameness == Sameness::Different || found.constraint.is_some() {
                    return Err(other(&name, "it has another definition"));
                }
                if found.valid || self.partitioned(ctx) {
                    Ok(Found::Equal)
                } else {
                    Ok(Found::Invalid(found))
                }
            }
            _ => Err(other(&name, "it is not an index of this table")),
        }
    }

    fn timing(&self, ctx: &Ctx, table: &Relation) -> Timing {
        if !self.index.unique {
            return if table.new_here { Timing::AsWritten } else { Timing::Satisfied };
        }
        let distinct = !index_text::read(&self.body).is_none_or(|index| index.nulls_not_distinct);
        tighten::unique_timing(ctx, table, self.index.columns.iter().flatten(), distinct)
    }

    fn phase(&self, table: &Relation, timing: Timing) -> Phase {
        let fresh =
            self.index.uses.iter().any(|column| table.column(column).is_some_and(|column| column.new_here));
        match timing {
            // Building after the backfill is cheaper than keeping the index up to date through it.
            Timing::Satisfied if !self.index.unique && !fresh => Phase::Expand,
            _ => timing.phase(),
        }
    }

    /// As written, in one transaction: nobody sees the table yet, or there is nothing to build.
    fn at_once(&self, ctx: &Ctx) -> Step {
        let how = if self.only { How::Only } else { How::Plain };
        let index = self.made(ctx);
        let branches = if self.only {
            Vec::new()
        } else {
            ddl::index::branches(ctx.logical, &self.table, &index, IndexSort::Plain)
        };
        let undo =
            drop_tree(ctx.logical, &self.table, &index, &branches, Phase::Expand, "takes the new index away");
        let mut step = Step::transaction(
            Phase::Expand,
            format!("Create index {} on {}", self.index.name, self.table),
            if self.only {
                "on the partitioned table alone there is nothing to build"
            } else {
                "the table is new: nobody uses it yet"
            },
            vec![self.sql(how)],
        )
        .locks(if self.only {
            tree::lock(ctx.logical, &self.table, LockMode::Share)
        } else {
            tree::locks(ctx.logical, &self.table, LockMode::Share)
        })
        .undone_by(vec![undo])
        .requires(Need::Relation(self.table.clone()))
        .requires(Need::NoRelation(self.full_name()));
        if index.valid {
            step = step.probe(Probe::Index { name: self.full_name(), valid: true });
        }
        for effect in self.effects(ctx) {
            step = step.provides(effect);
        }
        step
    }

    fn proof(&self, table: &Relation) -> Option<Step> {
        let text = index_text::read(&self.body)?;
        let query = tighten::duplicates(table, &text.keys, text.filter.as_deref(), text.nulls_not_distinct);
        let what = format!("unique index {} on {}", self.index.name, self.table);
        let violation = format!("keys that several rows of {} share", self.table);
        Some(tighten::proof(&self.table, &what, query, violation))
    }
}

fn other(name: &Name, why: &str) -> Refusal {
    Refusal::new(
        Code::WillFail,
        format!("{name} exists already, and {why}: IF NOT EXISTS would silently keep it"),
        "choose another name, or drop what is there first",
    )
}

#[cfg(test)]
mod tests {
    use crate::Source;
    use crate::diagnostic::Code;
    use crate::effect::Effect;
    use crate::kind::shared::proving::{catalog, facts, plan};
    use crate::kind::shared::testing::{refused, show};
    use crate::pg::lock::LockMode;
    use crate::policy::Policy;

    const USERS: &str = "CREATE TABLE users (id bigint PRIMARY KEY, email text NOT NULL, age int)";
    const EVENTS: &str = "CREATE TABLE p (id int, k int, c text) PARTITION BY RANGE (id);
        CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
        CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20) PARTITION BY LIST (k);
        CREATE TABLE p21 PARTITION OF p2 DEFAULT";

    #[test]
    fn built_beside_writes() {
        let plan =
            plan(&catalog(USERS), "CREATE INDEX ON users USING btree (age DESC, lower(email)) WHERE age > 1");
        assert_eq!(
            show(&plan),
            "expand, alone: CREATE INDEX CONCURRENTLY users_age_lower_idx ON public.users USING btree (age DESC, \
             lower(email)) WHERE age > 1\n"
        );
        assert_eq!(plan.steps[0].locks[0].mode, LockMode::ShareUpdateExclusive);
        assert_eq!(plan.statements[0].facts.locks[0].mode, LockMode::Share);
    }

    #[test]
    fn unique_is_proven_and_waits_for_contract() {
        let plan =
            plan(&catalog(USERS), "CREATE UNIQUE INDEX u ON users (email, lower(email)) WHERE age > 1");
        assert_eq!(
            show(&plan),
            "validate, proof: SELECT (email)::text, (lower(email))::text, count(*)::text AS rows FROM ONLY public.users \
             WHERE (age > 1) AND email IS NOT NULL AND lower(email) IS NOT NULL GROUP BY email, lower(email) \
             HAVING count(*) > 1 LIMIT 5\n\
             contract, alone: CREATE UNIQUE INDEX CONCURRENTLY u ON public.users (email, lower(email)) WHERE age > 1\n"
        );
    }

    #[test]
    fn one_row_at_most() {
        let shown = show(&plan(&catalog(USERS), "CREATE UNIQUE INDEX u ON users ((true))"));
        assert!(shown.contains("(true) IS NOT NULL HAVING count(*) > 1"), "{shown}");
    }

    #[test]
    fn unique_over_a_new_column_that_old_code_leaves_null_comes_before_contract() {
        let sql = "ALTER TABLE users ADD COLUMN handle text; CREATE UNIQUE INDEX ON users (handle)";
        let shown = show(&plan(&catalog(USERS), sql));
        assert!(
            shown.contains("validate, alone: CREATE UNIQUE INDEX CONCURRENTLY users_handle_idx"),
            "{shown}"
        );
        let nulls = "ALTER TABLE users ADD COLUMN handle text; CREATE UNIQUE INDEX ON users (handle) NULLS NOT DISTINCT";
        let shown = show(&plan(&catalog(USERS), nulls));
        assert!(
            shown.contains("contract, alone: CREATE UNIQUE INDEX CONCURRENTLY users_handle_idx"),
            "{shown}"
        );
    }

    #[test]
    fn a_tree_is_built_leaf_by_leaf_and_attached_upwards() {
        let plan = plan(&catalog(EVENTS), "CREATE INDEX ON p (k)");
        assert_eq!(
            show(&plan),
            "expand: CREATE INDEX p_k_idx ON ONLY public.p (k)\n\
             expand, alone: CREATE INDEX CONCURRENTLY p1_k_idx ON public.p1 (k)\n\
             expand: CREATE INDEX p2_k_idx ON ONLY public.p2 (k)\n\
             expand, alone: CREATE INDEX CONCURRENTLY p21_k_idx ON public.p21 (k)\n\
             expand: ALTER INDEX public.p2_k_idx ATTACH PARTITION public.p21_k_idx\n\
             expand: ALTER INDEX public.p_k_idx ATTACH PARTITION public.p2_k_idx\n\
             expand: ALTER INDEX public.p_k_idx ATTACH PARTITION public.p1_k_idx\n"
        );
        assert_eq!(plan.statements[0].facts.locks.len(), 4);
    }

    #[test]
    fn an_equal_index_of_a_partition_is_taken_and_made_again_by_undo() {
        let schema = format!("{EVENTS}; CREATE INDEX mine ON p1 USING btree (K)");
        let plan = plan(&catalog(&schema), "CREATE INDEX ON p (k)");
        let shown = show(&plan);
        assert!(!shown.contains("p1_k_idx") && shown.contains("ATTACH PARTITION public.mine"), "{shown}");
        let doubtful = format!("{EVENTS}; CREATE INDEX mine ON p1 (k DESC)");
        assert_eq!(refused(&catalog(&doubtful), "CREATE INDEX ON p (k)").0, Code::NotYet);
    }

    #[test]
    fn if_not_exists_looks_at_what_exists() {
        let schema = format!("{USERS}; CREATE INDEX i ON users (age)");
        let mut known = catalog(&schema);
        assert_eq!(show(&plan(&known, "CREATE INDEX IF NOT EXISTS i ON users USING BTREE (age)")), "");
        let (code, said) = refused(&known, "CREATE INDEX IF NOT EXISTS i ON users (email)");
        assert!(code == Code::WillFail && said.contains("another definition"), "{said}");
        for relation in known.relations.values_mut() {
            for index in &mut relation.indexes {
                index.valid = false;
            }
        }
        // An INVALID leftover is worth nothing: undo does not bring it back.
        let source = Source { name: "0001", text: "CREATE INDEX IF NOT EXISTS i ON users (age)" };
        let healed = crate::plan(source, &known, &known, &Policy::default()).expect("it is planned");
        assert_eq!(
            show(&healed),
            "expand, alone: DROP INDEX CONCURRENTLY IF EXISTS public.i\n\
             expand, alone: CREATE INDEX CONCURRENTLY i ON public.users (age)\n"
        );
    }

    #[test]
    fn certain_failures() {
        for (sql, sqlstate) in [
            ("CREATE INDEX ON users (nothing)", "42703"),
            ("CREATE INDEX users_pkey ON users (age)", "42P07"),
            ("CREATE INDEX CONCURRENTLY ON p (k)", "0A000"),
            ("CREATE UNIQUE INDEX ON p (k)", "0A000"),
        ] {
            let known = catalog(&format!("{USERS}; {EVENTS}"));
            let (code, said) = refused(&known, sql);
            assert!(code == Code::WillFail && said.contains(sqlstate), "{sql}: {said}");
        }
    }

    #[test]
    fn facts_say_what_fails() {
        let fails = &facts(&catalog(EVENTS), "CREATE UNIQUE INDEX ON p (k)")[0].fails;
        assert_eq!(fails.as_ref().map(|fails| fails.sqlstate.as_str()), Some("0A000"));
    }

    #[test]
    fn on_only_the_parent_it_stays_invalid() {
        let plan = plan(&catalog(EVENTS), "CREATE INDEX i ON ONLY p (k)");
        assert_eq!(show(&plan), "expand: CREATE INDEX i ON ONLY public.p (k)\n");
        assert!(matches!(&plan.steps[0].provides[0], Effect::Index { index, .. } if !index.valid));
    }
}
