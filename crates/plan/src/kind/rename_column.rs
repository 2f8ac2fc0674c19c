//! RENAME COLUMN: a second column under the new name, kept in step both ways until contract.
//!
//! As written, code that knows the old name fails from that instant, and code that knows the new one cannot run before. Instead a
//! second column comes, with two triggers that carry every write of the one into the other. Old code goes on, new code is deployed,
//! and both read what the other wrote. Indexes are built for the second column too, so that new code is not slow and can
//! use `ON CONFLICT`; constraints are not, because what the old column does not accept, the second one cannot hold.
//!
//! An update that gives the two of a row different values keeps the one under the new name, and is counted: `concertina status` says how
//! many there were, so that the code that does it is looked for before contract. The count costs no row that writers would wait
//! for; it includes updates that were rolled back.
//!
//! At contract the second column goes and the old one gets its name, in one short transaction: that is the statement as
//! written, run when nobody needs the old name any more. So constraints, foreign keys in both directions, indexes,
//! defaults, sequences, policies, views, privileges, statistics and the order of columns are what they would have been, no
//! value is copied twice, and undo gives the old name back without loss, before contract and after.

use std::collections::BTreeSet;

use crate::catalog::{Column, Relation, TypeKind};
use crate::ddl;
use crate::diagnostic::{Code, Refusal};
use crate::effect::Effect;
use crate::kind::shared::double_write::DoubleWrites;
use crate::kind::shared::mirror::Mirror;
use crate::kind::shared::second::{self, Second};
use crate::kind::shared::will_fail::WillFail;
use crate::kind::shared::{alter, batch, tighten, tree};
use crate::kind::{Ctx, Kind, Online};
use crate::pg::lock::LockMode;
use crate::plan::{Action, Facts, LockClaim, Need, Phase, Probe, Step, WorkKind};
use crate::sql::ident::{Ident, Name};

mod alias_view;
mod notices;

