//! ALTER COLUMN TYPE: in place where the rows stay as they are stored.
//!
//! A wider `varchar`, `varchar` to `text`, a higher precision: PostgreSQL only changes its catalog, and so that is what is
//! done, in one short lock. The planner forgets what it knew of the values, so statistics are gathered anew at once.
//!
//! Every other change of type rewrites the table and all its indexes under ACCESS EXCLUSIVE as written; or the rows stay, but under
//! that lock an index with an expression or a predicate over the column is built anew, or a CHECK is proven anew. Instead a second column of the
//! new type is kept in step by a trigger and filled; indexes, NOT NULL, CHECKs and foreign keys in both directions are
//! prepared on it; then `switch` lets the two change places under the one name, in one short transaction. From there on what is written
//! is carried back into the column that was there, so that undo loses nothing; contract drops it.
//!
//! Rows that are there and cannot be converted stop expand, named, before anything is changed. Where running code writes such a value later,
//! its write succeeds, and the row waits in quarantine: `concertina quarantine` shows and repairs it, and the switch does not go on without.
//!
//! A default that the file drops before the change and sets after it changes at the same moment.
//!
//! `-- concertina:down COLUMN = EXPR` says how, where USING is more than a cast; `-- concertina:allow rewrites reason: …` runs the
//! statement as written, for a table that is small.

use crate::catalog::{Column, Constraint, ConstraintKind, Dependent, DependentKind, Index, Relation};
use crate::diagnostic::{Code, Refusal};
use crate::effect::Effect;
use crate::kind::shared::will_fail::WillFail;
use crate::kind::shared::{alter, second::Second, tree};
use crate::kind::{Ctx, Kind, Online};
use crate::pg::lock::LockMode;
use crate::pg::retype;
use crate::plan::{Facts, LockClaim, Need, Phase, Step, Undo, Work, WorkKind};
use crate::sql::expr::Expr;
use crate::sql::ident::{Ident, Name};

mod conversion;
mod new_default;
mod shadow;
mod swap;

pub use new_default::NewDefault;

/// See the module.
#[derive(Clone, Debug)]
pub struct ChangeType {
    /// Table.
    pub table: Name,
    /// Column.
    pub column: Ident,
    /// Type, as `format_type` would print it where it is PostgreSQL's own.
    pub data_type: String,
    /// Type as written.
    pub written: String,
    /// COLLATE clause.
    pub collate: Option<String>,
    /// USING
    pub using: Option<Expr>,
    /// What the file says of the column's default, before and after it.
    pub default: NewDefault,
}

impl Kind for ChangeType {
    fn name(&self) -> &'static str {
        "change_type"
    }

    fn facts(&self, ctx: &Ctx) -> Facts {
        let (table, column) = match self.check(ctx) {
            Ok(found) => found,
            Err(failure) => {
                return Facts { transaction: true, fails: Some(failure.into()), ..Facts::default() };
            }
        };
        let work = self.work(ctx, table, column);
        let mode = LockMode::AccessExclusive;
        let mut locks = tree::locks(ctx.logical, &self.table, mode);
        for other in self.partners(ctx) {
            if !locks.iter().any(|lock| lock.relation == other) {
                locks.push(LockClaim { relation: other, mode });
            }
        }
        if work.iter().any(|work| work.what == WorkKind::Rewrite) {
            for relation in ctx.logical.tree(&self.table) {
                let names = relation.indexes.iter().map(|index| relation.name.sibling(index.name.clone()));
                locks.extend(names.map(|relation| LockClaim { relation, mode }));
            }
        }
        Facts { locks, work, transaction: true, breaks: vec![self.felt()], fails: None }
    }

    fn online(&self, ctx: &Ctx) -> Result<Online, Refusal> {
        let (table, column) = self.check(ctx)?;
        if table.new_here {
            return self.with_default(ctx, self.alter(ctx, "the table is new: nobody uses it yet"));
        }
        alter::planned(table)?;
        if column.new_here {
            return Err(Refusal::new(
                Code::SplitFile,
                format!("column {} of {} is made by this file, in steps of its own", self.column, self.table),
                "make it with its final type, or change the type in a file of its own",
            ));
        }
        if let Some(takes) = self.takes_long(ctx, column) {
            if ctx.directives.allows(Code::Rewrites) {
                return Err(self.rewrites(column, &takes));
            }
            return shadow::online(self, ctx, table, column);
        }
        let why = "the rows stay as they are stored: only the catalog changes";
        let Online { mut steps, mut notices } = self.with_default(ctx, self.alter(ctx, why))?;
        if self.changes(column) {
            let second = Second { table: &self.table, of: &self.column, column: &self.column };
            let mut analyze = second.analyze(ctx);
            "PostgreSQL forgets what it knew of the values when their type changes"
                .clone_into(&mut analyze.why);
            steps.push(analyze);
        }
        notices.push((Code::Breaks, self.felt()));
        if let Undo::Impossible { why } = &steps[0].undo {
            notices.push((
                Code::UndoLoses,
                format!("nothing takes the new type of {} back: {why}", self.column),
            ));
        }
        Ok(Online { steps, notices })
    }

    fn effects(&self, ctx: &Ctx) -> Vec<Effect> {
        let mut effects = match self.check(ctx) {
            Ok((table, column)) if self.is_replaced(ctx, table, column) => {
                let (table, column) = (self.table.clone(), self.column.clone());
                vec![Effect::ColumnReplaced { table, column, data_type: self.data_type.clone() }]
            }
            Ok((_, column)) if self.changes(column) => vec![self.effect(&self.data_type)],
            _ => Vec::new(),
        };
        effects.extend(self.default.kind().map(|kind| kind.effects(ctx)).into_iter().flatten());
        effects
    }
}

