//! REINDEX: CONCURRENTLY, table by table, outside of transactions.
//!
//! As written, REINDEX keeps writers of the table waiting, and readers too, since planning a query opens every index of its
//! tables. CONCURRENTLY builds a twin beside each index and swaps the two. Of a partitioned table each partition is a step of
//! its own, so that an interrupted run goes on where it was.
//!
//! A try that fails or is killed leaves INVALID twins, called `…_ccnew` or `…_ccold`. They are dropped before the next try and
//! by undo: only those that are defined as an index of the same table whose name they carry, that nobody is building, and that
//! were not there when the migration was planned.
//!
//! Exclusion constraints and PostgreSQL's own catalogs cannot be rebuilt so.
//!
//! Source: doc/src/sgml/ref/reindex.sgml, "Rebuilding Indexes Concurrently".

use crate::catalog::{Index, Relation, RelationKind};
use crate::ddl;
use crate::diagnostic::{Code, Refusal};
use crate::effect::Effect;
use crate::kind::shared::tree;
use crate::kind::shared::will_fail::WillFail;
use crate::kind::{Ctx, Kind, Online};
use crate::pg::lock::LockMode;
use crate::plan::{Action, Facts, LockClaim, Need, Phase, Probe, Step, WorkKind};
use crate::sql::ident::{Ident, Name};

/// See the module.
#[derive(Clone, Debug)]
pub struct Reindex {
    /// Table, partitioned table or materialized view.
    pub table: Name,
    /// One index of it; all of them where none is named.
    pub index: Option<Ident>,
    /// Written with CONCURRENTLY.
    pub concurrently: bool,
}

impl Kind for Reindex {
    fn name(&self) -> &'static str {
        "reindex"
    }

    fn facts(&self, ctx: &Ctx) -> Facts {
        let partitioned = ctx
            .logical
            .relation(&self.table)
            .is_some_and(|table| table.kind == RelationKind::PartitionedTable);
        let mut locks = Vec::new();
        for table in ctx.logical.leaves(&self.table) {
            let mode = if self.concurrently { LockMode::ShareUpdateExclusive } else { LockMode::Share };
            locks.push(LockClaim { relation: table.name.clone(), mode });
            let rebuilt = table.indexes.iter().filter(|index| self.concerns(&table.name, index));
            locks.extend(rebuilt.filter(|_| !self.concurrently).map(|index| LockClaim {
                relation: table.name.sibling(index.name.clone()),
                mode: LockMode::AccessExclusive,
            }));
        }
        Facts {
            locks,
            work: tree::work(ctx.logical, &self.table, WorkKind::IndexBuild),
            transaction: !self.concurrently && !partitioned,
            breaks: Vec::new(),
            fails: self.check(ctx).err().map(Into::into),
        }
    }

    fn online(&self, ctx: &Ctx) -> Result<Online, Refusal> {
        let table = self.check(ctx)?;
        let mut online = Online::default();
        match self.index.as_ref().and_then(|name| table.index(name)) {
            Some(index) => {
                for (relation, index) in leaf_indexes(ctx, table, index) {
                    refuse_exclusion(relation, index)?;
                    online.steps.push(one_index(relation, index));
                }
            }
            None => {
                for relation in
                    ctx.logical.leaves(&self.table).into_iter().filter(|leaf| !leaf.indexes.is_empty())
                {
                    for index in &relation.indexes {
                        refuse_exclusion(relation, index)?;
                    }
                    online.steps.push(whole_table(relation));
                    // REINDEX TABLE CONCURRENTLY passes INVALID indexes over, which the plain form rebuilds.
                    let invalid =
                        relation.indexes.iter().filter(|index| !index.valid && !is_twin(&index.name));
                    online.steps.extend(invalid.map(|index| one_index(relation, index)));
                }
            }
        }
        for relation in ctx.logical.leaves(&self.table) {
            for twin in known_twins(relation) {
                let said = format!(
                    "INVALID index {twin} is left of an earlier REINDEX CONCURRENTLY; it is not touched, and may be dropped"
                );
                online.notices.push((Code::Announce, said));
            }
        }
        Ok(online)
    }

    fn effects(&self, ctx: &Ctx) -> Vec<Effect> {
        let mut effects = Vec::new();
        for relation in ctx.logical.leaves(&self.table) {
            for index in relation.indexes.iter().filter(|index| !index.valid && !is_twin(&index.name)) {
                if self.index.as_ref().is_none_or(|name| *name == index.name && relation.name == self.table) {
                    effects.push(valid(relation, index));
                }
            }
        }
        effects
    }
}