use alias_view::AliasView;

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
        if ctx.directives.alias_view.is_some() {
            return Ok(AliasView::new(self, ctx, table, column)?.online(ctx));
        }
        alter::planned(table)?;
        self.refuse(ctx, column)?;
        let mirror = Mirror::new(ctx, table, column, &self.to)?;
        let counts = DoubleWrites::new(ctx, &self.table, &self.column, &self.to);
        let mut steps = vec![self.add(ctx, column, &mirror, &counts)];
        steps.extend(self.fill(ctx));
        steps.push(self.agree(table, Phase::Validate, "new code reads the second column from here on"));
        let second = Second { table: &self.table, of: &self.column, column: &self.to };
        steps.push(second.analyze(ctx));
        let built = second.indexes(ctx)?;
        let twins = second::names(&built);
        steps.extend(built);
        steps.push(second.nothing_of_others(ctx, &twins));
        steps.push(self.agree(
            table,
            Phase::Contract,
            "what bypassed the triggers is found before the second column goes",
        ));
        steps.push(self.last(ctx, &mirror, &counts, &twins));
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
            let when =
                format!("{} is a partition, and gets its columns from the partitioned table", self.table);
            return fails("42P16", when, "rename the column of the partitioned table");
        }
        if self.only && !table.partitions.is_empty() {
            let when =
                format!("column {} of {} must be renamed in its partitions too", self.column, self.table);
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
                BY_A_VIEW,
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
                format!(
                    "{name} of {table} is a generated column, which a trigger can neither read nor write"
                ),
                BY_A_VIEW,
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
                BY_A_VIEW,
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
        .provides(Effect::ColumnRenamed {
            table: self.table.clone(),
            column: column.clone(),
            to: to.clone(),
        })
    }

    fn renamed(&self) -> Effect {
        Effect::ColumnRenamed { table: self.table.clone(), column: self.column.clone(), to: self.to.clone() }
    }

    /// Column, triggers and rights in one transaction, so that no row is written without its second value.
    fn add(&self, ctx: &Ctx, column: &Column, mirror: &Mirror, counts: &DoubleWrites) -> Step {
        let (table, to) = (&self.table, &self.to);
        let collate =
            column.extras.collation.as_ref().map(|name| format!(" COLLATE {name}")).unwrap_or_default();
        let default = mirror.default().map(|default| format!(" DEFAULT {default}")).unwrap_or_default();
        let mut sql = vec![ddl::column::add(table, to, &format!("{}{collate}{default}", column.data_type))];
        sql.extend(ddl::column::grants(table, to, &column.extras.grants));
        sql.extend(mirror.create(ctx.physical));
        sql.extend(counts.create());
        let second = Column {
            name: to.clone(),
            not_null: None,
            default: mirror.default().map(ToOwned::to_owned),
            identity: None,
            new_here: true,
            ..column.clone()
        };
        let mut gone = mirror.remove();
        gone.extend(counts.remove());
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
        undo.provides.push(counts.goes());
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
        step.provides.push(counts.appears());
        step.counts = Some(counts.counted());
        step
    }

    fn second(&self, exists: bool) -> Probe {
        Probe::Column { table: self.table.clone(), column: self.to.clone(), exists }
    }

    /// Rows that were there before the triggers.
    fn fill(&self, ctx: &Ctx) -> Vec<Step> {
        let alias = &self.table.name;
        let (old, new) = (format!("{alias}.{}", self.column), format!("{alias}.{}", self.to));
        let by = batch::Filling {
            why: "rows that were there before the triggers get their second value",
            pending: differ(&old, &new),
            value: old,
        };
        batch::fill(ctx, &self.table, &self.to, &self.column, by)
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

    /// The second column goes, and its name is free for the one that was there all the time.
    fn last(&self, ctx: &Ctx, mirror: &Mirror, counts: &DoubleWrites, twins: &BTreeSet<Name>) -> Step {
        let mut step = self.rename(
            ctx,
            Phase::Contract,
            "old code is gone; everything that hangs on the column stays, under the new name",
            &self.column,
            &self.to,
        );
        let mut sql = mirror.remove();
        sql.extend(counts.remove());
        sql.push(ddl::column::drop(&self.table, &self.to));
        sql.push(ddl::column::rename(&self.table, &self.column, &self.to));
        step.action = Action::Transaction { sql };
        let mode = LockMode::AccessExclusive;
        step.locks.extend(twins.iter().map(|twin| LockClaim { relation: twin.clone(), mode }));
        let gone = Effect::ColumnGone { table: self.table.clone(), column: self.to.clone() };
        step.provides.splice(0..0, mirror.goes().into_iter().chain([counts.goes(), gone]));
        step.probe = Probe::Column { table: self.table.clone(), column: self.column.clone(), exists: false };
        let back =
            self.rename(ctx, Phase::Contract, "old code knows it by that name", &self.to, &self.column);
        step.undone_by(vec![back])
    }
}

const BY_A_VIEW: &str = "write `-- concertina:alias-view reason: …` above it: a view gives both names; or allow it if no running code names the \
     column";

/// Names that every table has. Source: `SysAtt` in src/backend/catalog/heap.c.
const SYSTEM: [&str; 6] = ["cmax", "cmin", "ctid", "tableoid", "xmax", "xmin"];

fn differ(one: &str, other: &str) -> String {
    format!("pg_catalog.record_image_ne(ROW({one}), ROW({other}))")
}

#[cfg(test)]
mod tests {
    use crate::diagnostic::Code;
    use crate::kind::shared::proving::{catalog, plan};
    use crate::kind::shared::testing::{refused, show};
    use crate::plan::{Phase, Undo};

