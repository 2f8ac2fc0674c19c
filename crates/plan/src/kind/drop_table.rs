//! DROP TABLE: the table stays until contract, then moves into the archive.
//!
//! Nothing is copied, so a table of any size goes in milliseconds and comes back by undo with everything on it. Its foreign
//! keys are dropped first: in the archive they would still keep rows of other tables from being deleted. A partition is
//! detached first, as DETACH PARTITION is planned.

use crate::catalog::{ConstraintKind, Dependent, DependentKind, Object, Relation, User};
use crate::ddl;
use crate::diagnostic::{Code, Refusal};
use crate::effect::{Effect, fold};
use crate::kind::attach_partition::default_partition;
use crate::kind::detach_partition::DetachPartition;
use crate::kind::shared::moved::Moved;
use crate::kind::shared::{alter, dependents, tree, unconstrain};
use crate::kind::{Ctx, Kind, Online};
use crate::pg::lock::LockMode;
use crate::plan::{Facts, LockClaim, Need, Noun, Phase, Probe, Step, Undo};
use crate::sql::ident::Name;

/// See the module.
#[derive(Clone, Debug)]
pub struct DropTable {
    /// Table; it exists.
    pub table: Name,
    /// Tables that the same statement drops.
    pub together: Vec<Name>,
}

impl Kind for DropTable {
    fn name(&self) -> &'static str {
        "drop_table"
    }

    fn facts(&self, ctx: &Ctx) -> Facts {
        let Some(table) = ctx.logical.relation(&self.table) else {
            return Facts { transaction: true, ..Facts::default() };
        };
        let dependents = self.dependents(ctx, table);
        Facts {
            locks: self.locks(ctx, table),
            transaction: true,
            breaks: vec![self.felt()],
            fails: dependents::fails(&self.what(), dependents.iter().map(String::as_str)).map(Into::into),
            ..Facts::default()
        }
    }

    fn online(&self, ctx: &Ctx) -> Result<Online, Refusal> {
        let table = ctx.table(&self.table)?;
        let dependents = self.dependents(ctx, table);
        dependents::refuse(&self.what(), dependents.iter().map(String::as_str))?;
        if table.new_here {
            return Ok(Online { steps: vec![self.drop(ctx, table, Phase::Expand)], notices: Vec::new() });
        }
        alter::planned(table)?;
        if let Some(parent) = &table.partition_of {
            return self.after_detaching(ctx, parent);
        }
        let mut notices = vec![(Code::Breaks, format!("at contract: {}", self.felt()))];
        if let Some(why) = &ctx.directives.irreversible {
            let mut step = self.drop(ctx, table, Phase::Contract);
            step.undo = Undo::Impossible { why: why.clone() };
            notices.push((
                Code::UndoLoses,
                format!("after contract, nothing brings {} back: {why}", self.table),
            ));
            return Ok(Online { steps: vec![step.destroys()], notices });
        }
        let mut steps = self.foreign_keys(ctx, table)?;
        steps.push(self.archive(ctx, table));
        Ok(Online { steps, notices })
    }

    fn effects(&self, ctx: &Ctx) -> Vec<Effect> {
        // Partitions first: a relation takes its own entry in its parent along.
        ctx.logical
            .tree(&self.table)
            .into_iter()
            .rev()
            .map(|r| Effect::RelationGone(r.name.clone()))
            .collect()
    }
}

impl DropTable {
    /// A partition is detached first, which keeps nobody waiting who uses the partitioned table. The CHECK that is left by
    /// that lets undo attach it again without a scan.
    fn after_detaching(&self, ctx: &Ctx, parent: &Name) -> Result<Online, Refusal> {
        let has_default = ctx
            .logical
            .relation(parent)
            .is_some_and(|parent| default_partition(ctx.logical, parent).is_some());
        let detach = DetachPartition {
            table: parent.clone(),
            partition: self.table.clone(),
            concurrently: !has_default,
        };
        let mut online = detach.online(ctx)?;
        let after = fold(ctx.logical, &detach.effects(ctx));
        let rest = self.online(&Ctx { logical: &after, ..*ctx })?;
        online.steps.extend(rest.steps);
        online.notices.extend(rest.notices);
        Ok(online)
    }

    /// Foreign keys of the table to others are dropped apart: each locks the other table too, for an instant.
    fn foreign_keys(&self, ctx: &Ctx, table: &Relation) -> Result<Vec<Step>, Refusal> {
        let mut steps = Vec::new();
        for relation in ctx.logical.tree(&table.name) {
            let outward = relation.constraints.iter().filter(|constraint| {
                !constraint.inherited
                    && matches!(&constraint.kind,
                        ConstraintKind::ForeignKey { table, .. } if *table != self.table)
            });
            for key in outward {
                let why = "in the archive it would still guard rows of the other table";
                let step = unconstrain::step(ctx, relation, key, Phase::Contract, why).ok_or_else(|| {
                    Refusal::new(
                        Code::NotYet,
                        format!("undo could not bring foreign key {} of {} back", key.name, relation.name),
                        "write `-- concertina:irreversible reason: …` above it to drop it without an archive",
                    )
                })?;
                steps.push(step);
            }
        }
        Ok(steps)
    }

