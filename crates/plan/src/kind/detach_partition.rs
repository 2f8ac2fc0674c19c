//! DETACH PARTITION: at contract, since running code reads its rows through the partitioned table until then.
//!
//! CONCURRENTLY, whether written or not: two transactions, neither of which keeps readers or writers of the partitioned table
//! waiting. PostgreSQL leaves a CHECK behind then that says what the bound said; it is dropped where CONCURRENTLY was not
//! written. A run that is interrupted between the two is ended by FINALIZE.
//!
//! With a DEFAULT partition PostgreSQL has no CONCURRENTLY: there it is one short try under the stall budget, for the lock is
//! ACCESS EXCLUSIVE on the partitioned table but held for an instant.
//!
//! Undo attaches it again as ATTACH PARTITION is planned: what has been written since is looked at first.
//!
//! Source: "DETACH PARTITION" in doc/src/sgml/ref/alter_table.sgml; `ATExecDetachPartition` in
//! src/backend/commands/tablecmds.c.

use crate::catalog::{Catalog, Constraint, ConstraintKind, Relation};
use crate::ddl;
use crate::diagnostic::{Code, Refusal};
use crate::effect::{Effect, fold};
use crate::kind::attach_partition::{AttachPartition, default_partition};
use crate::kind::shared::not_valid::NotValid;
use crate::kind::shared::will_fail::{self, WillFail};
use crate::kind::shared::{bound, tree};
use crate::kind::{Ctx, Kind, Online};
use crate::pg::lock::LockMode;
use crate::plan::{Action, Facts, LockClaim, Need, Phase, Probe, Step, Undo, WorkKind};
use crate::sql::ident::Name;
use crate::sql::names::Namer;
use crate::sql::partition;

/// See the module.
#[derive(Clone, Debug)]
pub struct DetachPartition {
    /// Partitioned table.
    pub table: Name,
    /// Partition.
    pub partition: Name,
    /// Written with CONCURRENTLY.
    pub concurrently: bool,
}

impl Kind for DetachPartition {
    fn name(&self) -> &'static str {
        "detach_partition"
    }

    fn facts(&self, ctx: &Ctx) -> Facts {
        let (own, below) = match self.concurrently {
            true => (LockMode::ShareUpdateExclusive, LockMode::AccessExclusive),
            false => (LockMode::AccessExclusive, LockMode::AccessExclusive),
        };
        Facts {
            locks: self.locks(ctx.logical, own, below),
            work: Vec::new(),
            transaction: !self.concurrently,
            breaks: vec![self.felt()],
            fails: self.check(ctx).err().map(Into::into),
        }
    }

    fn online(&self, ctx: &Ctx) -> Result<Online, Refusal> {
        let (parent, child) = self.check(ctx)?;
        if parent.new_here || child.new_here {
            let step = self.at_once(ctx, Phase::Expand, "the table is new: nobody uses it yet");
            let back = ddl::partition::attach(&self.table, &self.partition, self.bound(child));
            let undo = Step { provides: self.attached_again(ctx, child), ..self.back(ctx, vec![back]) };
            return Ok(Online { steps: vec![step.undone_by(vec![undo])], notices: Vec::new() });
        }
        self.refuse_referenced(ctx, parent)?;
        let notices = vec![(Code::Breaks, format!("at contract: {}", self.felt()))];
        let check = self.left_check(ctx, parent);
        let says = partition::bound(self.bound(child))
            .ok_or_else(String::new)
            .and_then(|bound| bound::whole(ctx.logical, parent, &self.partition, &bound));
        let steps = match says {
            _ if default_partition(ctx.logical, parent).is_some() => vec![self.in_one(ctx, child)?],
            _ if self.concurrently => vec![self.first_of_two(ctx, child, &check)],
            Ok(says) => {
                let check = Constraint { definition: format!("CHECK ({says})"), ..check };
                vec![self.first_of_two(ctx, child, &check), self.without_check(ctx, &check)]
            }
            // What PostgreSQL would leave behind could not be made again.
            Err(_) => vec![self.in_one(ctx, child)?],
        };
        Ok(Online { steps, notices })
    }

    fn effects(&self, ctx: &Ctx) -> Vec<Effect> {
        let mut effects = vec![self.gone()];
        if self.concurrently
            && let Ok((parent, _)) = self.check(ctx)
        {
            let constraint = self.left_check(ctx, parent);
            effects.push(Effect::Constraint { table: self.partition.clone(), constraint });
        }
        effects
    }
}