impl ChangeType {
    /// Source: `ATPrepAlterColumnType` and `RememberAllDependentForRebuilding` in src/backend/commands/tablecmds.c.
    fn check<'a>(&self, ctx: &Ctx<'a>) -> Result<(&'a Relation, &'a Column), WillFail> {
        let table = alter::table(ctx, &self.table)?;
        let column = alter::column(table, &self.column)?;
        let (name, on) = (&self.column, &self.table);
        if table.partition_of.is_some() {
            return Err(WillFail::new(
                "42P16",
                format!("{on} is a partition, and gets its columns from the partitioned table"),
                "change the column of the partitioned table",
            ));
        }
        let tree = ctx.logical.tree(on);
        if tree.iter().any(|relation| relation.partition_key.contains(name)) {
            return Err(WillFail::new(
                "42P16",
                format!("{name} belongs to the partition key of {on}"),
                "a partition key keeps its type: copy the data into a new table",
            ));
        }
        let fails = |dependent: &&Dependent| {
            let kind = matches!(
                dependent.kind,
                DependentKind::View
                    | DependentKind::Policy
                    | DependentKind::Trigger
                    | DependentKind::Function
                    | DependentKind::GeneratedColumn
                    | DependentKind::Publication
            );
            kind && dependent.column.as_ref() == Some(name)
        };
        if let Some(dependent) = tree.iter().flat_map(|relation| &relation.dependents).find(fails) {
            // Source: `RememberAllDependentForRebuilding`, `ATExecAlterColumnType`.
            let generated = dependent.kind == DependentKind::GeneratedColumn;
            return Err(WillFail::new(
                if generated { "42601" } else { "0A000" },
                format!("{} depends on {name} of {on}", dependent.description),
                "drop it and make it again after the change, in statements of their own",
            ));
        }
        let of_integers = |data_type: &str| matches!(data_type, "smallint" | "integer" | "bigint");
        if column.identity.is_some() && !of_integers(&self.data_type) {
            // Source: `ATParseTransformCmd` makes an ALTER SEQUENCE … AS of it.
            return Err(WillFail::new(
                "22023",
                format!("{name} of {on} is an identity column, which must be smallint, integer or bigint"),
                "drop its identity first",
            ));
        }
        self.default_fails(column)?;
        Ok((table, column))
    }

    /// It ends as the last column. Whether a refusal is lifted, so that it runs as written, only the plan knows.
    fn is_replaced(&self, ctx: &Ctx, table: &Relation, column: &Column) -> bool {
        !table.new_here
            && !ctx.directives.allows(Code::Rewrites)
            && self.takes_long(ctx, column).is_some()
            && (ctx.directives.allow.is_empty() || self.online(ctx).is_ok())
    }

    /// What takes long under the strong lock as written; `None`: nothing does.
    fn takes_long(&self, ctx: &Ctx, column: &Column) -> Option<String> {
        let table = &self.table;
        if !self.in_place(column) {
            return Some(format!("rewrites {table} and all its indexes"));
        }
        if !self.changes(column) {
            return None;
        }
        if let Some((relation, index, why)) = self.rebuilt(ctx) {
            return Some(format!(
                "leaves the rows of {table} as they are, but builds index {} of {} anew, which {why},",
                index.name, relation.name
            ));
        }
        let check = self.proven_anew(ctx)?;
        Some(format!("leaves the rows of {table} as they are, but proves CHECK {} anew", check.name))
    }

    fn changes(&self, column: &Column) -> bool {
        column.data_type != self.data_type
    }

    /// Nothing but the catalog changes, as far as the column itself goes.
    fn in_place(&self, column: &Column) -> bool {
        self.collate.is_none() && self.rows_stay(column)
    }

    fn rows_stay(&self, column: &Column) -> bool {
        let trivial = self.using.as_ref().is_none_or(|using| {
            let written = using.text.replace(char::is_whitespace, "");
            let cast = format!("{}::{}", self.column, self.written).replace(char::is_whitespace, "");
            written == self.column.to_string() || written == cast
        });
        trivial && retype::stored_alike(&column.data_type, &self.data_type)
    }

    fn work(&self, ctx: &Ctx, table: &Relation, column: &Column) -> Vec<Work> {
        if table.new_here {
            return Vec::new();
        }
        let rows = |what| tree::work(ctx.logical, &self.table, what);
        if !self.rows_stay(column) {
            let mut work = rows(WorkKind::Rewrite);
            // Foreign keys over the column are proven anew.
            for partner in self.partners(ctx) {
                let scans = tree::work(ctx.logical, &partner, WorkKind::Scan);
                work.extend(scans.into_iter().filter(|scan| scan.relation != self.table));
            }
            return work;
        }
        let mut work = Vec::new();
        if self.changes(column) || self.collate.is_some() {
            let orders_otherwise = || {
                let mut indexes = ctx.logical.tree(&self.table).into_iter().flat_map(|table| &table.indexes);
                self.collate.is_some() && indexes.any(|index| index.uses.contains(&self.column))
            };
            if self.rebuilt(ctx).is_some() || orders_otherwise() {
                work.extend(rows(WorkKind::IndexBuild));
            }
            if self.proven_anew(ctx).is_some() {
                work.extend(rows(WorkKind::Scan));
            }
        }
        work
    }

    /// Tables at the other end of foreign keys over the column, which are made anew.
    fn partners(&self, ctx: &Ctx) -> Vec<Name> {
        let own = ctx.logical.relation(&self.table).into_iter().flat_map(|table| &table.constraints);
        let to = own.filter(|key| key.columns.contains(&self.column)).filter_map(|key| match &key.kind {
            ConstraintKind::ForeignKey { table, .. } => Some(table.clone()),
            _ => None,
        });
        let from = ctx.logical.foreign_keys_to(&self.table, &self.column).into_iter();
        to.chain(from.map(|(child, _)| child.name.clone())).collect()
    }

    /// An index that is built anew although the rows stay, with the reason. Source: `CheckIndexCompatible` in
    /// src/backend/commands/indexcmds.c; that partitions' indexes are built anew was measured on 15, and is taken for granted elsewhere.
    fn rebuilt<'a>(&self, ctx: &Ctx<'a>) -> Option<(&'a Relation, &'a Index, &'static str)> {
        let tree = ctx.logical.tree(&self.table);
        let partitioned = tree.len() > 1;
        let column = ctx.logical.relation(&self.table).and_then(|table| table.column(&self.column));
        let other = column.is_some_and(|column| !retype::same_operators(&column.data_type, &self.data_type));
        let why = |index: &Index| {
            if index.columns.iter().any(Option::is_none) {
                Some("has an expression")
            } else if index.partial {
                Some("has a predicate")
            } else if index.exclusion {
                Some("excludes")
            } else if other {
                Some("compares by other operators then")
            } else if partitioned {
                Some("belongs to a partition tree")
            } else {
                (!index.valid).then_some("is not valid")
            }
        };
        tree.into_iter().find_map(|relation| {
            let mut indexes = relation.indexes.iter().filter(|index| index.uses.contains(&self.column));
            indexes.find_map(|index| why(index).map(|why| (relation, index, why)))
        })
    }

    fn proven_anew<'a>(&self, ctx: &Ctx<'a>) -> Option<&'a Constraint> {
        let check = |constraint: &&Constraint| {
            constraint.kind == ConstraintKind::Check
                && constraint.validated
                && constraint.columns.contains(&self.column)
        };
        ctx.logical.tree(&self.table).into_iter().find_map(|relation| relation.constraints.iter().find(check))
    }

    fn rewrites(&self, column: &Column, takes: &str) -> Refusal {
        Refusal::new(
            Code::Rewrites,
            format!(
                "{} to {}: the change of {}'s type {takes} under ACCESS EXCLUSIVE",
                column.data_type, self.data_type, self.column
            ),
            "leave `allow rewrites` out: then it is done online",
        )
    }

    fn alter(&self, ctx: &Ctx, why: &str) -> Step {
        let facts = self.facts(ctx);
        let mut step = Step::transaction(
            Phase::Expand,
            format!("Change column {} of {} to {}", self.column, self.table, self.data_type),
            why,
            vec![self.statement(&self.written, self.using.as_ref())],
        )
        .locks(facts.locks.clone())
        .requires(Need::Column(self.table.clone(), self.column.clone()));
        step.provides = self.effects(ctx);
        let Some(column) = ctx.logical.relation(&self.table).and_then(|table| table.column(&self.column))
        else {
            return step;
        };
        if !self.changes(column) {
            return step;
        }
        let new = ctx.logical.relation(&self.table).is_some_and(|table| table.new_here);
        let back = if new || retype::stored_alike(&self.data_type, &column.data_type) {
            let back = Step::transaction(
                Phase::Expand,
                format!("Change column {} of {} back to {}", self.column, self.table, column.data_type),
                "the rows stay as they are stored",
                vec![self.statement(&column.data_type, None)],
            )
            .locks(facts.locks)
            .provides(self.effect(&column.data_type));
            Undo::Steps { steps: vec![back], loses: None }
        } else {
            let why = format!(
                "{} back to {} would rewrite the table under ACCESS EXCLUSIVE, and old code does not mind the wider type",
                self.data_type, column.data_type
            );
            Undo::Impossible { why }
        };
        step.undo(back)
    }

    fn statement(&self, data_type: &str, using: Option<&Expr>) -> String {
        let collate = self.collate.as_ref().map(|clause| format!(" {clause}")).unwrap_or_default();
        let using = using.map(|using| format!(" USING {}", using.text)).unwrap_or_default();
        format!("ALTER TABLE {} ALTER COLUMN {} TYPE {data_type}{collate}{using}", self.table, self.column)
    }

    fn effect(&self, data_type: &str) -> Effect {
        let data_type = data_type.to_owned();
        Effect::ColumnType { table: self.table.clone(), column: self.column.clone(), data_type }
    }

    fn felt(&self) -> String {
        format!(
            "a prepared statement that returns {} of {} fails once per connection (0A000: cached plan must not change result type)",
            self.column, self.table
        )
    }
}