    fn archive(&self, ctx: &Ctx, table: &Relation) -> Step {
        let mut moved = Moved::default();
        for relation in ctx.logical.tree(&table.name) {
            moved.add(ctx, Noun::Table, &relation.name);
            for index in &relation.indexes {
                moved.along(ctx, Noun::Index, &relation.name.sibling(index.name.clone()));
            }
            for sequence in ctx.logical.sequences_of(&relation.name) {
                moved.along(ctx, Noun::Sequence, &sequence.name);
            }
        }
        let (sql, again, loses) = self.beside(table);
        let sql = sql.into_iter().chain(moved.there()).collect();
        let mut back = Step::transaction(
            Phase::Contract,
            format!("Bring back table {}", self.table),
            "from the archive, with its rows, indexes, privileges and comments",
            moved.back().into_iter().chain(again).collect(),
        )
        .locks(self.own_locks(ctx))
        .probe(Probe::Relation { name: self.table.clone(), exists: true });
        back.provides = self.again(ctx);
        let mut step = Step::transaction(
            Phase::Contract,
            format!("Move table {} into the archive", self.table),
            "nothing is copied, and undo moves it back",
            sql,
        )
        .locks(self.own_locks(ctx))
        .probe(Probe::Relation { name: self.table.clone(), exists: false })
        .undo(Undo::Steps { steps: vec![back], loses })
        .requires(Need::Relation(self.table.clone()))
        .destroys();
        step.provides = self.effects(ctx);
        step.archived = moved.archived();
        step
    }

    /// What would not move along: statements that remove it, statements that make it again, and what stays away.
    fn beside(&self, table: &Relation) -> (Vec<String>, Vec<String>, Option<String>) {
        let (mut sql, mut again, mut loses) = (Vec::new(), Vec::new(), Vec::new());
        for (kind, remove) in [
            (DependentKind::Publication, ddl::moved::leave_publications(&self.table)),
            (DependentKind::Statistics, ddl::moved::drop_statistics(&self.table)),
        ] {
            let mut found: Vec<&Dependent> = table.dependents.iter().filter(|d| d.kind == kind).collect();
            found.dedup_by(|a, b| a.description == b.description);
            if !found.is_empty() {
                sql.push(remove);
            }
            for dependent in found {
                match &dependent.anew {
                    Some(statement) => again.push(statement.clone()),
                    None => loses.push(format!("{} is gone", dependent.description)),
                }
            }
        }
        again.sort();
        again.dedup();
        (sql, again, (!loses.is_empty()).then(|| loses.join("; ")))
    }

    fn drop(&self, ctx: &Ctx, table: &Relation, phase: Phase) -> Step {
        let why = match phase {
            Phase::Expand => "the table is new: nobody uses it yet",
            _ => "nothing is kept, as `irreversible` says",
        };
        let mut step = Step::transaction(
            phase,
            format!("Drop table {}", self.table),
            why,
            vec![format!("DROP TABLE {}", self.table)],
        )
        .locks(self.locks(ctx, table))
        .probe(Probe::Relation { name: self.table.clone(), exists: false })
        .requires(Need::Relation(self.table.clone()));
        step.provides = self.effects(ctx);
        step
    }

    /// Everything but the foreign keys, which come back by steps of their own.
    fn again(&self, ctx: &Ctx) -> Vec<Effect> {
        let mut effects = Vec::new();
        for relation in ctx.logical.tree(&self.table) {
            let mut back = relation.clone();
            back.constraints.retain(|constraint| {
                !matches!(&constraint.kind,
                    ConstraintKind::ForeignKey { table, .. } if *table != self.table)
            });
            effects.push(Effect::Relation(Box::new(back)));
            effects.extend(ctx.logical.sequences_of(&relation.name).cloned().map(Effect::Sequence));
        }
        effects
    }

    /// What stands in the way: views, policies and functions of others, their columns of its row type, foreign keys to it, and
    /// other tables' use of its sequences.
    fn dependents(&self, ctx: &Ctx, table: &Relation) -> Vec<String> {
        let tree = ctx.logical.tree(&table.name);
        let own = |name: &Name| tree.iter().any(|relation| relation.name == *name);
        let mut found: Vec<String> = tree
            .iter()
            .flat_map(|relation| &relation.dependents)
            .filter(|dependent| {
                !dependent.automatic
                    && !matches!(
                        dependent.kind,
                        DependentKind::ForeignKey
                            | DependentKind::GeneratedColumn
                            | DependentKind::Publication
                            | DependentKind::Statistics
                    )
            })
            .map(|dependent| dependent.description.clone())
            .collect();
        for relation in &tree {
            for (child, key) in ctx.logical.incoming_foreign_keys(&relation.name) {
                if !own(&child.name) && !self.together.contains(&child.name) {
                    found.push(format!("foreign key {} of {}", key.name, child.name));
                }
            }
            for sequence in ctx.logical.sequences_of(&relation.name) {
                let object = Object::Sequence(sequence.name.clone());
                let users = ctx.logical.users(&object);
                let others = users.filter(|used| !matches!(&used.by, User::Default(table, _) if own(table)));
                found.extend(others.map(|used| used.description.clone()));
            }
        }
        found.sort();
        found.dedup();
        found
    }