impl DetachPartition {
    /// CONCURRENTLY, which leaves the CHECK behind.
    fn first_of_two(&self, ctx: &Ctx, child: &Relation, check: &Constraint) -> Step {
        let (table, partition) = (&self.table, &self.partition);
        let drop = ddl::constraint::drop_if_exists(partition, &check.name);
        let back = vec![ddl::partition::attach(table, partition, self.bound(child)), drop.clone()];
        let mut undo = self.back(ctx, back);
        undo.provides = self.attached_again(ctx, child);
        undo.provides
            .push(Effect::ConstraintGone { table: partition.clone(), constraint: check.name.clone() });
        let mut step = Step::new(
            Phase::Contract,
            format!("Detach {partition} from {table}"),
            "in two transactions, so that nobody who uses the partitioned table waits",
            Action::Alone {
                sql: ddl::partition::detach_concurrently(table, partition),
                heal: Some(ddl::partition::finalize(table, partition)),
            },
        )
        .locks(self.locks(ctx.logical, LockMode::ShareUpdateExclusive, LockMode::AccessExclusive))
        .probe(self.probe(false))
        .undone_by(vec![undo])
        .requires(Need::Relation(partition.clone()));
        step.provides =
            vec![self.gone(), Effect::Constraint { table: partition.clone(), constraint: check.clone() }];
        step
    }

    fn without_check(&self, ctx: &Ctx, check: &Constraint) -> Step {
        let partition = &self.partition;
        let drop = ddl::constraint::drop_if_exists(partition, &check.name);
        let locks = tree::locks(ctx.logical, partition, LockMode::AccessExclusive);
        let again = NotValid {
            table: partition,
            constraint: check,
            add: locks.clone(),
            validate: tree::locks(ctx.logical, partition, LockMode::ShareUpdateExclusive),
            drop: locks.clone(),
            work: tree::work(ctx.logical, partition, WorkKind::Scan),
        };
        let again = [again.add(Phase::Contract), again.validate(Phase::Contract)];
        Step::transaction(
            Phase::Contract,
            format!("Drop CHECK {} of {partition}", check.name),
            "PostgreSQL leaves it behind, to attach the table again without a scan; nobody asked for it",
            vec![drop],
        )
        .locks(locks)
        .probe(Probe::Constraint { table: partition.clone(), name: check.name.clone(), validated: None })
        .undone_by(again.into_iter().map(|step| Step { undo: Undo::Nothing, ..step }).collect())
        .provides(Effect::ConstraintGone { table: partition.clone(), constraint: check.name.clone() })
    }

    /// One short try: with a DEFAULT partition there is no other form.
    fn in_one(&self, ctx: &Ctx, child: &Relation) -> Result<Step, Refusal> {
        let after = fold(ctx.logical, &[self.gone()]);
        let attach = AttachPartition {
            table: self.table.clone(),
            partition: self.partition.clone(),
            bound: self.bound(child).to_owned(),
            created: false,
        };
        let undo = match attach.online(&Ctx { logical: &after, physical: &after, ..*ctx }) {
            Ok(online) => online.steps,
            // The scan cannot be spared, but it is bounded by the stall budget.
            Err(refusal) if refusal.code == Code::NotYet => {
                let back = ddl::partition::attach(&self.table, &self.partition, self.bound(child));
                let step = Step { provides: self.attached_again(ctx, child), ..self.back(ctx, vec![back]) };
                vec![step.work(&self.partition, WorkKind::Scan)]
            }
            Err(refusal) => return Err(refusal),
        };
        let undo = undo.into_iter().map(|step| Step { phase: Phase::Contract, undo: Undo::Nothing, ..step });
        let why =
            "with a DEFAULT partition it cannot be done CONCURRENTLY; it holds its locks for an instant";
        Ok(self.at_once(ctx, Phase::Contract, why).undone_by(undo.collect()))
    }

    fn at_once(&self, ctx: &Ctx, phase: Phase, why: &str) -> Step {
        Step::transaction(
            phase,
            format!("Detach {} from {}", self.partition, self.table),
            why,
            vec![ddl::partition::detach(&self.table, &self.partition)],
        )
        .locks(self.locks(ctx.logical, LockMode::AccessExclusive, LockMode::AccessExclusive))
        .probe(self.probe(false))
        .requires(Need::Relation(self.partition.clone()))
        .provides(self.gone())
    }

