//! CREATE TABLE: runs as written; its indexes and constraints meet an empty table.

use std::iter;

use crate::catalog::{Relation, Sequence};
use crate::ddl;
use crate::diagnostic::{Code, Refusal};
use crate::effect::Effect;
use crate::kind::shared::tree;
use crate::kind::shared::will_fail::WillFail;
use crate::kind::{Ctx, Kind, Online};
use crate::pg::lock::LockMode;
use crate::plan::{Facts, LockClaim, Need, Phase, Probe, Step, Undo};
use crate::sql::ident::{Ident, Name};

/// See the module.
#[derive(Clone, Debug)]
pub struct CreateTable {
    /// The statement.
    pub sql: String,
    /// The table it makes: columns (serial and identity included), constraints and indexes with the names PostgreSQL gives them.
    pub relation: Relation,
    /// Sequences of serial and identity columns.
    pub sequences: Vec<Sequence>,
    /// Existing tables that its foreign keys reference.
    pub references: Vec<Name>,
    /// IF NOT EXISTS
    pub if_not_exists: bool,
}

impl Kind for CreateTable {
    fn name(&self) -> &'static str {
        "create_table"
    }

    fn facts(&self, ctx: &Ctx) -> Facts {
        let skipped = self.exists(ctx) && self.if_not_exists;
        Facts {
            locks: if skipped { Vec::new() } else { self.creation_locks(ctx) },
            work: Vec::new(),
            transaction: true,
            breaks: Vec::new(),
            fails: self.check(ctx).err().map(Into::into),
        }
    }

    fn online(&self, ctx: &Ctx) -> Result<Online, Refusal> {
        self.check(ctx)?;
        let name = &self.relation.name;
        if self.exists(ctx) {
            let said = format!("{name} exists already: nothing is done, whatever its columns are");
            return Ok(Online { steps: Vec::new(), notices: vec![(Code::Announce, said)] });
        }
        let mut undo = Step::transaction(
            Phase::Expand,
            format!("Drop table {name}"),
            "takes back CREATE TABLE",
            vec![ddl::table::drop(name)],
        )
        // Dropping a foreign key locks what it references. Source: measured on 14, 15 and 18.
        .locks(self.locks(ctx, LockMode::AccessExclusive))
        .lock(name, LockMode::AccessExclusive)
        .probe(Probe::Relation { name: name.clone(), exists: false })
        .provides(Effect::RelationGone(name.clone()));
        undo.destroys = true;
        let mut step = Step::transaction(
            Phase::Expand,
            format!("Create table {name}"),
            "nobody uses it yet, so nothing in it can block anyone",
            vec![self.sql.clone()],
        )
        .locks(self.creation_locks(ctx))
        .probe(Probe::Relation { name: name.clone(), exists: true })
        .undo(Undo::Steps { steps: vec![undo], loses: Some(format!("the rows written into {name} since")) })
        .requires(Need::NoRelation(name.clone()));
        for referenced in &self.references {
            step = step.requires(Need::Relation(referenced.clone()));
        }
        step.provides = self.effects(ctx);
        Ok(Online { steps: vec![step], notices: Vec::new() })
    }

    fn effects(&self, ctx: &Ctx) -> Vec<Effect> {
        if self.exists(ctx) {
            return Vec::new();
        }
        let relation = Relation { new_here: true, ..self.relation.clone() };
        let sequences = self.sequences.iter().cloned().map(Effect::Sequence);
        iter::once(Effect::Relation(Box::new(relation))).chain(sequences).collect()
    }
}

impl CreateTable {
    /// Source: `heap_create_with_catalog` in src/backend/catalog/heap.c.
    fn check(&self, ctx: &Ctx) -> Result<(), WillFail> {
        let name = &self.relation.name;
        if !ctx.logical.schemas.contains(&name.schema) {
            return Err(WillFail::new(
                "3F000",
                format!("schema {} does not exist", name.schema),
                "create the schema first, or check the search_path",
            ));
        }
        if self.exists(ctx) && !self.if_not_exists {
            return Err(WillFail::new(
                "42P07",
                format!("the name {name} is taken"),
                "choose another name, or leave the statement out",
            ));
        }
        Ok(())
    }

