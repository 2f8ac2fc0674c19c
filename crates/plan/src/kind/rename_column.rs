//! RENAME COLUMN: a second column under the new name, kept in step both ways until contract.
//!
//! As written, code that knows the old name fails from that instant, and code that knows the new one cannot run before. Instead a
//! second column comes, with two triggers that carry every write of the one into the other. Old code goes on, new code is deployed,
//! and both read what the other wrote. Indexes are built for the second column too, so that new code is not slow and can
//! use `ON CONFLICT`; constraints are not, because what the old column does not accept, the second one cannot hold.
//!
//! At contract the second column goes and the old one gets its name, in one short transaction: that is the statement as
//! written, run when nobody needs the old name any more. So constraints, foreign keys in both directions, indexes,
//! defaults, sequences, policies, views, privileges, statistics and the order of columns are what they would have been, no
//! value is copied twice, and undo gives the old name back without loss, before contract and after.

use std::collections::BTreeSet;

use crate::catalog::{Column, DependentKind, Index, Relation, RelationKind, TypeKind};
use crate::ddl;
use crate::ddl::index::How;
use crate::diagnostic::{Code, Refusal};
use crate::effect::Effect;
use crate::kind::shared::index::{Purpose, TreeBuild};
use crate::kind::shared::mirror::{self, Mirror};
use crate::kind::shared::will_fail::WillFail;
use crate::kind::shared::{alter, batch, index, tighten, tree};
use crate::kind::{Ctx, Kind, Online};
use crate::pg::lock::LockMode;
use crate::plan::{Action, Facts, LockClaim, Need, Phase, Probe, Step, Undo, Walk, WorkKind, Write};
use crate::sql::ident::{Ident, Name, literal};
use crate::sql::names::IndexSort;
use crate::sql::renamed;

/// See the module.
#[derive(Clone, Debug)]
pub struct RenameColumn {
    /// Table.
    pub table: Name,
    /// Column.
    pub column: Ident,
    /// New name.
    pub to: Ident,
    /// ONLY: fails where there are partitions.
    pub only: bool,
}

impl Kind for RenameColumn {
    fn name(&self) -> &'static str {
        "rename_column"
    }

    fn facts(&self, ctx: &Ctx) -> Facts {
        Facts {
            locks: tree::locks(ctx.logical, &self.table, LockMode::AccessExclusive),
            work: Vec::new(),
            transaction: true,
            breaks: vec![format!("running code that names {} of {} fails (42703)", self.column, self.table)],
            fails: self.check(ctx).err().map(Into::into),
        }
    }

    fn online(&self, ctx: &Ctx) -> Result<Online, Refusal> {
        let (table, column) = self.check(ctx)?;
        if table.new_here {
            return Ok(Online { steps: vec![self.at_once(ctx)], notices: Vec::new() });
        }
        alter::planned(table)?;
        self.refuse(ctx, column)?;
        let mirror = Mirror::new(ctx, table, column, &self.to)?;
        let mut steps = vec![self.add(ctx, column, &mirror)];
        steps.extend(self.fill(ctx));
        steps.push(self.agree(table, Phase::Validate, "new code reads the second column from here on"));
        steps.push(self.analyze(ctx));
        let built = self.indexes(ctx)?;
        let twins: BTreeSet<Name> = built
            .iter()
            .flat_map(|step| &step.provides)
            .filter_map(|effect| match effect {
                Effect::Index { table, index } => Some(table.sibling(index.name.clone())),
                _ => None,
            })
            .collect();
        steps.extend(built);
        steps.push(self.nothing_of_others(ctx, &twins));
        steps.push(self.agree(table, Phase::Contract, "what bypassed the triggers is found before the second column goes"));
        steps.push(self.last(ctx, &mirror, &twins));
        Ok(Online { steps, notices: self.notices(ctx, table, column, &mirror) })
    }

    fn effects(&self, _ctx: &Ctx) -> Vec<Effect> {
        vec![self.renamed()]
    }
}