    /// Attaches it again: what it got from its parent is still there, triggers excepted, which come anew.
    fn back(&self, ctx: &Ctx, sql: Vec<String>) -> Step {
        Step::transaction(
            Phase::Contract,
            format!("Attach {} to {} again", self.partition, self.table),
            "the CHECK that DETACH … CONCURRENTLY left says what the bound says, so nothing is scanned",
            sql,
        )
        // Foreign keys that become the parent's again lose their triggers on what they refer to.
        .locks(self.all_locks(
            ctx.logical,
            LockMode::ShareUpdateExclusive,
            LockMode::AccessExclusive,
            LockMode::AccessExclusive,
        ))
        .probe(self.probe(true))
    }

    /// Flags and triggers as they were.
    fn attached_again(&self, ctx: &Ctx, child: &Relation) -> Vec<Effect> {
        let own = Effect::Attached {
            table: self.table.clone(),
            partition: self.partition.clone(),
            bound: self.bound(child).to_owned(),
        };
        let mut effects = vec![own];
        for relation in ctx.logical.tree(&self.partition).into_iter().rev() {
            effects.push(Effect::Relation(Box::new(relation.clone())));
        }
        effects
    }

    /// The CHECK that DETACH … CONCURRENTLY makes, under the name that PostgreSQL chooses.
    /// Source: `DetachAddConstraintIfNeeded` in src/backend/commands/tablecmds.c.
    fn left_check(&self, ctx: &Ctx, parent: &Relation) -> Constraint {
        let columns = bound::named(ctx.logical, parent);
        let only = match columns.as_slice() {
            [only] => Some(only.as_str()),
            _ => None,
        };
        let mut namer = Namer::new(ctx.logical, &self.partition.schema);
        Constraint {
            name: namer.constraint(&self.partition.name, only, "check"),
            kind: ConstraintKind::Check,
            columns,
            definition: "CHECK".to_owned(),
            validated: true,
            deferrable: false,
            inherited: false,
        }
    }

    /// Foreign keys to the partitioned table or one above: DETACH looks for rows that refer to the partition.
    /// Source: `ATDetachCheckNoForeignKeyRefs` in src/backend/commands/tablecmds.c.
    fn refuse_referenced(&self, ctx: &Ctx, parent: &Relation) -> Result<(), Refusal> {
        let mut above = Some(parent);
        while let Some(table) = above {
            if let Some((child, key)) = ctx.logical.incoming_foreign_keys(&table.name).first() {
                return Err(Refusal::new(
                    Code::NotYet,
                    format!(
                        "foreign key {} of {} refers to {}: DETACH scans {} for rows that refer to the partition, while \
                         writes to it wait",
                        key.name, child.name, table.name, child.name
                    ),
                    "drop the foreign key first, in a statement of its own, or `allow not-yet` to run it as written",
                ));
            }
            above = table.partition_of.as_ref().and_then(|name| ctx.logical.relation(name));
        }
        Ok(())
    }

    fn check<'a>(&self, ctx: &Ctx<'a>) -> Result<(&'a Relation, &'a Relation), WillFail> {
        let parent = will_fail::table(ctx, &self.table)?;
        let child = will_fail::table(ctx, &self.partition)?;
        if child.partition_of.as_ref() != Some(&self.table) {
            return Err(WillFail::new(
                "42P01",
                format!("{} is not a partition of {}", self.partition, self.table),
                "name one of its direct partitions",
            ));
        }
        if child.detaching {
            return Err(WillFail::new(
                "55000",
                format!("a DETACH … CONCURRENTLY of {} was interrupted", self.partition),
                format!("end it by {}", ddl::partition::finalize(&self.table, &self.partition)),
            ));
        }
        if self.concurrently
            && let Some(default) = default_partition(ctx.logical, parent)
        {
            return Err(WillFail::new(
                "55000",
                format!(
                    "{} has a DEFAULT partition, {}: it cannot be detached CONCURRENTLY",
                    self.table, default.name
                ),
                "leave CONCURRENTLY out: the plan detaches it in one short try",
            ));
        }
        Ok((parent, child))
    }

    /// The partitioned table, the partition, and the DEFAULT partition, which is locked with them.
    fn locks(&self, catalog: &Catalog, own: LockMode, below: LockMode) -> Vec<LockClaim> {
        self.all_locks(catalog, own, below, LockMode::ShareRowExclusive)
    }

    fn all_locks(
        &self,
        catalog: &Catalog,
        own: LockMode,
        below: LockMode,
        referenced: LockMode,
    ) -> Vec<LockClaim> {
        let mut locks = tree::lock(catalog, &self.table, own);
        let parent = catalog.relation(&self.table);
        let default =
            parent.and_then(|parent| default_partition(catalog, parent)).map(|default| &default.name);
        for name in std::iter::once(&self.partition).chain(default) {
            for lock in tree::locks(catalog, name, below) {
                if !locks.iter().any(|known| known.relation == lock.relation) {
                    locks.push(lock);
                }
            }
        }
        let child = catalog.relation(&self.partition);
        for key in child.into_iter().flat_map(|child| &child.constraints) {
            if let ConstraintKind::ForeignKey { table, .. } = &key.kind {
                // Its triggers there are made anew, as those of a key of its own.
                for lock in tree::locks(catalog, table, referenced) {
                    if !locks.iter().any(|known| known.relation == lock.relation) {
                        locks.push(lock);
                    }
                }
            }
        }
        locks
    }

    fn bound<'c>(&self, child: &'c Relation) -> &'c str {
        child.partition_bound.as_deref().unwrap_or_default()
    }

    fn gone(&self) -> Effect {
        Effect::Detached { table: self.table.clone(), partition: self.partition.clone() }
    }

    fn probe(&self, attached: bool) -> Probe {
        Probe::Partition { table: self.table.clone(), partition: self.partition.clone(), attached }
    }

    fn felt(&self) -> String {
        format!(
            "rows of {} are no longer seen through {}, and new ones find no place there",
            self.partition, self.table
        )
    }
}