impl Reindex {
    fn concerns(&self, table: &Name, index: &Index) -> bool {
        self.index.as_ref().is_none_or(|name| *name == index.name || *table != self.table)
    }

    fn check<'a>(&self, ctx: &Ctx<'a>) -> Result<&'a Relation, WillFail> {
        let Some(table) = ctx.logical.relation(&self.table) else {
            let said = format!("relation {} does not exist", self.table);
            return Err(WillFail::new("42P01", said, "correct the name, or check the search_path"));
        };
        match table.kind {
            RelationKind::Table | RelationKind::PartitionedTable | RelationKind::MaterializedView => {}
            _ => {
                let said = format!("{} has no indexes", self.table);
                return Err(WillFail::new("42809", said, "name a table or an index"));
            }
        }
        if let Some(name) = &self.index
            && table.index(name).is_none()
        {
            let said = format!("index {} does not exist", self.table.sibling(name.clone()));
            return Err(WillFail::new("42704", said, "correct the index's name"));
        }
        Ok(table)
    }
}

/// The index where the table holds rows itself, otherwise those of its partitions that are attached to it.
fn leaf_indexes<'a>(ctx: &Ctx<'a>, table: &'a Relation, index: &'a Index) -> Vec<(&'a Relation, &'a Index)> {
    if table.kind != RelationKind::PartitionedTable {
        return vec![(table, index)];
    }
    let attached = ddl::index::attached(ctx.logical, table, index);
    let leaves = attached.into_iter().filter(|branch| !branch.partitioned);
    leaves
        .filter_map(|branch| {
            let relation = ctx.logical.relation(&branch.table)?;
            Some((relation, relation.index(&branch.index.name)?))
        })
        .collect()
}

fn refuse_exclusion(table: &Relation, index: &Index) -> Result<(), Refusal> {
    if !index.exclusion {
        return Ok(());
    }
    Err(Refusal::new(
        Code::NoOnlineForm,
        format!(
            "index {} of {} stands behind an exclusion constraint, which PostgreSQL does not rebuild CONCURRENTLY",
            index.name, table.name
        ),
        "rebuild the other indexes by name; `allow no-online-form` rebuilds this one while writes and reads wait",
    ))
}

fn one_index(table: &Relation, index: &Index) -> Step {
    let name = table.name.sibling(index.name.clone());
    let step = step(
        table,
        format!("Rebuild index {} of {}", index.name, table.name),
        ddl::index::reindex_concurrently("INDEX", &name),
        Some(name.clone()),
    )
    .requires(Need::Relation(table.name.clone()));
    if index.valid { step } else { step.provides(valid(table, index)) }
}

fn whole_table(table: &Relation) -> Step {
    step(
        table,
        format!("Rebuild the indexes of {}", table.name),
        ddl::index::reindex_concurrently("TABLE", &table.name),
        None,
    )
    .requires(Need::Relation(table.name.clone()))
}

fn step(table: &Relation, title: String, sql: String, index: Option<Name>) -> Step {
    Step::new(
        Phase::Expand,
        title,
        "a twin is built beside reads and writes, and takes the index's place",
        Action::Alone { sql, heal: None },
    )
    .lock(&table.name, LockMode::ShareUpdateExclusive)
    .work(&table.name, WorkKind::IndexBuild)
    .probe(Probe::Rebuilt { table: table.name.clone(), index, known: known_twins(table) })
}

