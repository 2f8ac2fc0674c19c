//! A second column in the place of another: its indexes, its statistics, and what others made of it meanwhile.

use std::collections::BTreeSet;

use crate::catalog::{Index, Relation, RelationKind};
use crate::ddl;
use crate::ddl::index::How;
use crate::diagnostic::{Code, Refusal};
use crate::effect::Effect;
use crate::kind::Ctx;
use crate::kind::shared::double_write;
use crate::kind::shared::index::{self, Purpose, TreeBuild};
use crate::kind::shared::tree;
use crate::pg::lock::LockMode;
use crate::plan::{Action, Phase, Step};
use crate::sql::ident::{Ident, Name, literal};
use crate::sql::names::IndexSort;
use crate::sql::renamed;

/// The two columns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Second<'a> {
    /// Table.
    pub(crate) table: &'a Name,
    /// The column that was there.
    pub(crate) of: &'a Ident,
    /// The second one.
    pub(crate) column: &'a Ident,
}

/// The indexes that steps build.
pub(crate) fn names(steps: &[Step]) -> BTreeSet<Name> {
    let effects = steps.iter().flat_map(|step| &step.provides);
    effects
        .filter_map(|effect| match effect {
            Effect::Index { table, index } => Some(table.sibling(index.name.clone())),
            _ => None,
        })
        .collect()
}

/// What is made on a column of the table or of its partitions, described, but for its default and what the conditions leave out.
pub(crate) fn hang_on(ctx: &Ctx, table: &Name, column: &Ident, but: &str) -> String {
    let tree: Vec<String> = ctx.logical.tree(table).into_iter().map(|table| regclass(&table.name)).collect();
    format!(
        "SELECT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) AS object \
         FROM pg_catalog.pg_depend AS d \
         JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid \
         WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid IN ({}) AND a.attname = {} \
         AND d.classid <> 'pg_catalog.pg_attrdef'::pg_catalog.regclass {but} LIMIT 5",
        tree.join(", "),
        literal(column.as_str()),
    )
}

/// The oid of a relation; NULL where there is none of this name.
pub(crate) fn regclass(name: &Name) -> String {
    format!("pg_catalog.to_regclass({})", literal(&name.to_string()))
}

impl Second<'_> {
    /// New code's queries are planned by the second column's statistics.
    pub(crate) fn analyze(&self, ctx: &Ctx) -> Step {
        Step::new(
            Phase::Validate,
            format!("Gather statistics of column {} of {}", self.column, self.table),
            "without them new code's queries would be planned as if it held nothing",
            Action::Long { sql: format!("ANALYZE {} ({})", self.table, self.column) },
        )
        .locks(tree::locks(ctx.physical, self.table, LockMode::ShareUpdateExclusive))
    }

    /// Every index that uses the column, for the second one.
    pub(crate) fn indexes(&self, ctx: &Ctx) -> Result<Vec<Step>, Refusal> {
        let twins = self.twins(ctx)?;
        Ok(twins.iter().flat_map(|(relation, _, twin)| self.build(ctx, relation, twin)).collect())
    }

    /// Those indexes, each with its table and the one over the second column.
    pub(crate) fn twins<'c>(&self, ctx: &Ctx<'c>) -> Result<Vec<(&'c Relation, &'c Index, Index)>, Refusal> {
        let mut twins = Vec::new();
        for relation in ctx.logical.tree(self.table) {
            let own = relation.indexes.iter().filter(|i| !i.inherited && i.valid && i.uses.contains(self.of));
            for index in own {
                let twin = self.twin(ctx, relation, index).ok_or_else(|| {
                    Refusal::new(
                        Code::NotYet,
                        format!(
                            "index {} of {} has a form that is not understood",
                            index.name, relation.name
                        ),
                        "drop the index first, or allow it if no running code names the column",
                    )
                })?;
                twins.push((relation, index, twin));
            }
        }
        Ok(twins)
    }

    /// The same index over the second column. It is unique only where PostgreSQL checks that at once: elsewhere the old column's own
    /// does it, when it is time.
    fn twin(&self, ctx: &Ctx, relation: &Relation, index: &Index) -> Option<Index> {
        let definition = renamed::index(&index.definition, self.of, self.column)?;
        let body = ddl::index::body(&relation.name, &Index { definition, ..index.clone() })
            .map(ToOwned::to_owned)?;
        let content =
            format!("{} twin {} {}", ctx.migration, relation.name.sibling(index.name.clone()), self.column);
        let name = Ident::generated(&format!("{}_{}", index.name.as_str(), self.column.as_str()), &content);
        let unique = index.unique && index.immediate;
        let to = |column: &Ident| if column == self.of { self.column.clone() } else { column.clone() };
        Some(Index {
            columns: index.columns.iter().map(|key| key.as_ref().map(to)).collect(),
            include: index.include.iter().map(to).collect(),
            uses: index.uses.iter().map(to).collect(),
            unique,
            primary: false,
            exclusion: false,
            immediate: true,
            constraint: None,
            definition: ddl::index::create(&name, &relation.name, unique, How::Plain, &body),
            name,
            ..index.clone()
        })
    }

    fn build(&self, ctx: &Ctx, relation: &Relation, twin: &Index) -> Vec<Step> {
        let why = "new code looks rows up by the new name";
        if relation.kind != RelationKind::PartitionedTable {
            return vec![index::build(ctx.physical, &relation.name, twin, Phase::Validate, why)];
        }
        let branches = ddl::index::branches(ctx.physical, &relation.name, twin, IndexSort::Plain);
        let purpose = Purpose::Index;
        let build = TreeBuild {
            catalog: ctx.physical,
            table: &relation.name,
            index: twin,
            branches: &branches,
            purpose,
            phase: Phase::Validate,
        };
        build.steps()
    }

    /// Whatever was made on the second column since expand would go with it.
    pub(crate) fn nothing_of_others(&self, ctx: &Ctx, ours: &BTreeSet<Name>) -> Step {
        let known = match ours.is_empty() {
            true => String::new(),
            false => format!(
                " AND NOT (d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid IN ({}))",
                ours.iter().map(regclass).collect::<Vec<_>>().join(", ")
            ),
        };
        let but = format!(
            "AND NOT (d.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND EXISTS \
             (SELECT FROM pg_catalog.pg_trigger AS t WHERE t.oid = d.objid AND {})){known}",
            double_write::is_ours_sql("t.tgname::pg_catalog.text"),
        );
        let query = hang_on(ctx, self.table, self.column, &but);
        Step::new(
            Phase::Contract,
            format!("Prove that nothing else was made on column {} of {}", self.column, self.table),
            "it would go with the second column",
            Action::Proof {
                query,
                violation: format!(
                    "objects that were made on column {} of {} since expand: drop them, contract, and make them again",
                    self.column, self.table
                ),
            },
        )
    }
}