    const SCHEMA: &str =
        "CREATE TABLE t (id int PRIMARY KEY, a text, b text UNIQUE DEFERRABLE, c int DEFAULT 1);
        CREATE UNIQUE INDEX t_lower ON t (lower(a)) INCLUDE (c) WHERE a <> 'a';
        CREATE TABLE p (id int, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
        CREATE TABLE p1 PARTITION OF p FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')";

    #[test]
    fn the_second_column_goes_and_the_first_takes_its_name() {
        let plan = plan(&catalog(SCHEMA), "ALTER TABLE t RENAME a TO z");
        let shown = show(&plan);
        let last: Vec<&str> = shown.lines().rev().take(2).collect();
        assert_eq!(
            last,
            [
                "contract: ALTER TABLE public.t RENAME COLUMN a TO z",
                "contract: ALTER TABLE public.t DROP COLUMN z",
            ]
        );
        assert!(shown.contains("ON public.t (lower(z)) INCLUDE (c) WHERE z <> 'a'"), "{shown}");
        assert!(plan.steps.iter().all(|step| !step.destroys));
        let Some(Undo::Steps { loses: None, steps }) = plan.steps.last().map(|step| &step.undo) else {
            panic!("undo loses something")
        };
        assert!(steps.len() == 1 && steps[0].phase == Phase::Contract);
    }

    #[test]
    fn what_is_checked_late_gets_an_index_that_checks_nothing() {
        let shown = show(&plan(&catalog(SCHEMA), "ALTER TABLE t RENAME b TO z"));
        assert!(shown.contains("validate, alone: CREATE INDEX CONCURRENTLY t_b_key_z_"), "{shown}");
        assert!(!shown.contains("advisory"), "{shown}");
    }

    #[test]
    fn writers_of_one_key_take_turns() {
        let shown = show(&plan(&catalog(SCHEMA), "ALTER TABLE t RENAME id TO z"));
        assert!(shown.contains("SECURITY DEFINER SET search_path = pg_catalog, pg_temp"), "{shown}");
        assert!(shown.contains("advisory"), "{shown}");
    }

    #[test]
    fn a_view_instead_of_a_second_column() {
        let catalog = catalog(SCHEMA);
        let shown = show(&plan(&catalog, "-- concertina:alias-view reason: x\nALTER TABLE t RENAME c TO z"));
        assert!(
            shown.contains("SELECT id, a, b, c, c AS z FROM public.t_") && !shown.contains("backfill"),
            "{shown}"
        );
        // Without its default: a row that leaves both names out would be given two values.
        assert!(!shown.contains("SET DEFAULT"), "{shown}");
        plan(&catalog, "-- concertina:alias-view reason: x\nALTER TABLE p RENAME at TO on_day");
        for (after, word) in [
            ("ALTER TABLE t ADD x int", "at contract only"),
            ("ALTER TABLE t RENAME a TO y", "at contract only"),
        ] {
            let sql = format!("-- concertina:alias-view reason: x\nALTER TABLE t RENAME c TO z;\n{after}");
            let (code, said) = refused(&catalog, &sql);
            assert!(code == Code::SplitFile && said.contains(word), "{after}: {said}");
        }
    }

    #[test]
    fn an_explicit_null_is_told_from_nothing() {
        let shown = show(&plan(&catalog(SCHEMA), "ALTER TABLE t RENAME c TO z"));
        assert!(shown.contains("ADD COLUMN z integer DEFAULT 1"), "{shown}");
        assert!(shown.contains("unset public.t.\"c\"%TYPE := (1);"), "{shown}");
    }

    #[test]
    fn what_is_refused() {
        for (sql, code, word) in [
            ("ALTER TABLE t RENAME a TO b", Code::WillFail, "42701"),
            ("ALTER TABLE t RENAME a TO ctid", Code::WillFail, "42701"),
            ("ALTER TABLE t RENAME x TO y", Code::WillFail, "42703"),
            ("ALTER TABLE p1 RENAME id TO y", Code::WillFail, "42P16"),
            ("ALTER TABLE ONLY p RENAME id TO y", Code::WillFail, "42P16"),
            ("ALTER TABLE p RENAME at TO y", Code::NoOnlineForm, "partition key"),
            ("ALTER TABLE t ADD d int; ALTER TABLE t RENAME d TO e", Code::SplitFile, "final name"),
            ("ALTER TABLE t RENAME a TO z; CREATE INDEX ON t (z)", Code::SplitFile, "t_z_idx"),
        ] {
            let (found, said) = refused(&catalog(SCHEMA), sql);
            assert!(found == code && said.contains(word), "{sql}: {found} {said}");
        }
    }
}