fn valid(table: &Relation, index: &Index) -> Effect {
    Effect::Index { table: table.name.clone(), index: Index { valid: true, ..index.clone() } }
}

/// INVALID twins that are there before: whose they are is not known.
fn known_twins(table: &Relation) -> Vec<Name> {
    let twins = table.indexes.iter().filter(|index| !index.valid && is_twin(&index.name));
    twins.map(|index| table.name.sibling(index.name.clone())).collect()
}

/// Source: `ReindexRelationConcurrently` in src/backend/commands/indexcmds.c.
fn is_twin(name: &Ident) -> bool {
    let name = name.as_str().trim_end_matches(|c: char| c.is_ascii_digit());
    name.ends_with("_ccnew") || name.ends_with("_ccold")
}

#[cfg(test)]
mod tests {
    use crate::diagnostic::Code;
    use crate::kind::shared::proving::{catalog, facts, plan};
    use crate::kind::shared::testing::{refused, show};
    use crate::plan::Probe;

    const SCHEMA: &str = "CREATE TABLE t (a int PRIMARY KEY, b int, EXCLUDE (b WITH =));
        CREATE INDEX t_b ON t (b);
        CREATE TABLE p (a int, b int) PARTITION BY RANGE (a);
        CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (9);
        CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (9) TO (19);
        CREATE INDEX p_b ON p (b)";

    #[test]
    fn concurrently_and_partition_by_partition() {
        assert_eq!(
            show(&plan(&catalog(SCHEMA), "REINDEX INDEX t_b")),
            "expand, alone: REINDEX INDEX CONCURRENTLY public.t_b\n"
        );
        assert_eq!(
            show(&plan(&catalog(SCHEMA), "REINDEX INDEX p_b")),
            "expand, alone: REINDEX INDEX CONCURRENTLY public.p1_b_idx\n\
             expand, alone: REINDEX INDEX CONCURRENTLY public.p2_b_idx\n"
        );
        assert_eq!(
            show(&plan(&catalog(SCHEMA), "REINDEX (VERBOSE) TABLE CONCURRENTLY p")),
            "expand, alone: REINDEX TABLE CONCURRENTLY public.p1\n\
             expand, alone: REINDEX TABLE CONCURRENTLY public.p2\n"
        );
        assert!(facts(&catalog(SCHEMA), "REINDEX INDEX t_b")[0].transaction);
        assert!(!facts(&catalog(SCHEMA), "REINDEX INDEX p_b")[0].transaction);
    }

    #[test]
    fn what_is_left_of_others_is_known_and_not_touched() {
        let schema = "CREATE TABLE t (a int); CREATE INDEX i ON t (a); CREATE INDEX i_ccnew1 ON t (a)";
        let mut known = catalog(schema);
        for relation in known.relations.values_mut() {
            relation.indexes.iter_mut().for_each(|index| index.valid = index.name.as_str() == "i");
        }
        let plan = plan(&known, "REINDEX TABLE t");
        assert!(plan.notices[0].message.contains("i_ccnew1"));
        assert!(matches!(&plan.steps[0].probe, Probe::Rebuilt { known, .. } if known.len() == 1));
        assert_eq!(plan.steps.len(), 1);
    }

    #[test]
    fn what_cannot_be_rebuilt_beside_writes() {
        for (sql, code) in [
            ("REINDEX TABLE t", Code::NoOnlineForm),
            ("REINDEX INDEX t_b_excl", Code::NoOnlineForm),
            ("REINDEX INDEX nothing", Code::WillFail),
            ("REINDEX TABLE nothing", Code::WillFail),
        ] {
            assert_eq!(refused(&catalog(SCHEMA), sql).0, code, "{sql}");
        }
    }
}