    fn exists(&self, ctx: &Ctx) -> bool {
        ctx.logical.relation_name_taken(&self.relation.name)
    }

    fn creation_locks(&self, ctx: &Ctx) -> Vec<LockClaim> {
        [self.locks(ctx, LockMode::ShareRowExclusive), self.index_locks(ctx)].concat()
    }

    /// What its foreign keys reference, partitions included, and what it is a partition of: a table as new as itself, or else
    /// lowering has refused. Source for that: `DefineRelation` in src/backend/commands/tablecmds.c,
    /// `heap_drop_with_catalog` in src/backend/catalog/heap.c.
    fn locks(&self, ctx: &Ctx, mode: LockMode) -> Vec<LockClaim> {
        let parent = self.relation.partition_of.as_ref();
        let mut locks: Vec<LockClaim> = parent
            .map(|parent| LockClaim { relation: parent.clone(), mode: LockMode::AccessExclusive })
            .into_iter()
            .collect();
        for lock in self.references.iter().flat_map(|name| tree::locks(ctx.logical, name, mode)) {
            if !locks.contains(&lock) {
                locks.push(lock);
            }
        }
        locks
    }

    /// A partition's indexes become parts of its parent's. Source: `index_create` in src/backend/catalog/index.c.
    fn index_locks(&self, ctx: &Ctx) -> Vec<LockClaim> {
        let parent = self.relation.partition_of.as_ref().and_then(|parent| ctx.logical.relation(parent));
        let lock = |parent: &Relation, index: &Ident| LockClaim {
            relation: parent.name.sibling(index.clone()),
            mode: LockMode::ShareUpdateExclusive,
        };
        parent.into_iter().flat_map(|p| p.indexes.iter().map(move |index| lock(p, &index.name))).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::diagnostic::Code;
    use crate::kind::shared::testing::{catalog, partitioned, planned, refused, show, steps, table};
    use crate::pg::lock::LockMode;
    use crate::plan::Undo;

    #[test]
    fn as_written_with_the_referenced_tables_locked() {
        let mut tables = vec![table("users", &[("id", "bigint")])];
        tables.extend(partitioned("events", &[("id", "bigint")]));
        let sql = "CREATE TABLE n (id bigserial PRIMARY KEY, u bigint REFERENCES users, e bigint REFERENCES events)";
        let plan = planned(&catalog(tables), sql);
        assert_eq!(show(&plan), format!("expand: {sql}\n"));
        let locks: Vec<String> = plan.steps[0].locks.iter().map(|lock| lock.relation.to_string()).collect();
        assert_eq!(locks, ["public.users", "public.events", "public.events_1", "public.events_2"]);
        assert!(plan.steps[0].locks.iter().all(|lock| lock.mode == LockMode::ShareRowExclusive));
        assert_eq!(plan.statements[0].facts.locks, plan.steps[0].locks);
        assert!(
            matches!(&plan.steps[0].undo, Undo::Steps { loses: Some(loses), .. } if loses.contains("public.n"))
        );
    }

    #[test]
    fn a_taken_name_fails_unless_it_may_exist() {
        let users = catalog([table("users", &[("id", "bigint")])]);
        let (code, said) = refused(&users, "CREATE TABLE users (id int)");
        assert!(code == Code::WillFail && said.contains("42P07"), "{said}");
        let (code, said) = refused(&users, "CREATE TABLE nowhere.users (id int)");
        assert!(code == Code::WillFail && said.contains("3F000"), "{said}");
        assert_eq!(steps(&users, "CREATE TABLE IF NOT EXISTS users (id int)"), "");
    }
}
