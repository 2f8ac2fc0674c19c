//! ATTACH PARTITION: all that it would scan or build is there before, so that it holds its locks for an instant.
//!
//! As written it takes ACCESS EXCLUSIVE on the new partition and reads all of it to see whether its rows are within the bound;
//! builds the indexes that the partition lacks; checks the foreign keys; and with a DEFAULT partition it reads that too, under
//! the same lock. Instead:
//!
//! 1. a read-only query shows that no row of the table is outside the bound, and none of the DEFAULT partition within it;
//! 2. indexes that the partitioned table has are built CONCURRENTLY, keys become constraints, foreign keys are added NOT VALID
//!    and validated;
//! 3. a CHECK that says what the bound says is added NOT VALID to the table and validated, and one that says the contrary to
//!    the DEFAULT partition;
//! 4. ATTACH finds all of it, scans nothing, and the CHECKs go in the same transaction.
//!
//! It runs in expand: rows appear as by INSERT, which running code has to bear anyway, and new code needs the partition to
//! write into it. Undo detaches it again.
//!
//! The CHECK cannot be written for keys that are expressions or have a collation or operator class of their own, for a hash of
//! text, and for bounds that are no literals: such a table is attached as written under `allow`, or when it is made in the same
//! file.
//!
//! Source: "ATTACH PARTITION" in doc/src/sgml/ref/alter_table.sgml; `ATExecAttachPartition` in
//! src/backend/commands/tablecmds.c.

use crate::catalog::{Catalog, Constraint, ConstraintKind, Relation};
use crate::ddl;
use crate::diagnostic::{Code, Refusal};
use crate::effect::{Effect, fold};
use crate::kind::shared::bound;
use crate::kind::shared::not_valid::NotValid;
use crate::kind::shared::{tighten, tree};
use crate::kind::{Ctx, Kind, Online};
use crate::pg::lock::LockMode;
use crate::plan::{Facts, LockClaim, Need, Phase, Probe, Step, WorkKind};
use crate::sql::ident::{Ident, Name};
use crate::sql::partition::Bound;

mod check;
mod inherited;

use inherited::Inherited;

/// See the module.
#[derive(Clone, Debug)]
pub struct AttachPartition {
    /// Partitioned table.
    pub table: Name,
    /// The table that becomes a partition.
    pub partition: Name,
    /// `FOR VALUES …` or `DEFAULT`.
    pub bound: String,
    /// It was written CREATE TABLE … PARTITION OF: the table is made by the step before.
    pub created: bool,
}