    /// As written: the tree, tables at the other end of foreign keys, the parent of a partition.
    fn locks(&self, ctx: &Ctx, table: &Relation) -> Vec<LockClaim> {
        let mode = LockMode::AccessExclusive;
        let mut locks = self.own_locks(ctx);
        let mut more: Vec<LockClaim> = Vec::new();
        for relation in ctx.logical.tree(&table.name) {
            // What a partition has of its parent's foreign keys has no triggers of its own on the referenced table.
            for constraint in relation.constraints.iter().filter(|constraint| !constraint.inherited) {
                if let ConstraintKind::ForeignKey { table: referenced, .. } = &constraint.kind {
                    more.extend(tree::locks(ctx.logical, referenced, mode));
                }
            }
        }
        // Source: `heap_drop_with_catalog` in src/backend/catalog/heap.c.
        if let Some(parent) = table.partition_of.as_ref().and_then(|parent| ctx.logical.relation(parent)) {
            more.push(LockClaim { relation: parent.name.clone(), mode });
            more.extend(
                default_partition(ctx.logical, parent)
                    .map(|default| LockClaim { relation: default.name.clone(), mode }),
            );
        }
        for lock in more {
            if !locks.contains(&lock) {
                locks.push(lock);
            }
        }
        locks
    }

    fn own_locks(&self, ctx: &Ctx) -> Vec<LockClaim> {
        let mode = LockMode::AccessExclusive;
        let tree = ctx.logical.tree(&self.table);
        let sequences = tree.iter().flat_map(|relation| ctx.logical.sequences_of(&relation.name));
        let names =
            tree.iter().map(|relation| &relation.name).chain(sequences.map(|sequence| &sequence.name));
        names.map(|name| LockClaim { relation: name.clone(), mode }).collect()
    }

    fn what(&self) -> String {
        format!("table {}", self.table)
    }

    fn felt(&self) -> String {
        format!("running code that uses {} fails (42P01)", self.table)
    }
}

#[cfg(test)]
mod tests {
    use crate::diagnostic::Code;
    use crate::kind::shared::proving::{catalog, plan};
    use crate::kind::shared::testing::{refused, show};
    use crate::plan::{Phase, Undo};

    const SCHEMA: &str = "CREATE TABLE users (id serial PRIMARY KEY, email text);
        CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users);
        CREATE TABLE loose (id int)";

    #[test]
    fn moves_with_everything_on_it_at_contract() {
        let plan = plan(
            &catalog(SCHEMA),
            "ALTER TABLE orders DROP CONSTRAINT orders_user_id_fkey; DROP TABLE users",
        );
        assert_eq!(plan.steps.len(), 2);
        let step = &plan.steps[1];
        assert!(step.phase == Phase::Contract && step.destroys);
        assert_eq!(step.archived.len(), 1);
        let shown = show(&plan);
        for part in [
            "ALTER TABLE public.users RENAME TO users_",
            "ALTER INDEX public.users_pkey RENAME TO users_pkey_",
            "ALTER SEQUENCE public.users_id_seq RENAME TO users_id_seq_",
        ] {
            assert!(shown.contains(part), "{part} in {shown}");
        }
        assert_eq!(shown.matches("SET SCHEMA").count(), 1, "{shown}");
    }

    #[test]
    fn its_foreign_keys_go_first_and_come_back_last() {
        let plan = plan(&catalog(SCHEMA), "DROP TABLE orders");
        let shown = show(&plan);
        assert!(shown.starts_with("contract: ALTER TABLE public.orders DROP CONSTRAINT"), "{shown}");
        assert!(matches!(&plan.steps[1].undo, Undo::Steps { steps, .. } if steps.len() == 1));
    }

    #[test]
    fn a_partition_is_detached_first() {
        let schema = "CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id);
            CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10)";
        let plan = plan(&catalog(schema), "DROP TABLE p1");
        let shown = show(&plan);
        let first = "contract, alone: ALTER TABLE public.p DETACH PARTITION public.p1 CONCURRENTLY\n";
        assert!(shown.starts_with(first) && shown.contains("SET SCHEMA concertina_archive"), "{shown}");
        assert_eq!(plan.steps.len(), 2);
    }

    #[test]
    fn what_refers_to_it_must_go_first_or_with_it() {
        let (code, said) = refused(&catalog(SCHEMA), "DROP TABLE users");
        assert!(code == Code::HasDependents && said.contains("orders_user_id_fkey"), "{said}");
        assert_eq!(plan(&catalog(SCHEMA), "DROP TABLE users, orders").steps.len(), 3);
        let shown =
            show(&plan(&catalog(SCHEMA), "-- concertina:irreversible reason: a log\nDROP TABLE loose"));
        assert_eq!(shown, "contract: DROP TABLE public.loose\n");
    }
}
