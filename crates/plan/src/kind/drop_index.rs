//! DROP INDEX: CONCURRENTLY, at contract.
//!
//! Where the file makes another index of the same name, the old one first gets a name of its own, which blocks nobody: the new
//! one is built beside it, and the old one serves queries until the new one is there.

use crate::catalog::{Constraint, ConstraintKind, Index, Relation, RelationKind};
use crate::ddl;
use crate::ddl::index::{Branch, How};
use crate::diagnostic::{Code, Refusal};
use crate::effect::Effect;
use crate::kind::shared::index::{self, Purpose, TreeBuild};
use crate::kind::shared::tree;
use crate::kind::shared::will_fail::WillFail;
use crate::kind::{Ctx, Kind, Online};
use crate::pg::lock::LockMode;
use crate::plan::{Action, Facts, LockClaim, Phase, Step, Undo};
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
    /// What becomes of the name.
    pub part: Part,
}

/// Whether a later statement of the file makes another index of the same name, and what of the replacement stands here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Part {
    /// The name is not needed again.
    #[default]
    Whole,
    /// Another index gets the name in expand: this one is renamed before, and dropped at contract.
    Renamed,
    /// Another index gets the name at contract: this one is renamed here, and [`Part::Rest`] stands behind the other.
    Aside,
    /// Drops what [`Part::Aside`] renamed.
    Rest,
}

