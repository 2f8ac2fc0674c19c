//! DROP COLUMN: relax, soak, archive, drop.
//!
//! Old code reads and writes the column until contract; new code, which does not know it, writes rows beside it. At
//! contract the column is copied into an archive that a trigger holds true, the copy is proven, and the column goes.

use crate::catalog::{
    Column, Constraint, ConstraintKind, Dependent, DependentKind, Index, Relation, RelationKind, TypeKind,
};
use crate::ddl;
use crate::diagnostic::{Code, Refusal};
use crate::effect::{Effect, fold};
use crate::kind::drop_not_null::DropNotNull;
use crate::kind::shared::again::dropped_with;
use crate::kind::shared::archive::{self, Archive};
use crate::kind::shared::will_fail::{self, WillFail};
use crate::kind::shared::{alter, index, not_null, tree};
use crate::kind::{Ctx, Kind, Online};
use crate::pg::lock::LockMode;
use crate::plan::{Facts, LockClaim, Need, Phase, Probe, Step, Undo};
use crate::sql::ident::{Ident, Name};

/// See the module.
#[derive(Clone, Debug)]
pub struct DropColumn {
    /// Table.
    pub table: Name,
    /// Column.
    pub column: Ident,
    /// IF EXISTS
    pub if_exists: bool,
    /// CASCADE
    pub cascade: bool,
}

impl Kind for DropColumn {
    fn name(&self) -> &'static str {
        "drop_column"
    }

    fn facts(&self, ctx: &Ctx) -> Facts {
        let fails = self.check(ctx).err().map(Into::into);
        let Some(table) = ctx.logical.relation(&self.table).filter(|t| t.column(&self.column).is_some())
        else {
            return Facts { transaction: true, fails, ..Facts::default() };
        };
        Facts {
            locks: self.locks(ctx, table),
            transaction: true,
            breaks: vec![
                format!("running code that names {} of {} fails (42703)", self.column, self.table),
                format!("a prepared SELECT * on {} fails once per connection (0A000)", self.table),
            ],
            fails,
            ..Facts::default()
        }
    }

    fn online(&self, ctx: &Ctx) -> Result<Online, Refusal> {
        let Some((table, column)) = self.existing(ctx)? else { return Ok(Online::default()) };
        if table.new_here {
            return Ok(Online { steps: vec![self.at_once(ctx)], notices: Vec::new() });
        }
        self.refuse(ctx, table)?;
        let mut online = self.relax(ctx, column)?;
        let archive = match &ctx.directives.irreversible {
            Some(_) => None,
            None => Some(self.archive(ctx, table, column)?),
        };
        online.steps.extend(archive.iter().flat_map(|archive| archive.steps(ctx)));
        let (drops, notices) = self.indexes(ctx, table);
        online.notices.extend(notices);
        online.notices.extend(
            self.facts(ctx).breaks.into_iter().map(|felt| (Code::Breaks, format!("at contract: {felt}"))),
        );
        let last = self.last(ctx, table, column, archive.as_ref(), &drops);
        match &last.undo {
            Undo::Steps { loses: Some(loses), .. } => {
                online.notices.push((
                    Code::UndoLoses,
                    format!(
                        "after contract, undo brings {} of {} back, but {loses}",
                        self.column, self.table
                    ),
                ));
            }
            Undo::Impossible { why } => {
                online.notices.push((
                    Code::UndoLoses,
                    format!("after contract, nothing brings {} of {} back: {why}", self.column, self.table),
                ));
            }
            Undo::Steps { .. } | Undo::Nothing => {}
        }
        online.steps.extend(drops);
        online.steps.push(last);
        Ok(online)
    }

    fn effects(&self, ctx: &Ctx) -> Vec<Effect> {
        let exists =
            ctx.logical.relation(&self.table).is_some_and(|table| table.column(&self.column).is_some());
        if !exists {
            return Vec::new();
        }
        vec![Effect::ColumnGone { table: self.table.clone(), column: self.column.clone() }]
    }
}