impl Kind for AttachPartition {
    fn name(&self) -> &'static str {
        if self.created { "create_partition" } else { "attach_partition" }
    }

    fn facts(&self, ctx: &Ctx) -> Facts {
        let mut work = tree::work(ctx.logical, &self.partition, WorkKind::Scan);
        let mut locks = self.locks(ctx.logical);
        if let Ok((parent, _, bound)) = self.check(ctx) {
            let inherited = Inherited::new(ctx.logical, parent, &self.partition);
            if inherited.lacks_index() {
                work.extend(tree::work(ctx.logical, &self.partition, WorkKind::IndexBuild));
            }
            if bound != Bound::Default
                && let Some(default) = default_partition(ctx.logical, parent)
            {
                work.extend(tree::work(ctx.logical, &default.name, WorkKind::Scan));
            }
            LockClaim::join(&mut locks, inherited.referenced(LockMode::ShareRowExclusive));
            if !work.is_empty() {
                for key in inherited.missing_keys() {
                    if let ConstraintKind::ForeignKey { table, .. } = &key.kind {
                        work.extend(tree::work(ctx.logical, table, WorkKind::Scan));
                    }
                }
            }
        }
        if self.created {
            locks.iter_mut().filter(|lock| lock.relation == self.table).for_each(|lock| {
                lock.mode = LockMode::AccessExclusive;
            });
        }
        Facts {
            locks,
            work,
            transaction: true,
            breaks: if self.created { Vec::new() } else { vec![self.felt()] },
            fails: self.check(ctx).err().map(Into::into),
        }
    }

    fn online(&self, ctx: &Ctx) -> Result<Online, Refusal> {
        let (parent, child, bound) = self.check(ctx)?;
        let phase = self.phase(ctx, parent);
        let catalog = ctx.logical;
        let inherited = Inherited::new(catalog, parent, &self.partition);
        let mut online = Online::default();
        let mut helpers: Vec<(&Relation, Constraint)> = Vec::new();
        let mut proofs = Vec::new();
        if !child.new_here {
            inherited.refuse_unbuildable(child)?;
            let says = bound::whole(catalog, parent, &self.partition, &bound)
                .map_err(|why| self.unprovable(&why))?;
            let what = format!("that every row of {} is within its bound", self.partition);
            let violation = format!("rows of {} outside its bound", self.partition);
            proofs.push((child, format!("NOT ({says})"), what, violation));
            helpers.push((child, self.helper(parent, "bound", &self.partition, &says, catalog)));
            online.notices.push((Code::Announce, self.felt()));
        }
        let default = default_partition(catalog, parent).filter(|_| bound != Bound::Default);
        if let Some(default) = default.filter(|default| !default.new_here) {
            let says =
                bound::own(catalog, parent, &self.partition, &bound).map_err(|why| self.unprovable(&why))?;
            let what =
                format!("that DEFAULT partition {} has none of the rows of {}", default.name, self.partition);
            let violation = format!("rows of {} that belong into {}", default.name, self.partition);
            proofs.push((default, says.clone(), what, violation));
            helpers.push((
                default,
                self.helper(parent, "rest", &default.name, &format!("NOT ({says})"), catalog),
            ));
            online.notices.push((
                Code::Breaks,
                format!(
                    "while {} is validated, rows for {} find no place: they are rejected (23514) until it is attached",
                    default.name, self.partition
                ),
            ));
        }
        for (relation, condition, what, violation) in proofs {
            let query = tighten::violators(relation, &condition);
            let mut proof = tighten::proof(&relation.name, &what, query, violation);
            proof.title = format!("Prove {what}");
            proof.phase = phase;
            online.steps.push(proof);
        }
        if !child.new_here {
            online.steps.extend(inherited.beforehand(ctx, child, phase)?);
        }
        for (relation, constraint) in &helpers {
            let check = guard(catalog, relation, constraint);
            online.steps.push(check.add(phase));
            online.steps.push(check.validate(phase));
        }
        online.steps.push(self.attach(ctx, child, &inherited, &helpers, phase));
        Ok(online)
    }

    fn effects(&self, ctx: &Ctx) -> Vec<Effect> {
        let Some(parent) = ctx.logical.relation(&self.table) else { return Vec::new() };
        self.attached(&Inherited::new(ctx.logical, parent, &self.partition))
    }
}

impl AttachPartition {
    /// Expand, unless an earlier statement of the file makes the table fit only at contract.
    fn phase(&self, ctx: &Ctx, parent: &Relation) -> Phase {
        let Some(child) = ctx.physical.relation(&self.partition) else { return Phase::Contract };
        let fits = check::columns(ctx.physical, parent, child).is_ok() && child.partition_of.is_none();
        if fits { Phase::Expand } else { Phase::Contract }
    }

    fn attach(
        &self,
        ctx: &Ctx,
        child: &Relation,
        inherited: &Inherited,
        helpers: &[(&Relation, Constraint)],
        phase: Phase,
    ) -> Step {
        let mut sql = vec![ddl::partition::attach(&self.table, &self.partition, &self.bound)];
        sql.extend(
            helpers
                .iter()
                .map(|(relation, check)| ddl::constraint::drop_if_exists(&relation.name, &check.name)),
        );
        let why = match helpers {
            [] => "there are no rows to look at",
            _ => "the validated CHECK says what the bound says, so nothing is scanned; it has done its work",
        };
        let mut locks = self.locks(ctx.logical);
        // A foreign key that is taken over loses its triggers on the referenced table.
        let taken = if child.new_here { LockMode::ShareRowExclusive } else { LockMode::AccessExclusive };
        LockClaim::join(&mut locks, inherited.referenced(taken));
        let mut step = Step::transaction(
            phase,
            format!("Attach {} to {} {}", self.partition, self.table, self.bound),
            why,
            sql,
        )
        .locks(locks)
        .probe(self.probe(true))
        .undone_by(vec![self.back(ctx.logical, inherited, phase)])
        .requires(Need::Relation(self.table.clone()))
        .requires(Need::Relation(self.partition.clone()));
        step.provides = self.attached(inherited);
        for (relation, check) in helpers {
            step = step.provides(Effect::ConstraintGone {
                table: relation.name.clone(),
                constraint: check.name.clone(),
            });
        }
        step
    }