#[cfg(test)]
mod tests {
    use crate::diagnostic::Code;
    use crate::kind::shared::proving::{catalog, plan};
    use crate::kind::shared::testing::{refused, show};
    use crate::plan::{Phase, Undo};

    const SCHEMA: &str =
        "CREATE TABLE t (id int PRIMARY KEY, a varchar(10) UNIQUE, b text, c varchar(5), d varchar(5), e timestamp,
            CHECK (d <> ''));
        CREATE TABLE y (a int, b int, c int);
        CREATE INDEX y_both ON y (a, b);
        CREATE TABLE x (n int, u int UNIQUE DEFERRABLE, i int GENERATED ALWAYS AS IDENTITY, EXCLUDE (n WITH =));
        CREATE INDEX ON t (lower(c));
        CREATE TABLE z (a text DEFAULT '1', i int DEFAULT 0)";

    #[test]
    fn in_place_and_back_where_that_is_in_place_too() {
        let one = plan(&catalog(SCHEMA), "ALTER TABLE t ALTER a TYPE varchar(20)");
        assert_eq!(
            show(&one),
            "expand: ALTER TABLE public.t ALTER COLUMN a TYPE varchar(20)\nvalidate, long: ANALYZE public.t (a)\n"
        );
        assert!(matches!(&one.steps[0].undo, Undo::Impossible { .. }));
        let two = plan(&catalog(SCHEMA), "ALTER TABLE t ALTER b TYPE varchar USING b");
        assert!(matches!(&two.steps[0].undo, Undo::Steps { loses: None, .. }));
        assert!(two.notices.iter().all(|notice| notice.code != Code::UndoLoses));
    }

    #[test]
    fn the_same_type_is_no_change() {
        let same = plan(&catalog(SCHEMA), "ALTER TABLE t ALTER b TYPE text");
        assert!(same.steps.len() == 1 && same.steps[0].provides.is_empty());
    }

    #[test]
    fn a_rewrite_becomes_a_second_column_that_changes_places() {
        for sql in [
            "ALTER TABLE t ALTER id TYPE bigint",
            "ALTER TABLE t ALTER a TYPE varchar(9)",
            "ALTER TABLE t ALTER c TYPE text",
            "ALTER TABLE t ALTER d TYPE text",
            "ALTER TABLE t ALTER a TYPE text COLLATE \"C\"",
            "ALTER TABLE t ALTER b TYPE int USING (b)::int",
            "-- concertina:down a = upper(a)\nALTER TABLE t ALTER a TYPE text USING lower(a)",
            "-- concertina:irreversible reason: x\nALTER TABLE t ALTER a TYPE text USING lower(a)",
        ] {
            let planned = plan(&catalog(SCHEMA), sql);
            let switch: Vec<_> = planned.steps.iter().filter(|step| step.phase == Phase::Switch).collect();
            assert!(switch.last().is_some_and(|step| step.title.contains("change places")), "{sql}");
            assert!(
                planned
                    .steps
                    .last()
                    .is_some_and(|step| step.title.starts_with("Drop column concertina_old_"))
            );
            let given_up = sql.contains("irreversible");
            assert_eq!(matches!(switch[switch.len() - 1].undo, Undo::Impossible { .. }), given_up, "{sql}");
        }
    }

    #[test]
    fn a_conversion_that_may_fail_is_tried_first() {
        let shown = show(&plan(&catalog(SCHEMA), "ALTER TABLE t ALTER a TYPE varchar(9)"));
        let first: Vec<&str> = shown.lines().filter(|line| line.contains("(concertina.try_a_")).collect();
        assert!(first.iter().any(|line| line.starts_with("expand, proof")), "{shown}");
        let safe = show(&plan(&catalog(SCHEMA), "ALTER TABLE t ALTER id TYPE bigint"));
        assert!(!safe.contains("expand, proof"), "{safe}");
    }

    #[test]
    fn two_columns_of_one_table() {
        let both =
            plan(&catalog(SCHEMA), "ALTER TABLE y ALTER a TYPE bigint; ALTER TABLE y ALTER c TYPE bigint");
        let swaps = both.steps.iter().filter(|step| step.title.contains("change places"));
        assert_eq!(swaps.count(), 2);
    }

    #[test]
    fn as_written_where_that_is_allowed() {
        let sql = "-- concertina:allow rewrites reason: it is small\nALTER TABLE t ALTER id TYPE bigint";
        assert_eq!(show(&plan(&catalog(SCHEMA), sql)), "expand: ALTER TABLE t ALTER id TYPE bigint\n");
    }

    #[test]
    fn what_is_refused() {
        for (sql, code, word) in [
            ("ALTER TABLE t ALTER a TYPE text USING lower(a)", Code::NoWayBack, "concertina:down a"),
            ("ALTER TABLE t ALTER b TYPE int", Code::NotYet, "USING b::int"),
            ("ALTER TABLE t ALTER e TYPE timestamptz", Code::NotBatchable, "TimeZone"),
            (
                "ALTER TABLE t ALTER e TYPE timestamptz USING e::timestamptz",
                Code::NotBatchable,
                "AT TIME ZONE",
            ),
            (
                "ALTER TABLE y ALTER a TYPE bigint; ALTER TABLE y ALTER b TYPE bigint",
                Code::SplitFile,
                "an index has both",
            ),
            ("DROP INDEX y_both; ALTER TABLE y ALTER a TYPE bigint", Code::SplitFile, "index y_both"),
            ("ALTER TABLE x ALTER n TYPE bigint", Code::NotYet, "excludes"),
            ("ALTER TABLE x ALTER u TYPE bigint", Code::NotYet, "deferrable"),
            ("ALTER TABLE x ALTER i TYPE numeric", Code::WillFail, "22023"),
            ("ALTER TABLE z ALTER a TYPE int USING a::int", Code::WillFail, "42804"),
            ("ALTER TABLE z ALTER i TYPE mood USING 'happy'::mood", Code::NotYet, "default"),
            ("ALTER TABLE x ALTER i TYPE bigint, ALTER i SET DEFAULT 3", Code::WillFail, "42601"),
            ("ALTER TABLE t ALTER x TYPE text", Code::WillFail, "42703"),
        ] {
            let (found, said) = refused(&catalog(SCHEMA), sql);
            assert!(found == code && said.contains(word), "{sql}: {found} {said}");
        }
    }
}