impl DropColumn {
    /// The table and column; `None` where IF EXISTS finds nothing. What depends on the column is told in full.
    fn existing<'a>(&self, ctx: &Ctx<'a>) -> Result<Option<(&'a Relation, &'a Column)>, Refusal> {
        let dependents: Vec<&str> =
            self.dependents(ctx, false).iter().map(|dependent| dependent.description.as_str()).collect();
        if !dependents.is_empty() {
            let cascade = if self.cascade { "CASCADE would drop" } else { "it would fail because of" };
            return Err(Refusal::new(
                Code::HasDependents,
                format!(
                    "{cascade} what depends on {} of {}: {}",
                    self.column,
                    self.table,
                    dependents.join(", ")
                ),
                "change or drop what depends on it first, in statements of its own, and leave CASCADE out",
            ));
        }
        if let Some((child, key)) = self.incoming(ctx).first() {
            return Err(Refusal::new(
                Code::NotYet,
                format!(
                    "foreign key {} of {} refers to {} of {}",
                    key.name, child.name, self.column, self.table
                ),
                "drop the foreign key first",
            ));
        }
        Ok(self.check(ctx)?)
    }

    /// What is not planned yet.
    fn refuse(&self, ctx: &Ctx, table: &Relation) -> Result<(), Refusal> {
        alter::planned(table)?;
        if table.primary_key().is_some_and(|key| key.columns.contains(&self.column)) {
            return Err(Refusal::new(
                Code::NotYet,
                format!("{} belongs to the primary key of {}", self.column, self.table),
                "give the table another primary key first, or `allow not-yet` to drop it as written",
            ));
        }
        if ctx.directives.irreversible.is_some() {
            return Ok(());
        }
        let Some(column) = table.column(&self.column) else { return Ok(()) };
        let what = if column.generated.is_some() {
            "a generated column, which no undo computes anew without rewriting the table"
        } else if column.identity.is_some()
            || ctx.logical.sequences_of_column(&self.table, &self.column).next().is_some()
        {
            "a column with a sequence of its own, which would go with it"
        } else if self.constrained_domain(ctx, column) {
            "of a domain with constraints, which no undo adds again without rewriting the table"
        } else {
            return Ok(());
        };
        Err(Refusal::new(
            Code::NotYet,
            format!("{} of {} is {what}", self.column, self.table),
            "write `-- concertina:irreversible reason: …` above it to drop it without an archive",
        ))
    }

    fn constrained_domain(&self, ctx: &Ctx, column: &Column) -> bool {
        let base = column.data_type.trim_end_matches("[]");
        ctx.logical.types.values().any(|t| {
            matches!(t.kind, TypeKind::Domain { constrained: true, .. })
                && (t.name.to_string() == base || t.name.name.to_string() == base)
        })
    }

    /// On a table that nobody uses yet.
    fn at_once(&self, ctx: &Ctx) -> Step {
        let mut step = Step::transaction(
            Phase::Expand,
            format!("Drop column {} of {}", self.column, self.table),
            "the table is new: nobody uses it yet",
            vec![ddl::column::drop(&self.table, &self.column)],
        )
        .probe(self.probe())
        .requires(Need::Column(self.table.clone(), self.column.clone()));
        step.locks = self.facts(ctx).locks;
        step.provides = self.effects(ctx);
        step
    }

    /// New code may leave the column out only if it may be NULL or has a default.
    fn relax(&self, ctx: &Ctx, column: &Column) -> Result<Online, Refusal> {
        let needed = column.not_null.is_some()
            && column.default.is_none()
            && column.identity.is_none()
            && column.generated.is_none();
        if !needed {
            return Ok(Online::default());
        }
        let relax = DropNotNull { table: self.table.clone(), column: self.column.clone() };
        let mut online = relax.online(ctx)?;
        for step in &mut online.steps {
            "new code, which does not know the column, may leave it out".clone_into(&mut step.why);
        }
        Ok(online)
    }

    fn archive<'t>(
        &self,
        ctx: &Ctx,
        table: &'t Relation,
        column: &'t Column,
    ) -> Result<Archive<'t>, Refusal> {
        // The key must be there when the archive is made, and still when it is read.
        let now = ctx.physical.relation(&self.table).map(Relation::row_keys).unwrap_or_default();
        let key = table.row_keys().into_iter().find(|key| !key.contains(&self.column) && now.contains(key));
        match key {
            Some(key) => Ok(Archive::new(ctx, table, column, key)),
            None => Err(Refusal::new(
                Code::NoRowKey,
                format!("{} has no unique NOT NULL key to archive column {} by", self.table, self.column),
                "add one, or write `-- concertina:irreversible reason: …` above it to drop it without an archive",
            )),
        }
    }

    /// Indexes that would go with the column are dropped first, beside reads and writes; each step's undo builds its index
    /// again. Those of partitioned tables and behind constraints go with the column.
    fn indexes(&self, ctx: &Ctx, table: &Relation) -> (Vec<Step>, Vec<(Code, String)>) {
        let mut steps = Vec::new();
        let mut notices = Vec::new();
        for relation in ctx.logical.tree(&table.name) {
            for index in relation.indexes.iter().filter(|index| index.uses.contains(&self.column)) {
                if !index.inherited && (index.unique || index.uses.len() > 1) {
                    let also =
                        if index.unique { "it keeps rows unique" } else { "it also serves other columns" };
                    notices.push((
                        Code::Announce,
                        format!(
                            "index {} of {} goes with column {}: {also}",
                            index.name, relation.name, self.column
                        ),
                    ));
                }
                if self.drops(relation, index) {
                    let why = "it would go with the column, under the strong lock";
                    let mut step = index::drop(ctx.physical, &relation.name, index, Phase::Contract, why);
                    let why = "it went with the column";
                    let mut again = index::build(ctx.physical, &relation.name, index, Phase::Contract, why);
                    again.undo = Undo::Nothing;
                    let known = index.valid && ddl::index::body(&relation.name, index).is_some();
                    step.undo =
                        if known { Undo::Steps { steps: vec![again], loses: None } } else { Undo::Nothing };
                    steps.push(step);
                }
            }
        }
        (steps, notices)
    }

    fn drops(&self, relation: &Relation, index: &Index) -> bool {
        relation.kind == RelationKind::Table && !index.inherited && index.constraint.is_none()
    }

    /// The drop itself, with the archive's trigger, and what brings everything back.
    fn last(
        &self,
        ctx: &Ctx,
        table: &Relation,
        column: &Column,
        archive: Option<&Archive>,
        drops: &[Step],
    ) -> Step {
        let mut sql = archive.map(Archive::removal).unwrap_or_default();
        sql.push(ddl::column::drop(&self.table, &self.column));
        let why = match archive {
            Some(archive) => format!("its values are in {}", archive.name()),
            None => "nothing is kept, as `irreversible` says".to_owned(),
        };
        let before: Vec<&Effect> = drops.iter().flat_map(|step| &step.provides).collect();
        let dropped = |name: &Name| {
            before.iter().any(|effect| {
                matches!(effect, Effect::IndexGone { table, index } if table.sibling(index.clone()) == *name)
            })
        };
        let mut step = Step::transaction(
            Phase::Contract,
            format!("Drop column {} of {}", self.column, self.table),
            why,
            sql,
        )
        .locks(self.locks(ctx, table).into_iter().filter(|lock| !dropped(&lock.relation)))
        .probe(self.probe())
        .requires(Need::Column(self.table.clone(), self.column.clone()))
        .destroys();
        step.archived.extend(archive.map(Archive::archived));
        step.provides.extend(archive.map(Archive::trigger_gone));
        step.provides.extend(self.effects(ctx));
        step.undo = match archive {
            Some(archive) => self.undo(ctx, table, column, archive),
            None => Undo::Impossible {
                why: ctx.directives.irreversible.clone().unwrap_or_else(|| "nothing was kept".to_owned()),
            },
        };
        step
    }

    fn undo(&self, ctx: &Ctx, table: &Relation, column: &Column, archive: &Archive) -> Undo {
        let mut steps = archive.bring_back(ctx);
        let mut loses =
            vec!["as the last column, without comments, grants and statistics targets".to_owned()];
        // What the steps meet: the column is back, nullable.
        let back = Column { not_null: None, ..column.clone() };
        let met = fold(
            ctx.physical,
            &[
                Effect::ColumnGone { table: self.table.clone(), column: self.column.clone() },
                Effect::Column { table: self.table.clone(), column: back },
            ],
        );
        match &column.default {
            Some(default) if column.not_null.is_some() => {
                steps.extend(archive.fill_default(ctx, default));
                if !archive::is_literal(default) {
                    loses.push("rows written after contract get their default as of the undo".to_owned());
                }
                steps.extend(not_null::steps(&met, &self.table, &self.column, Phase::Contract));
            }
            _ => loses.push("rows written after contract get NULL".to_owned()),
        }
        let (again, lost) = dropped_with(ctx, table, &self.column);
        steps.extend(again);
        loses.extend(lost);
        let statistics =
            self.dependents(ctx, true).into_iter().filter(|d| d.kind == DependentKind::Statistics);
        loses.extend(statistics.map(|dependent| format!("{} is gone", dependent.description)));
        for step in &mut steps {
            step.undo = Undo::Nothing;
        }
        Undo::Steps { steps, loses: Some(loses.join("; ")) }
    }

    fn probe(&self) -> Probe {
        Probe::Column { table: self.table.clone(), column: self.column.clone(), exists: false }
    }

    /// Every lock of the bare DROP COLUMN: the table and its partitions, tables at the other end of foreign keys that go
    /// with the column, and the indexes and sequences that go.
    fn locks(&self, ctx: &Ctx, table: &Relation) -> Vec<LockClaim> {
        let mode = LockMode::AccessExclusive;
        let mut locks = Vec::new();
        for key in self.foreign_keys(table) {
            if let ConstraintKind::ForeignKey { table: referenced, .. } = &key.kind {
                locks.extend(tree::locks(ctx.logical, referenced, mode));
            }
        }
        locks.extend(tree::locks(ctx.logical, &self.table, mode));
        if self.cascade {
            for (child, _) in self.incoming(ctx) {
                locks.extend(tree::locks(ctx.logical, &child.name, mode));
            }
        }
        for relation in ctx.logical.tree(&self.table) {
            for index in relation.indexes.iter().filter(|index| index.uses.contains(&self.column)) {
                locks.push(LockClaim { relation: relation.name.sibling(index.name.clone()), mode });
            }
        }
        for sequence in ctx.logical.sequences_of_column(&self.table, &self.column) {
            locks.push(LockClaim { relation: sequence.name.clone(), mode });
        }
        let mut seen = std::collections::BTreeSet::new();
        locks.retain(|lock| seen.insert(lock.relation.clone()));
        locks
    }

    /// Foreign keys of the table that use the column.
    fn foreign_keys<'t>(&self, table: &'t Relation) -> impl Iterator<Item = &'t Constraint> {
        let column = self.column.clone();
        table.constraints.iter().filter(move |c| {
            matches!(c.kind, ConstraintKind::ForeignKey { .. }) && c.columns.contains(&column)
        })
    }

    /// Foreign keys of any table that reference the column.
    fn incoming<'a>(&self, ctx: &Ctx<'a>) -> Vec<(&'a Relation, &'a Constraint)> {
        ctx.logical.foreign_keys_to(&self.table, &self.column)
    }

    /// The table and column, if they exist; or what is certain to make the statement fail. Source: `ATExecDropColumn` in
    /// src/backend/commands/tablecmds.c.
    fn check<'a>(&self, ctx: &Ctx<'a>) -> Result<Option<(&'a Relation, &'a Column)>, WillFail> {
        let table = will_fail::table(ctx, &self.table)?;
        let Some(column) = table.column(&self.column) else {
            if self.if_exists {
                return Ok(None);
            }
            will_fail::columns(table, [&self.column])?;
            return Ok(None);
        };
        if table.partition_of.is_some() {
            return Err(WillFail::new(
                "42P16",
                format!("{} of {} belongs to the partitioned table", self.column, self.table),
                "drop it from the partitioned table",
            ));
        }
        for relation in ctx.logical.tree(&self.table) {
            if relation.partition_key.contains(&self.column) {
                return Err(WillFail::new(
                    "42P16",
                    format!("{} belongs to the partition key of {}", self.column, relation.name),
                    "a partition key cannot be dropped: copy the data into a new table",
                ));
            }
        }
        if !self.cascade
            && let Some(dependent) = self.dependents(ctx, false).first()
        {
            return Err(WillFail::new(
                "2BP01",
                format!("{} depends on {} of {}", dependent.description, self.column, self.table),
                "drop what depends on it first",
            ));
        }
        Ok(Some((table, column)))
    }

    /// What depends on the column, of the table or of a partition.
    fn dependents<'a>(&self, ctx: &Ctx<'a>, automatic: bool) -> Vec<&'a Dependent> {
        let tree = ctx.logical.tree(&self.table);
        let all = tree.into_iter().flat_map(|relation| &relation.dependents);
        all.filter(|d| d.automatic == automatic && d.column.as_ref() == Some(&self.column)).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::catalog::{Dependent, DependentKind};
    use crate::diagnostic::Code;
    use crate::kind::shared::proving::{catalog, plan};
    use crate::kind::shared::testing::{refused, show};
    use crate::plan::{Action, Phase, Undo};
    use crate::sql::ident::{Ident, Name};

    const SCHEMA: &str =
        "CREATE TABLE users (id bigint PRIMARY KEY, email text NOT NULL, age int DEFAULT 18 NOT NULL,
            n serial, CONSTRAINT sane CHECK (age > 0), UNIQUE (email, age));
        CREATE INDEX users_age ON users (age, email);
        CREATE TABLE posts (id int PRIMARY KEY, author bigint REFERENCES users);
        CREATE TABLE log (line text);
        CREATE TABLE p (id int PRIMARY KEY, c text) PARTITION BY RANGE (id);
        CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10)";

    #[test]
    fn archived_proven_dropped() {
        let plan = plan(&catalog(SCHEMA), "ALTER TABLE users DROP COLUMN email");
        let phases: Vec<Phase> = plan.steps.iter().map(|step| step.phase).collect();
        assert_eq!(phases[0], Phase::Expand, "it is relaxed first");
        assert!(phases[1..].iter().all(|phase| *phase == Phase::Contract));
        let shown = show(&plan);
        let last: Vec<&str> = shown.lines().rev().take(3).collect();
        assert_eq!(last[0], "contract: ALTER TABLE public.users DROP COLUMN email");
        assert!(
            last[1].starts_with("contract: DROP FUNCTION IF EXISTS concertina.archive_users_email_"),
            "{shown}"
        );
        assert!(matches!(&plan.steps[2].action, Action::Backfill(_)));
        assert!(matches!(&plan.steps[3].action, Action::Proof { .. }));
        assert!(plan.steps.last().is_some_and(|step| step.destroys));
        assert!(plan.notices.iter().any(|notice| notice.code == Code::UndoLoses));
    }

    #[test]
    fn with_a_default_nothing_is_relaxed_and_everything_comes_back() {
        let plan = plan(&catalog(SCHEMA), "ALTER TABLE users DROP COLUMN age");
        assert!(plan.steps.iter().all(|step| step.phase == Phase::Contract));
        let Some(Undo::Steps { steps, .. }) = plan.steps.last().map(|step| &step.undo) else {
            panic!("no undo")
        };
        let titles: Vec<&str> = steps.iter().map(|step| step.title.as_str()).collect();
        assert_eq!(
            titles,
            [
                "Add column age to public.users again",
                "Bring back column age of public.users",
                "Give new rows of public.users the default of column age",
                "Reject new NULLs in column age of public.users",
                "Check that no row of public.users has a NULL in column age",
                "Make column age of public.users NOT NULL",
                "Add CHECK sane to public.users, not yet valid",
                "Validate CHECK sane of public.users",
                "Build unique index users_email_age_key on public.users",
                "Make index users_email_age_key of public.users the unique constraint again",
            ]
        );
        assert!(
            show(&plan).contains("contract, alone: DROP INDEX CONCURRENTLY IF EXISTS public.users_age\n")
        );
    }

    #[test]
    fn archives_of_two_migrations_do_not_meet() {
        let archive = |name| {
            let known = catalog(SCHEMA);
            let source = crate::Source { name, text: "ALTER TABLE users DROP COLUMN email" };
            let plan =
                crate::plan(source, &known, &known, &crate::policy::Policy::default()).expect("planned");
            let Action::Transaction { sql } = &plan.steps[1].action else { panic!("{:?}", plan.steps[1]) };
            sql[0].clone()
        };
        assert_ne!(archive("0001_a"), archive("0002_b"));
    }

    #[test]
    fn irreversible_keeps_nothing() {
        let sql = "-- concertina: irreversible reason: nobody read it\nALTER TABLE log DROP COLUMN line";
        let plan = plan(&catalog(SCHEMA), sql);
        assert_eq!(show(&plan), "contract: ALTER TABLE public.log DROP COLUMN line\n");
        assert!(matches!(&plan.steps[0].undo, Undo::Impossible { why } if why == "nobody read it"));
    }

    #[test]
    fn what_is_refused() {
        let mut known = catalog(SCHEMA);
        let users = known.relations.get_mut(&Name::new("public", "users")).expect("users");
        users.dependents.push(Dependent {
            column: Some(Ident::new("email")),
            kind: DependentKind::View,
            description: "view grown_ups".to_owned(),
            automatic: false,
            anew: None,
        });
        for (sql, code, word) in [
            ("ALTER TABLE users DROP COLUMN email CASCADE", Code::HasDependents, "view grown_ups"),
            ("ALTER TABLE users DROP COLUMN id", Code::NotYet, "posts_author_fkey"),
            ("ALTER TABLE posts DROP COLUMN id", Code::NotYet, "primary key"),
            ("ALTER TABLE users DROP COLUMN n", Code::NotYet, "sequence"),
            ("ALTER TABLE log DROP COLUMN line", Code::NoRowKey, "irreversible"),
            ("ALTER TABLE p DROP COLUMN id", Code::WillFail, "42P16"),
            ("ALTER TABLE p1 DROP COLUMN c", Code::WillFail, "42P16"),
            ("ALTER TABLE users DROP COLUMN nothing", Code::WillFail, "42703"),
        ] {
            let (found, said) = refused(&known, sql);
            assert!(found == code && said.contains(word), "{sql}: {found} {said}");
        }
    }

    #[test]
    fn partitions_share_one_archive() {
        let plan = plan(&catalog(SCHEMA), "ALTER TABLE p DROP COLUMN c");
        assert!(plan.steps[0].locks.len() == 2 && plan.steps.len() == 4, "{}", show(&plan));
    }
}