    /// Detaches it again. What ATTACH made by itself, and nothing made beforehand, goes with it.
    fn back(&self, catalog: &Catalog, inherited: &Inherited, phase: Phase) -> Step {
        let mut sql = vec![ddl::partition::detach(&self.table, &self.partition)];
        let mut effects =
            vec![Effect::Detached { table: self.table.clone(), partition: self.partition.clone() }];
        for key in inherited.made_keys() {
            sql.push(ddl::constraint::drop_if_exists(&self.partition, &key.name));
            effects
                .push(Effect::ConstraintGone { table: self.partition.clone(), constraint: key.name.clone() });
        }
        let mut locks = self.locks(catalog);
        locks.iter_mut().filter(|lock| lock.relation == self.table).for_each(|lock| {
            lock.mode = LockMode::AccessExclusive;
        });
        LockClaim::join(&mut locks, inherited.referenced(LockMode::AccessExclusive));
        let mut step = Step::transaction(
            phase,
            format!("Detach {} from {}", self.partition, self.table),
            "takes back ATTACH; its rows stay in it",
            sql,
        )
        .locks(locks)
        .probe(self.probe(false));
        step.provides = effects;
        step
    }

    fn attached(&self, inherited: &Inherited) -> Vec<Effect> {
        let own = Effect::Attached {
            table: self.table.clone(),
            partition: self.partition.clone(),
            bound: self.bound.clone(),
        };
        std::iter::once(own).chain(inherited.effects()).collect()
    }

    /// The partitioned table's lock is weak; the partition's, and the DEFAULT partition's, is the strongest.
    /// Source: `ATExecAttachPartition` in src/backend/commands/tablecmds.c.
    fn locks(&self, catalog: &Catalog) -> Vec<LockClaim> {
        let mut locks = tree::lock(catalog, &self.table, LockMode::ShareUpdateExclusive);
        LockClaim::join(&mut locks, tree::locks(catalog, &self.partition, LockMode::AccessExclusive));
        if let Some(default) =
            catalog.relation(&self.table).and_then(|parent| default_partition(catalog, parent))
        {
            LockClaim::join(&mut locks, tree::locks(catalog, &default.name, LockMode::AccessExclusive));
        }
        locks
    }

    fn helper(&self, parent: &Relation, word: &str, on: &Name, says: &str, catalog: &Catalog) -> Constraint {
        let columns = match word {
            "bound" => bound::named(catalog, parent),
            _ => parent.partition_key.clone(),
        };
        Constraint {
            name: Ident::generated(
                &format!("concertina_{word}_{}", on.name.as_str()),
                &format!("{word} of {} {} {}", self.table, self.partition, self.bound),
            ),
            kind: ConstraintKind::Check,
            columns,
            definition: format!("CHECK ({says})"),
            validated: true,
            deferrable: false,
            inherited: false,
        }
    }

    fn probe(&self, attached: bool) -> Probe {
        Probe::Partition { table: self.table.clone(), partition: self.partition.clone(), attached }
    }

    fn felt(&self) -> String {
        format!(
            "rows of {} are seen through {} from then on, and code that writes rows outside the bound into it gets errors (23514)",
            self.partition, self.table
        )
    }

    fn unprovable(&self, why: &str) -> Refusal {
        Refusal::new(
            Code::NotYet,
            format!(
                "ATTACH PARTITION would scan {} under ACCESS EXCLUSIVE, and a CHECK that spares it that cannot be written: {why}",
                self.partition
            ),
            "`allow not-yet` runs it as written, which is quick where the table is small",
        )
    }
}

