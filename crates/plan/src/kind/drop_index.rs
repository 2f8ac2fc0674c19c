//! DROP INDEX: CONCURRENTLY, at contract.

use crate::catalog::{Constraint, ConstraintKind, Index, Relation, RelationKind};
use crate::ddl;
use crate::ddl::index::Branch;
use crate::diagnostic::{Code, Refusal};
use crate::effect::Effect;
use crate::kind::shared::index::{self, Purpose, TreeBuild};
use crate::kind::shared::tree;
use crate::kind::shared::will_fail::WillFail;
use crate::kind::{Ctx, Kind, Online};
use crate::pg::lock::LockMode;
use crate::plan::{Facts, LockClaim, Phase, Undo};
use crate::sql::ident::{Ident, Name};

/// See the module.
#[derive(Clone, Debug)]
pub struct DropIndex {
    /// Index.
    pub index: Name,
    /// IF EXISTS
    pub if_exists: bool,
    /// CASCADE
    pub cascade: bool,
    /// Written with CONCURRENTLY.
    pub concurrently: bool,
}

impl Kind for DropIndex {
    fn name(&self) -> &'static str {
        "drop_index"
    }

    fn facts(&self, ctx: &Ctx) -> Facts {
        let fails = self.check(ctx).err().map(Into::into);
        let transaction = !self.concurrently;
        let Some((table, index)) = ctx.logical.index(&self.index) else {
            return Facts { transaction, fails, ..Facts::default() };
        };
        let mut breaks = Vec::new();
        if index.unique {
            breaks.push(format!(
                "INSERT … ON CONFLICT that relies on {} fails (42P10), and duplicates may come",
                self.index
            ));
        }
        Facts {
            locks: self.locks(ctx, table, index, self.concurrently),
            transaction,
            breaks,
            fails,
            ..Facts::default()
        }
    }

    fn online(&self, ctx: &Ctx) -> Result<Online, Refusal> {
        let Some((table, index)) = self.check(ctx)? else { return Ok(Online::default()) };
        if self.cascade {
            return Err(Refusal::new(
                Code::HasDependents,
                format!("CASCADE would drop whatever relies on index {}", self.index),
                "leave CASCADE out, and drop what relies on it in statements of its own",
            ));
        }
        let mut online = Online::default();
        if index.unique && index.valid && !table.new_here {
            online.notices.push((
                Code::Breaks,
                format!(
                    "from contract on, INSERT … ON CONFLICT that relies on unique index {} fails (42P10)",
                    self.index
                ),
            ));
        }
        let branches = ddl::index::attached(ctx.logical, table, index);
        let why = "until contract old code may rely on it";
        let mut step = if table.new_here {
            index::drop_tree(ctx.logical, &table.name, index, &branches, Phase::Expand, "the table is new")
        } else if table.kind == RelationKind::PartitionedTable {
            online.notices.push((
                Code::Announce,
                format!(
                    "the index of partitioned table {} cannot be dropped CONCURRENTLY: all its partitions are locked \
                     for an instant",
                    table.name
                ),
            ));
            index::drop_tree(ctx.logical, &table.name, index, &branches, Phase::Contract, why)
        } else {
            index::drop(ctx.logical, &table.name, index, Phase::Contract, why)
        };
        step.undo = undo(ctx, table, index, &branches, step.phase);
        if let Undo::Impossible { why } = &step.undo {
            online.notices.push((Code::UndoLoses, format!("index {}: {why}", self.index)));
        }
        online.steps.push(step);
        Ok(online)
    }

    fn effects(&self, ctx: &Ctx) -> Vec<Effect> {
        let Some((table, index)) = ctx.logical.index(&self.index) else { return Vec::new() };
        let own = Effect::IndexGone { table: table.name.clone(), index: index.name.clone() };
        let below = ddl::index::attached(ctx.logical, table, index)
            .into_iter()
            .map(|branch| Effect::IndexGone { table: branch.table, index: branch.index.name });
        std::iter::once(own).chain(below).collect()
    }
}

impl DropIndex {
    /// The index, if there is one; or what is certain to make the statement fail. Source: `RemoveRelations` and
    /// `RangeVarCallbackForDropRelation` in src/backend/commands/tablecmds.c, and dependency.c.
    fn check<'a>(&self, ctx: &Ctx<'a>) -> Result<Option<(&'a Relation, &'a Index)>, WillFail> {
        let Some((table, index)) = ctx.logical.index(&self.index) else {
            if self.if_exists {
                return Ok(None);
            }
            return Err(WillFail::new(
                "42704",
                format!("index {} does not exist", self.index),
                "correct the name, or write IF EXISTS",
            ));
        };
        if let Some(constraint) = &index.constraint {
            return Err(WillFail::new(
                "2BP01",
                format!("constraint {constraint} of {} stands on index {}", table.name, self.index),
                "drop the constraint instead",
            ));
        }
        if index.inherited {
            return Err(WillFail::new(
                "2BP01",
                format!(
                    "index {} belongs to an index of the partitioned table above {}",
                    self.index, table.name
                ),
                "drop the index of the partitioned table",
            ));
        }
        if let Some((child, key)) = relying_foreign_key(ctx, table, index)
            && (!self.cascade || self.concurrently)
        {
            return Err(WillFail::new(
                "2BP01",
                format!("foreign key {} of {} relies on unique index {}", key.name, child.name, self.index),
                "drop the foreign key first, or give it another unique index",
            ));
        }
        if self.concurrently && (self.cascade || table.kind == RelationKind::PartitionedTable) {
            return Err(WillFail::new(
                "0A000",
                format!(
                    "DROP INDEX CONCURRENTLY takes neither CASCADE nor the index of a partitioned table ({})",
                    self.index
                ),
                "leave CONCURRENTLY and CASCADE out",
            ));
        }
        Ok(Some((table, index)))
    }

    /// Locks on the tables and on the indexes that go.
    fn locks(&self, ctx: &Ctx, table: &Relation, index: &Index, concurrently: bool) -> Vec<LockClaim> {
        let mode = if concurrently { LockMode::ShareUpdateExclusive } else { LockMode::AccessExclusive };
        let mut locks = tree::locks(ctx.logical, &table.name, mode);
        locks.push(LockClaim { relation: self.index.clone(), mode });
        locks.extend(
            ddl::index::attached(ctx.logical, table, index)
                .into_iter()
                .map(|branch| LockClaim { relation: branch.name(), mode }),
        );
        locks
    }
}