impl RenameColumn {
    /// Source: `renameatt_internal` in src/backend/commands/tablecmds.c.
    fn check<'a>(&self, ctx: &Ctx<'a>) -> Result<(&'a Relation, &'a Column), WillFail> {
        let table = alter::table(ctx, &self.table)?;
        let column = alter::column(table, &self.column)?;
        let fails = |sqlstate, when: String, way_out: &str| Err(WillFail::new(sqlstate, when, way_out));
        if table.partition_of.is_some() {
            let when = format!("{} is a partition, and gets its columns from the partitioned table", self.table);
            return fails("42P16", when, "rename the column of the partitioned table");
        }
        if self.only && !table.partitions.is_empty() {
            let when = format!("column {} of {} must be renamed in its partitions too", self.column, self.table);
            return fails("42P16", when, "leave ONLY out");
        }
        if table.column(&self.to).is_some() || SYSTEM.contains(&self.to.as_str()) {
            let when = format!("column {} of {} exists already", self.to, self.table);
            return fails("42701", when, "choose another name");
        }
        Ok((table, column))
    }

    /// What has no form with two columns.
    fn refuse(&self, ctx: &Ctx, column: &Column) -> Result<(), Refusal> {
        let (name, table) = (&self.column, &self.table);
        let refuse = |code, reason: String, way_out: &str| Err(Refusal::new(code, reason, way_out));
        if ctx.logical.tree(table).iter().any(|relation| relation.partition_key.contains(name)) {
            return refuse(
                Code::NoOnlineForm,
                format!(
                    "{name} belongs to the partition key of {table}: PostgreSQL chooses a row's partition before any trigger could \
                     carry {} over",
                    self.to
                ),
                "give the new name in a view over the table, or allow it if no running code names the column",
            );
        }
        if column.new_here {
            return refuse(
                Code::SplitFile,
                format!("column {name} of {table} is made by this file, in steps of its own"),
                "make it under its final name, or rename it in a file of its own",
            );
        }
        if column.generated.is_some() {
            return refuse(
                Code::NoOnlineForm,
                format!("{name} of {table} is a generated column, which a trigger can neither read nor write"),
                "give the new name in a view over the table, or allow it if no running code names the column",
            );
        }
        let of_column = |name: &Name| [name.to_string(), name.name.to_string()].contains(&column.data_type);
        let domain = ctx.logical.types.values().find(|known| of_column(&known.name)).map(|known| &known.kind);
        if matches!(domain, Some(TypeKind::Domain { constrained, default }) if *constrained || *default) {
            return refuse(
                Code::NotYet,
                format!(
                    "{name} of {table} is of domain {}, whose constraints or default make ADD COLUMN rewrite the table",
                    column.data_type
                ),
                "give the new name in a view over the table, or allow it if no running code names the column",
            );
        }
        Ok(())
    }

    /// On a table that nobody uses yet.
    fn at_once(&self, ctx: &Ctx) -> Step {
        let back = self.rename(ctx, Phase::Expand, "takes back the new name", &self.to, &self.column);
        self.rename(ctx, Phase::Expand, "the table is new: nobody uses it yet", &self.column, &self.to)
            .undone_by(vec![back])
    }

    fn rename(&self, ctx: &Ctx, phase: Phase, why: &str, column: &Ident, to: &Ident) -> Step {
        Step::transaction(
            phase,
            format!("Rename column {column} of {} to {to}", self.table),
            why,
            vec![ddl::column::rename(&self.table, column, to)],
        )
        .locks(tree::locks(ctx.physical, &self.table, LockMode::AccessExclusive))
        .probe(Probe::Column { table: self.table.clone(), column: to.clone(), exists: true })
        .requires(Need::Column(self.table.clone(), column.clone()))
        .provides(Effect::ColumnRenamed { table: self.table.clone(), column: column.clone(), to: to.clone() })
    }

    fn renamed(&self) -> Effect {
        Effect::ColumnRenamed { table: self.table.clone(), column: self.column.clone(), to: self.to.clone() }
    }

    /// Column, triggers and rights in one transaction, so that no row is written without its second value.
    fn add(&self, ctx: &Ctx, column: &Column, mirror: &Mirror) -> Step {
        let (table, to) = (&self.table, &self.to);
        let collate = column.extras.collation.as_ref().map(|name| format!(" COLLATE {name}")).unwrap_or_default();
        let default = mirror.default().map(|default| format!(" DEFAULT {default}")).unwrap_or_default();
        let mut sql = vec![ddl::column::add(table, to, &format!("{}{collate}{default}", column.data_type))];
        sql.extend(ddl::column::grants(table, to, &column.extras.grants));
        sql.extend(mirror.create(ctx.physical));
        let second = Column {
            name: to.clone(),
            not_null: None,
            default: mirror.default().map(ToOwned::to_owned),
            identity: None,
            new_here: true,
            ..column.clone()
        };
        let mut gone = mirror.remove();
        gone.push(ddl::column::drop_if_exists(table, to));
        let mut undo = Step::transaction(
            Phase::Expand,
            format!("Drop column {to} of {table}"),
            format!("its values are in {}", self.column),
            gone,
        )
        .locks(tree::locks(ctx.physical, table, LockMode::AccessExclusive))
        .probe(self.second(false));
        undo.provides = mirror.goes();
        undo.provides.push(Effect::ColumnGone { table: table.clone(), column: to.clone() });
        let mut step = Step::transaction(
            Phase::Expand,
            format!("Add column {to} to {table}, kept in step with {}", self.column),
            "column and triggers arrive together: whichever of the two is written, the other follows",
            sql,
        )
        .locks(tree::locks(ctx.physical, table, LockMode::AccessExclusive))
        .probe(Probe::All { of: vec![self.second(true), mirror.probe(true)] })
        .undone_by(vec![undo])
        .requires(Need::Column(table.clone(), self.column.clone()))
        .requires(Need::NoColumn(table.clone(), to.clone()));
        step.provides.push(Effect::Column { table: table.clone(), column: second });
        step.provides.extend(mirror.appears());
        step
    }

    fn second(&self, exists: bool) -> Probe {
        Probe::Column { table: self.table.clone(), column: self.to.clone(), exists }
    }

    /// Rows that were there before the triggers.
    fn fill(&self, ctx: &Ctx) -> Vec<Step> {
        let alias = self.table.name.clone();
        let (old, new) = (format!("{alias}.{}", self.column), format!("{alias}.{}", self.to));
        let rows = batch::Rows {
            title: format!("Fill column {} of {} from {}", self.to, self.table, self.column),
            why: "rows that were there before the triggers get their second value".to_owned(),
            write: Write::Update {
                alias,
                unchanged: batch::unchanged(ctx, &self.table, &self.to, false),
                pending: differ(&old, &new),
                set: vec![(self.to.clone(), old)],
            },
            walk: Walk::Pages { stride: ctx.policy.stride },
            fire_triggers: false,
            undo: Undo::Nothing,
        };
        batch::steps(ctx.physical, &self.table, &rows)
    }

    /// Old and new are compared, row by row.
    fn agree(&self, table: &Relation, phase: Phase, why: &str) -> Step {
        let name = &table.name.name;
        let condition = differ(&format!("{name}.{}", self.column), &format!("{name}.{}", self.to));
        let mut step = Step::new(
            phase,
            format!("Prove that {} and {} of {} agree in every row", self.column, self.to, self.table),
            why,
            Action::Proof {
                query: tighten::violators(table, &condition),
                violation: format!("rows of {} where {} and {} differ", self.table, self.column, self.to),
            },
        );
        step = step.work(&self.table, WorkKind::Scan);
        step
    }

    /// New code's queries are planned by the second column's statistics.
    fn analyze(&self, ctx: &Ctx) -> Step {
        Step::new(
            Phase::Validate,
            format!("Gather statistics of column {} of {}", self.to, self.table),
            "without them new code's queries would be planned as if it held nothing",
            Action::Long { sql: format!("ANALYZE {} ({})", self.table, self.to) },
        )
        .locks(tree::locks(ctx.physical, &self.table, LockMode::ShareUpdateExclusive))
    }

    /// Every index that uses the column, for the second one.
    fn indexes(&self, ctx: &Ctx) -> Result<Vec<Step>, Refusal> {
        let mut steps = Vec::new();
        for relation in ctx.logical.tree(&self.table) {
            let own = relation.indexes.iter().filter(|i| !i.inherited && i.valid && i.uses.contains(&self.column));
            for index in own {
                let twin = self.twin(ctx, relation, index).ok_or_else(|| {
                    Refusal::new(
                        Code::NotYet,
                        format!("index {} of {} has a form that is not understood", index.name, relation.name),
                        "drop the index first, or allow it if no running code names the column",
                    )
                })?;
                steps.extend(self.build(ctx, relation, &twin));
            }
        }
        Ok(steps)
    }

    /// The same index over the second column. It is unique only where PostgreSQL checks that at once: elsewhere the old column's own
    /// does it, when it is time.
    fn twin(&self, ctx: &Ctx, relation: &Relation, index: &Index) -> Option<Index> {
        let definition = renamed::index(&index.definition, &self.column, &self.to)?;
        let body = ddl::index::body(&relation.name, &Index { definition, ..index.clone() }).map(ToOwned::to_owned)?;
        let content = format!("{} twin {} {}", ctx.migration, relation.name.sibling(index.name.clone()), self.to);
        let name = Ident::generated(&format!("{}_{}", index.name.as_str(), self.to.as_str()), &content);
        let unique = index.unique && index.immediate;
        let to = |column: &Ident| if *column == self.column { self.to.clone() } else { column.clone() };
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
    fn nothing_of_others(&self, ctx: &Ctx, ours: &BTreeSet<Name>) -> Step {
        let regclass = |name: &Name| format!("pg_catalog.to_regclass({})", literal(&name.to_string()));
        let tree: Vec<String> = ctx.logical.tree(&self.table).into_iter().map(|table| regclass(&table.name)).collect();
        let known = match ours.is_empty() {
            true => String::new(),
            false => format!(
                " AND NOT (d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid IN ({}))",
                ours.iter().map(regclass).collect::<Vec<_>>().join(", ")
            ),
        };
        let query = format!(
            "SELECT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) AS object \
             FROM pg_catalog.pg_depend AS d \
             JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid \
             WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid IN ({}) AND a.attname = {} \
             AND d.classid <> 'pg_catalog.pg_attrdef'::pg_catalog.regclass{known} LIMIT 5",
            tree.join(", "),
            literal(self.to.as_str()),
        );
        Step::new(
            Phase::Contract,
            format!("Prove that nothing else was made on column {} of {}", self.to, self.table),
            "it would go with the second column",
            Action::Proof {
                query,
                violation: format!(
                    "objects that were made on column {} of {} since expand: drop them, contract, and make them again",
                    self.to, self.table
                ),
            },
        )
    }

    /// The second column goes, and its name is free for the one that was there all the time.
    fn last(&self, ctx: &Ctx, mirror: &Mirror, twins: &BTreeSet<Name>) -> Step {
        let mut step = self.rename(
            ctx,
            Phase::Contract,
            "old code is gone; everything that hangs on the column stays, under the new name",
            &self.column,
            &self.to,
        );
        let mut sql = mirror.remove();
        sql.push(ddl::column::drop(&self.table, &self.to));
        sql.push(ddl::column::rename(&self.table, &self.column, &self.to));
        step.action = Action::Transaction { sql };
        let mode = LockMode::AccessExclusive;
        step.locks.extend(twins.iter().map(|twin| LockClaim { relation: twin.clone(), mode }));
        let gone = Effect::ColumnGone { table: self.table.clone(), column: self.to.clone() };
        step.provides.splice(0..0, mirror.goes().into_iter().chain([gone]));
        step.probe =
            Probe::Column { table: self.table.clone(), column: self.column.clone(), exists: false };
        let back = self.rename(ctx, Phase::Contract, "old code knows it by that name", &self.to, &self.column);
        step.undone_by(vec![back])
    }

    fn notices(&self, ctx: &Ctx, table: &Relation, column: &Column, mirror: &Mirror) -> Vec<(Code, String)> {
        let (old, new, name) = (&self.column, &self.to, &self.table);
        let mut notices = vec![
            (
                Code::Announce,
                format!(
                    "COPY {name} without a column list, INSERT … SELECT * and prepared SELECT * notice the second column {new} of \
                     {name}"
                ),
            ),
            (
                Code::Announce,
                format!(
                    "new code may name {new} of {name} once expand is done, not before; until contract a write of {old} also \
                     sets {new}, and the other way round; where one statement gives them different values, {new} counts"
                ),
            ),
        ];
        let fires = |relation: &&Relation| relation.triggers.iter().any(|trigger| trigger.update_of.contains(old));
        if ctx.logical.tree(name).iter().any(fires) {
            notices.push((
                Code::Announce,
                format!(
                    "until contract, triggers of {name} on UPDATE OF {old} do not fire for statements that name only {new}"
                ),
            ));
        }
        if column.default.is_some() && column.not_null.is_none() && mirror.default().is_none() {
            notices.push((
                Code::Announce,
                format!(
                    "until contract, a new row for which new code writes an explicit NULL into {new} of {name} gets the default of \
                     {old}: the trigger cannot tell it from a row that leaves it out"
                ),
            ));
        }
        if mirror.takes_turns() {
            notices.push((
                Code::Announce,
                format!(
                    "until contract, {old} and {new} of {name} are both unique; writers of one new key take turns by an advisory \
                     lock, so that upserts on either column do not fail on the other; a transaction that writes more than {} new \
                     keys takes no more locks, and an upsert of its others that meets another of the same key may fail (23505)",
                    mirror::TURNS
                ),
            ));
        } else if ctx.logical.tree(name).iter().flat_map(|t| &t.indexes).any(|i| i.unique && i.uses.contains(old)) {
            notices.push((
                Code::Breaks,
                format!(
                    "until contract, {old} and {new} of {name} are both unique: an upsert on one of them may fail on the other \
                     (23505) where two writers bring the same new key at once"
                ),
            ));
        }
        let published = |relation: &&Relation| {
            relation.dependents.iter().any(|d| d.kind == DependentKind::Publication && d.column.is_none())
        };
        if ctx.logical.tree(name).iter().any(published) {
            notices.push((
                Code::Breaks,
                format!("{name} is published: subscribers need column {new} before expand, as with ADD COLUMN"),
            ));
        }
        notices.extend(batch::trigger_notices(ctx, table, new));
        notices.push((
            Code::Breaks,
            format!("at contract: running code that names {old} of {name} fails (42703)"),
        ));
        notices
    }
}

/// Names that every table has. Source: `SysAtt` in src/backend/catalog/heap.c.
const SYSTEM: [&str; 6] = ["cmax", "cmin", "ctid", "tableoid", "xmax", "xmin"];

fn differ(one: &str, other: &str) -> String {
    format!("pg_catalog.record_image_ne(ROW({one}), ROW({other}))")
}