/// The constraint that carries the proof, with its locks.
fn guard<'a>(catalog: &Catalog, relation: &'a Relation, constraint: &'a Constraint) -> NotValid<'a> {
    NotValid {
        table: &relation.name,
        constraint,
        add: tree::locks(catalog, &relation.name, LockMode::AccessExclusive),
        validate: tree::locks(catalog, &relation.name, LockMode::ShareUpdateExclusive),
        drop: tree::locks(catalog, &relation.name, LockMode::AccessExclusive),
        work: tree::work(catalog, &relation.name, WorkKind::Scan),
    }
}

/// The partition that takes what no other takes.
pub(crate) fn default_partition<'a>(catalog: &'a Catalog, parent: &Relation) -> Option<&'a Relation> {
    parent.partitions.iter().filter_map(|name| catalog.relation(name)).find(|partition| {
        partition.partition_bound.as_deref().is_some_and(|bound| bound.eq_ignore_ascii_case("default"))
    })
}

/// The catalog with the table as the only partition, so that what it gets from its parent can be read off.
fn alone(catalog: &Catalog, parent: &Relation, partition: &Name) -> Catalog {
    let mut catalog = fold(catalog, &[]);
    if let Some(parent) = catalog.relations.get_mut(&parent.name) {
        parent.partitions = vec![partition.clone()];
    }
    catalog
}

#[cfg(test)]
mod tests {
    use crate::diagnostic::Code;
    use crate::kind::shared::proving::{catalog, facts, plan};
    use crate::kind::shared::testing::{refused, show};
    use crate::pg::lock::LockMode;
    use crate::plan::{Phase, WorkKind};