#[cfg(test)]
mod tests {
    use crate::diagnostic::Code;
    use crate::kind::shared::proving::{catalog, facts, plan};
    use crate::kind::shared::testing::{refused, show};
    use crate::plan::Undo;

    const SCHEMA: &str = "CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id);
        CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
        CREATE TABLE loose (id int)";

    #[test]
    fn concurrently_and_without_what_that_leaves() {
        let first = plan(&catalog(SCHEMA), "ALTER TABLE p DETACH PARTITION p1");
        assert_eq!(
            show(&first),
            "contract, alone: ALTER TABLE public.p DETACH PARTITION public.p1 CONCURRENTLY\n\
             contract: ALTER TABLE public.p1 DROP CONSTRAINT IF EXISTS p1_id_check\n"
        );
        let written = plan(&catalog(SCHEMA), "ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY");
        assert_eq!(show(&written).lines().count(), 1);
        assert!(!written.statements[0].facts.transaction && first.statements[0].facts.transaction);
    }

    #[test]
    fn with_a_default_partition_it_is_one_short_try() {
        let schema = format!("{SCHEMA}; CREATE TABLE d PARTITION OF p DEFAULT");
        let plan = plan(&catalog(&schema), "ALTER TABLE p DETACH PARTITION p1");
        assert_eq!(show(&plan), "contract: ALTER TABLE public.p DETACH PARTITION public.p1\n");
        let Undo::Steps { steps, .. } = &plan.steps[0].undo else { panic!("it can be undone") };
        assert_eq!(steps.len(), 7, "two proofs, two CHECKs in two steps each, ATTACH");
        let sql = "ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY";
        let (code, said) = refused(&catalog(&schema), sql);
        assert!(code == Code::WillFail && said.contains("DEFAULT"), "{said}");
        assert!(facts(&catalog(&schema), sql)[0].fails.is_some());
    }

    #[test]
    fn certain_failures_and_what_is_not_planned() {
        let (code, said) = refused(&catalog(SCHEMA), "ALTER TABLE p DETACH PARTITION loose");
        assert!(code == Code::WillFail && said.contains("not a partition"), "{said}");
        let mut half = catalog(SCHEMA);
        half.relations.values_mut().for_each(|relation| relation.detaching = relation.partition_of.is_some());
        let (code, said) = refused(&half, "ALTER TABLE p DETACH PARTITION p1");
        assert!(code == Code::WillFail && said.contains("FINALIZE"), "{said}");
        assert_eq!(
            show(&plan(&half, "ALTER TABLE p DETACH PARTITION p1 FINALIZE")),
            "expand: ALTER TABLE p DETACH PARTITION p1 FINALIZE\n"
        );
        let referenced = format!("{SCHEMA}; CREATE TABLE r (p int REFERENCES p)");
        assert_eq!(refused(&catalog(&referenced), "ALTER TABLE p DETACH PARTITION p1").0, Code::NotYet);
    }
}