/// Builds it again from its definition. An INVALID index is worth nothing to anyone.
fn undo(ctx: &Ctx, table: &Relation, index: &Index, branches: &[Branch], phase: Phase) -> Undo {
    if !index.valid {
        return Undo::Nothing;
    }
    if ddl::index::body(&table.name, index).is_none() {
        return Undo::Impossible { why: "its definition is not known".to_owned() };
    }
    let mut steps = if table.kind == RelationKind::PartitionedTable {
        let purpose = Purpose::Index;
        TreeBuild { catalog: ctx.logical, table: &table.name, index, branches, purpose, phase }.steps()
    } else if table.new_here {
        Vec::new()
    } else {
        vec![index::build(ctx.logical, &table.name, index, phase, "it was there before")]
    };
    for step in &mut steps {
        step.undo = Undo::Nothing;
    }
    let loses = index
        .unique
        .then(|| "if duplicates were written meanwhile, the unique index cannot come back".to_owned());
    Undo::Steps { steps, loses }
}

/// A foreign key that needs this index, because no other unique index of the table has exactly its columns.
fn relying_foreign_key<'a>(
    ctx: &Ctx<'a>,
    table: &Relation,
    index: &Index,
) -> Option<(&'a Relation, &'a Constraint)> {
    let serves = |candidate: &Index, columns: &[Ident]| {
        candidate.unique
            && !candidate.partial
            && candidate.columns.len() == columns.len()
            && candidate.columns.iter().flatten().all(|column| columns.contains(column))
            && candidate.columns.iter().all(Option::is_some)
    };
    ctx.logical.incoming_foreign_keys(&table.name).into_iter().find(|(_, key)| {
        let ConstraintKind::ForeignKey { columns, .. } = &key.kind else { return false };
        serves(index, columns)
            && !table.indexes.iter().any(|other| other.name != index.name && serves(other, columns))
    })
}

#[cfg(test)]
mod tests {
    use crate::diagnostic::Code;
    use crate::kind::shared::proving::{catalog, plan};
    use crate::kind::shared::testing::{refused, show};
    use crate::plan::{Action, Undo};

    const SCHEMA: &str = "CREATE TABLE users (id bigint PRIMARY KEY, email text NOT NULL);
        CREATE UNIQUE INDEX \"By Mail\" ON users (lower(email)) WHERE id > 3;
        CREATE UNIQUE INDEX plain_mail ON users (email);
        CREATE TABLE posts (author text REFERENCES users (email));
        CREATE TABLE p (id int, k int) PARTITION BY RANGE (id);
        CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
        CREATE INDEX p_k ON p (k)";

    #[test]
    fn waits_for_contract_and_comes_back() {
        let plan = plan(&catalog(SCHEMA), "DROP INDEX \"By Mail\"");
        assert_eq!(show(&plan), "contract, alone: DROP INDEX CONCURRENTLY IF EXISTS public.\"By Mail\"\n");
        let Undo::Steps { steps, loses: Some(_) } = &plan.steps[0].undo else {
            panic!("{:?}", plan.steps[0].undo)
        };
        let Action::Alone { sql, .. } = &steps[0].action else { panic!("{:?}", steps[0].action) };
        assert_eq!(
            sql,
            "CREATE UNIQUE INDEX CONCURRENTLY \"By Mail\" ON public.users (lower(email)) WHERE id > 3"
        );
        assert!(plan.notices.iter().any(|notice| notice.code == Code::Breaks));
    }

    #[test]
    fn of_a_partitioned_table_it_locks_the_tree() {
        let plan = plan(&catalog(SCHEMA), "DROP INDEX p_k");
        assert_eq!(show(&plan), "contract: DROP INDEX IF EXISTS public.p_k\n");
        assert_eq!(plan.steps[0].locks.len(), 4);
        assert_eq!(plan.statements[0].facts.locks, plan.steps[0].locks);
    }

    #[test]
    fn what_cannot_be_dropped() {
        for (sql, code, word) in [
            ("DROP INDEX users_pkey", Code::WillFail, "2BP01"),
            ("DROP INDEX p1_k_idx", Code::WillFail, "2BP01"),
            ("DROP INDEX plain_mail", Code::WillFail, "posts_author_fkey"),
            ("DROP INDEX plain_mail CASCADE", Code::HasDependents, "CASCADE"),
            ("DROP INDEX nothing", Code::WillFail, "42704"),
            ("DROP INDEX CONCURRENTLY p_k", Code::WillFail, "0A000"),
        ] {
            let (found, said) = refused(&catalog(SCHEMA), sql);
            assert!(found == code && said.contains(word), "{sql}: {said}");
        }
        assert_eq!(show(&plan(&catalog(SCHEMA), "DROP INDEX IF EXISTS nothing")), "");
    }
}