    const SCHEMA: &str = "CREATE TABLE kinds (id int PRIMARY KEY);
        CREATE TABLE p (id int NOT NULL, kind int REFERENCES kinds, note text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
        CREATE INDEX ON p (kind);
        CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
        CREATE TABLE c (id int NOT NULL, kind int, note text)";

    #[test]
    fn everything_is_there_before() {
        let plan = plan(&catalog(SCHEMA), "ALTER TABLE p ATTACH PARTITION c FOR VALUES FROM (10) TO (20)");
        let shown = show(&plan);
        let lines: Vec<&str> = shown.lines().collect();
        let check = "id IS NOT NULL AND id >= CAST(10 AS integer) AND id < CAST(20 AS integer)";
        assert_eq!(
            lines[0],
            format!(
                "expand, proof: SELECT c.id::text AS id, c.kind::text AS kind, c.note::text AS note FROM ONLY public.c WHERE NOT ({check}) LIMIT 5"
            )
        );
        assert_eq!(
            lines[1..6],
            [
                "expand, alone: CREATE UNIQUE INDEX CONCURRENTLY c_pkey ON public.c USING btree (id)",
                "expand: ALTER TABLE public.c ADD CONSTRAINT c_pkey PRIMARY KEY USING INDEX c_pkey",
                "expand, alone: CREATE INDEX CONCURRENTLY c_kind_idx ON public.c (kind)",
                "expand: ALTER TABLE public.c ADD CONSTRAINT p_kind_fkey FOREIGN KEY (kind) REFERENCES public.kinds (id) NOT VALID",
                "expand, long: ALTER TABLE public.c VALIDATE CONSTRAINT p_kind_fkey",
            ]
        );
        assert!(lines[6].ends_with(&format!("CHECK ({check}) NOT VALID")), "{shown}");
        assert!(lines[7].starts_with("expand, long: ALTER TABLE public.c VALIDATE"), "{shown}");
        assert_eq!(
            lines[8],
            "expand: ALTER TABLE public.p ATTACH PARTITION public.c FOR VALUES FROM (10) TO (20)"
        );
        assert!(
            lines[9]
                .starts_with("expand: ALTER TABLE public.c DROP CONSTRAINT IF EXISTS concertina_bound_c_")
        );
        assert_eq!(lines.len(), 10);
        let last = plan.steps.last().expect("it attaches");
        assert_eq!((last.locks[0].mode, last.phase), (LockMode::ShareUpdateExclusive, Phase::Expand));
        assert!(last.work.is_empty());
        let work: Vec<WorkKind> = plan.statements[0].facts.work.iter().map(|work| work.what).collect();
        assert_eq!(work, [WorkKind::Scan, WorkKind::IndexBuild, WorkKind::Scan]);
    }

    #[test]
    fn the_default_partition_is_shown_to_have_none_of_its_rows() {
        let schema = "CREATE TABLE p (k text) PARTITION BY LIST (k); CREATE TABLE d PARTITION OF p DEFAULT;
            CREATE TABLE c (k text)";
        let plan = plan(&catalog(schema), "ALTER TABLE p ATTACH PARTITION c FOR VALUES IN ('a')");
        let shown = show(&plan);
        for part in [
            "FROM ONLY public.d WHERE k IS NOT NULL AND k = CAST('a' AS text) LIMIT 5",
            "CHECK (NOT (k IS NOT NULL AND k = CAST('a' AS text))) NOT VALID",
        ] {
            assert!(shown.contains(part), "{part} in {shown}");
        }
        assert_eq!(shown.matches("DROP CONSTRAINT").count(), 2, "{shown}");
        assert!(plan.notices.iter().any(|notice| notice.code == Code::Breaks));
    }

    #[test]
    fn a_table_of_the_same_file_is_attached_as_written() {
        let sql = "CREATE TABLE n (LIKE p INCLUDING ALL); ALTER TABLE p ATTACH PARTITION n FOR VALUES FROM (10) TO (20)";
        let shown = show(&plan(&catalog(SCHEMA), sql));
        assert_eq!(shown.lines().count(), 2, "{shown}");
    }

    #[test]
    fn not_before_its_rows_are_filled() {
        let sql = "UPDATE c SET kind = 1; ALTER TABLE p ATTACH PARTITION c FOR VALUES FROM (10) TO (20)";
        let plan = plan(&catalog(SCHEMA), sql);
        let phases: Vec<Phase> = plan.steps.iter().map(|step| step.phase).collect();
        assert_eq!(phases[0], Phase::Backfill);
        assert!(phases.len() > 5 && phases[1..].iter().all(|phase| *phase == Phase::Validate), "{phases:?}");
    }

    #[test]
    fn certain_failures() {
        let more = "CREATE TABLE short (id int NOT NULL, kind int); CREATE TABLE wide (id int NOT NULL, kind int, note text, x int);
            CREATE TABLE other (id int NOT NULL, kind int, note varchar(5)); CREATE TABLE loose (id int, kind int, note text)";
        let known = catalog(&format!("{SCHEMA}; {more}"));
        for (sql, word) in [
            ("p ATTACH PARTITION short FOR VALUES FROM (10) TO (20)", "no column note"),
            ("p ATTACH PARTITION wide FOR VALUES FROM (10) TO (20)", "has column x"),
            ("p ATTACH PARTITION other FOR VALUES FROM (10) TO (20)", "42804"),
            ("p ATTACH PARTITION loose FOR VALUES FROM (10) TO (20)", "may be NULL"),
            ("p ATTACH PARTITION c FOR VALUES FROM (9) TO (20)", "overlap"),
            ("p ATTACH PARTITION c FOR VALUES FROM (20) TO (20)", "empty"),
            ("p ATTACH PARTITION c FOR VALUES IN (20)", "no bound of that"),
            ("c ATTACH PARTITION short DEFAULT", "not partitioned"),
            ("p ATTACH PARTITION p1 FOR VALUES FROM (10) TO (20)", "a partition of public.p already"),
        ] {
            let (code, said) = refused(&known, &format!("ALTER TABLE {sql}"));
            assert!(code == Code::WillFail && said.contains(word), "{sql}: {said}");
        }
        let hash = catalog("CREATE TABLE p (k text) PARTITION BY HASH (k); CREATE TABLE c (k text)");
        let sql = "ALTER TABLE p ATTACH PARTITION c FOR VALUES WITH (MODULUS 2, REMAINDER 0)";
        assert_eq!(refused(&hash, sql).0, Code::NotYet);
        assert!(facts(&hash, sql)[0].fails.is_none());
    }
}