impl Kind for DropIndex {
    fn name(&self) -> &'static str {
        "drop_index"
    }

    fn facts(&self, ctx: &Ctx) -> Facts {
        if self.part == Part::Rest {
            return Facts { transaction: true, ..Facts::default() };
        }
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
        if self.part == Part::Rest {
            return Ok(Online { steps: self.rest(ctx), notices: Vec::new() });
        }
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
        if self.part == Part::Whole || table.new_here {
            let phase = if table.new_here { Phase::Expand } else { Phase::Contract };
            let why = if table.new_here { "the table is new" } else { why };
            let step = gone(ctx, table, index, &branches, phase, why);
            online.steps.push(step);
        } else {
            online.steps.push(self.set_aside(ctx, table, index, &branches));
            if self.part == Part::Renamed {
                let (index, branches) =
                    (self.aside(ctx, &table.name, index), self.branches_aside(ctx, &branches));
                online.steps.push(gone(ctx, table, &index, &branches, Phase::Contract, why));
            }
        }
        if table.kind == RelationKind::PartitionedTable && !table.new_here {
            online.notices.push((
                Code::Announce,
                format!(
                    "the index of partitioned table {} cannot be dropped CONCURRENTLY: all its partitions are locked \
                     for an instant",
                    table.name
                ),
            ));
        }
        for step in &online.steps {
            if let Undo::Impossible { why } = &step.undo {
                online.notices.push((Code::UndoLoses, format!("index {}: {why}", self.index)));
            }
        }
        Ok(online)
    }

    fn effects(&self, ctx: &Ctx) -> Vec<Effect> {
        if self.part == Part::Rest {
            return Vec::new();
        }
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

    /// Renames it. Source: `RenameRelation` in src/backend/commands/tablecmds.c: SHARE UPDATE EXCLUSIVE on an index, since 12.
    fn set_aside(&self, ctx: &Ctx, table: &Relation, index: &Index, branches: &[Branch]) -> Step {
        let mut pairs = vec![(table.name.clone(), index.clone(), self.aside(ctx, &table.name, index))];
        let below = branches.iter().zip(self.branches_aside(ctx, branches));
        pairs.extend(below.map(|(old, new)| (old.table.clone(), old.index.clone(), new.index)));
        let step = |title: String, why: &str, from_old: bool| {
            let mut step = Step::transaction(Phase::Expand, title, why, Vec::new());
            let mut sql = Vec::new();
            for (table, old, new) in &pairs {
                let (from, to) = if from_old { (old, new) } else { (new, old) };
                let name = table.sibling(from.name.clone());
                sql.push(ddl::moved::rename("INDEX", &name, &to.name));
                step = step
                    .lock(&name, LockMode::ShareUpdateExclusive)
                    .provides(Effect::IndexGone { table: table.clone(), index: from.name.clone() })
                    .provides(Effect::Index { table: table.clone(), index: to.clone() });
            }
            step.action = Action::Transaction { sql };
            step
        };
        let back = step(format!("Give index {} its name back", self.index), "as it was", false);
        step(
            format!("Set index {} aside", self.index),
            "the file makes another of this name; until that is there, queries go on using this one",
            true,
        )
        .undone_by(vec![back])
    }

    /// Drops the old index once the new one is there.
    fn rest(&self, ctx: &Ctx) -> Vec<Step> {
        let aside = self.index.sibling(self.aside_name(ctx, &self.index));
        let Some((table, index)) = ctx.physical.index(&aside) else { return Vec::new() };
        let why = "the index that has its name now took its place";
        let branches = ddl::index::attached(ctx.physical, table, index);
        vec![gone(ctx, table, index, &branches, Phase::Contract, why)]
    }

    fn aside_name(&self, ctx: &Ctx, index: &Name) -> Ident {
        Ident::generated(index.name.as_str(), &format!("aside {} {index}", ctx.migration))
    }

    /// The index under the name that it has until contract.
    fn aside(&self, ctx: &Ctx, table: &Name, index: &Index) -> Index {
        let name = self.aside_name(ctx, &table.sibling(index.name.clone()));
        let body = ddl::index::body(table, index);
        let definition = body.map(|body| ddl::index::create(&name, table, index.unique, How::Plain, body));
        Index { definition: definition.unwrap_or_else(|| index.definition.clone()), name, ..index.clone() }
    }

    fn branches_aside(&self, ctx: &Ctx, branches: &[Branch]) -> Vec<Branch> {
        let one = |branch: &Branch| Branch {
            index: self.aside(ctx, &branch.table, &branch.index),
            parent: branch.parent.sibling(self.aside_name(ctx, &branch.parent)),
            ..branch.clone()
        };
        branches.iter().map(one).collect()
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

/// Drops it, in the way that the table takes.
fn gone(ctx: &Ctx, table: &Relation, index: &Index, branches: &[Branch], phase: Phase, why: &str) -> Step {
    let tree = table.new_here || table.kind == RelationKind::PartitionedTable;
    let mut step = if tree {
        index::drop_tree(ctx.logical, &table.name, index, branches, phase, why)
    } else {
        index::drop(ctx.logical, &table.name, index, phase, why)
    };
    step.undo = undo(ctx, table, index, branches, phase);
    step
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
    fn another_of_the_same_name_is_built_beside_it() {
        let shown =
            show(&plan(&catalog(SCHEMA), "DROP INDEX \"By Mail\"; CREATE INDEX \"By Mail\" ON users (id)"));
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines.len(), 3, "{shown}");
        assert!(
            lines[0].starts_with("expand: ALTER INDEX public.\"By Mail\" RENAME TO \"By Mail_"),
            "{shown}"
        );
        assert!(lines[1].starts_with("expand, alone: CREATE INDEX CONCURRENTLY \"By Mail\""), "{shown}");
        assert!(lines[2].starts_with("contract, alone: DROP INDEX CONCURRENTLY"), "{shown}");
    }

    #[test]
    fn a_unique_one_goes_when_the_other_is_there() {
        let sql = "DROP INDEX \"By Mail\"; CREATE UNIQUE INDEX \"By Mail\" ON users (email, id)";
        let shown = show(&plan(&catalog(SCHEMA), sql));
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines[0].contains(" RENAME TO "), "{shown}");
        assert!(lines[lines.len() - 2].starts_with("contract, alone: CREATE UNIQUE"), "{shown}");
        assert!(lines[lines.len() - 1].starts_with("contract, alone: DROP INDEX"), "{shown}");
        let shown = show(&plan(&catalog(SCHEMA), "DROP INDEX p_k; CREATE INDEX p_k ON p (id, k)"));
        assert_eq!(shown.matches("RENAME TO p1_k_idx_").count(), 1, "{shown}");
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
