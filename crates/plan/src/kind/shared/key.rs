//! A key of a table, UNIQUE or PRIMARY KEY: a unique index and the constraint that stands on it.

use crate::catalog::{Constraint, ConstraintKind, Index, Relation};
use crate::ddl;
use crate::ddl::index::{Branch, How};
use crate::diagnostic::{Code, Refusal};
use crate::effect::Effect;
use crate::kind::Ctx;
use crate::kind::shared::index::{Purpose, TreeBuild};
use crate::kind::shared::will_fail::{self, WillFail};
use crate::kind::shared::{index, tighten, tree};
use crate::pg::lock::LockMode;
use crate::plan::{LockClaim, Need, Phase, Probe, Step, Undo};
use crate::sql::ident::{Ident, Name, list};
use crate::sql::index_text;
use crate::sql::names::IndexSort;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    /// UNIQUE
    Unique,
    /// PRIMARY KEY
    Primary,
}

/// The constraint that is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    /// Which.
    pub(crate) sort: Sort,
    /// Table.
    pub(crate) table: Name,
    /// Name: given, or as PostgreSQL would choose it.
    pub(crate) name: Ident,
    /// Key columns; with `USING INDEX` those of the index for a primary key, and none for UNIQUE.
    pub(crate) columns: Vec<Ident>,
    /// INCLUDE columns.
    pub(crate) include: Vec<Ident>,
    /// NULLS NOT DISTINCT (15+)
    pub(crate) nulls_not_distinct: bool,
    /// `WITH (…)` and the index tablespace, as written; empty if none.
    pub(crate) storage: String,
    /// DEFERRABLE and INITIALLY clauses, as written; empty if none.
    pub(crate) deferrable: String,
    /// `USING INDEX name`
    pub(crate) using_index: Option<Ident>,
}

impl Sort {
    /// That of a constraint with a unique index.
    pub(crate) fn of(constraint: &Constraint) -> Self {
        if constraint.kind == ConstraintKind::PrimaryKey { Self::Primary } else { Self::Unique }
    }

    /// As SQL writes it.
    pub(crate) fn sql(self) -> &'static str {
        match self {
            Self::Unique => "UNIQUE",
            Self::Primary => "PRIMARY KEY",
        }
    }

    /// As a title has it: "the unique constraint u".
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Unique => "unique constraint",
            Self::Primary => "primary key",
        }
    }
}

impl Key {
    /// Looks for keys that several rows share.
    pub(crate) fn proof(&self, table: &Relation, what: &str) -> Step {
        let keys: Vec<String> = self.columns.iter().map(ToString::to_string).collect();
        let query = tighten::duplicates(table, &keys, None, self.nulls_not_distinct);
        tighten::proof(&self.table, what, query, format!("keys that several rows of {} share", self.table))
    }

    /// On a table that nobody uses yet.
    pub(crate) fn at_once(&self, ctx: &Ctx, effects: Vec<Effect>) -> Step {
        let definition = match &self.using_index {
            None => self.definition(),
            Some(index) => self.using(index),
        };
        let mut step = Step::transaction(
            Phase::Expand,
            format!("Add {} {} to {}", self.sort.title(), self.name, self.table),
            "the table is new: nobody uses it yet",
            vec![ddl::constraint::add(&self.table, &self.name, &definition)],
        )
        .locks(tree::locks(ctx.logical, &self.table, LockMode::AccessExclusive))
        .locks(self.rename_lock())
        .probe(self.probe(Some(true)))
        .undone_by(vec![self.gone(ctx, Phase::Expand)])
        .requires(Need::Relation(self.table.clone()))
        .requires(Need::NoConstraint(self.table.clone(), self.name.clone()));
        step.provides = effects;
        step
    }

    /// Puts the constraint on a unique index that is there. Dropping the constraint drops the index with it: one that was
    /// there before is built again.
    pub(crate) fn constrain(&self, ctx: &Ctx, phase: Phase) -> Step {
        let using = self.using_index.as_ref().unwrap_or(&self.name);
        let mut undo = vec![self.gone(ctx, phase)];
        if let Some(given) = self.given(ctx) {
            let why = "it was there before, and went with the constraint";
            let mut build = index::build(ctx.logical, &self.table, given, phase, why);
            build.undo = Undo::Nothing;
            undo.push(build);
        }
        let why = match self.sort {
            Sort::Unique => "the index is there, so nothing is scanned",
            Sort::Primary => "the index is there and its columns are NOT NULL, so nothing is scanned",
        };
        let mut step = Step::transaction(
            phase,
            format!("Make index {using} of {} the {} {}", self.table, self.sort.title(), self.name),
            why,
            vec![ddl::constraint::add(&self.table, &self.name, &self.using(using))],
        )
        .locks(tree::lock(ctx.logical, &self.table, LockMode::AccessExclusive))
        .locks(self.rename_lock())
        .probe(self.probe(Some(true)))
        .undone_by(undo)
        .requires(Need::Relation(self.table.clone()))
        .requires(Need::NoConstraint(self.table.clone(), self.name.clone()));
        step.provides = self.effects(ctx);
        step
    }

    /// What the catalog has afterwards, partitions aside.
    pub(crate) fn effects(&self, ctx: &Ctx) -> Vec<Effect> {
        let table = || self.table.clone();
        let index = self.index(ctx);
        let constraint = self.constraint(&index);
        let renamed = self.renamed().cloned().map(|index| Effect::IndexGone { table: table(), index });
        renamed
            .into_iter()
            .chain([
                Effect::Index { table: table(), index },
                Effect::Constraint { table: table(), constraint },
            ])
            .collect()
    }

    /// On a partitioned table: declared there, built on every leaf beside writes, then attached.
    pub(crate) fn over_partitions(&self, ctx: &Ctx, phase: Phase) -> Result<Vec<Step>, Refusal> {
        let index = &self.index(ctx);
        if let Some((partition, twin)) = ddl::index::doubtful(ctx.logical, &self.table, index) {
            return Err(Refusal::new(
                Code::NotYet,
                format!(
                    "partition {} has {} {}, which may be equal to {}: PostgreSQL would then take it instead of making \
                     another",
                    partition.name,
                    self.sort.title(),
                    twin.name,
                    index.name
                ),
                "drop it first",
            ));
        }
        let branches = self.branches(ctx);
        let constraint = Constraint { definition: self.definition(), ..self.constraint(index) };
        let tree = TreeBuild {
            catalog: ctx.logical,
            table: &self.table,
            index,
            branches: &branches,
            purpose: Purpose::Key { constraint: &constraint, deferrable: &self.deferrable },
            phase,
        };
        Ok(tree.steps())
    }

    /// ACCESS EXCLUSIVE on the table; on its partitions only SHARE before 18, unless their columns are made NOT NULL.
    /// Source: measured on 14 to 18.
    pub(crate) fn locks_as_written(&self, ctx: &Ctx, makes_not_null: bool) -> Vec<LockClaim> {
        let strong = makes_not_null || ctx.logical.server.version.unique_locks_partitions();
        let below = if strong { LockMode::AccessExclusive } else { LockMode::Share };
        let mut locks = tree::locks(ctx.logical, &self.table, below);
        if let Some(own) = locks.iter_mut().find(|lock| lock.relation == self.table) {
            own.mode = LockMode::AccessExclusive;
        }
        locks
    }

    /// What the partitions get.
    pub(crate) fn effects_below(&self, ctx: &Ctx) -> Vec<Effect> {
        let mut effects = Vec::new();
        for branch in self.branches(ctx) {
            let constraint = Constraint { inherited: true, ..self.constraint(&branch.index) };
            effects.push(Effect::Index { table: branch.table.clone(), index: branch.index });
            effects.push(Effect::Constraint { table: branch.table, constraint });
        }
        effects
    }

    fn branches(&self, ctx: &Ctx) -> Vec<Branch> {
        if self.using_index.is_some() {
            return Vec::new();
        }
        let sort = match self.sort {
            Sort::Unique => IndexSort::Unique,
            Sort::Primary => IndexSort::PrimaryKey,
        };
        ddl::index::branches(ctx.logical, &self.table, &self.index(ctx), sort)
    }

    /// What a key of a partitioned table must be.
    pub(crate) fn check_partitioned(&self, ctx: &Ctx, table: &Relation) -> Result<(), WillFail> {
        if self.using_index.is_some() {
            return Err(WillFail::new(
                "0A000",
                format!("ADD CONSTRAINT USING INDEX does not work on partitioned table {}", self.table),
                format!("write {} (columns)", self.sort.sql()),
            ));
        }
        will_fail::unique_covers_partition_key(ctx, table, &self.columns)
    }

    fn gone(&self, ctx: &Ctx, phase: Phase) -> Step {
        Step::transaction(
            phase,
            format!("Drop {} {} of {}", self.sort.title(), self.name, self.table),
            "takes the new constraint away",
            vec![ddl::constraint::drop_if_exists(&self.table, &self.name)],
        )
        .locks(tree::locks(ctx.logical, &self.table, LockMode::AccessExclusive))
        .probe(self.probe(None))
        .provides(Effect::ConstraintGone { table: self.table.clone(), constraint: self.name.clone() })
    }

    fn probe(&self, validated: Option<bool>) -> Probe {
        Probe::Constraint { table: self.table.clone(), name: self.name.clone(), validated }
    }

    /// The index that loses its name to the constraint.
    fn renamed(&self) -> Option<&Ident> {
        self.using_index.as_ref().filter(|index| **index != self.name)
    }

    /// An index that takes another name is locked for it.
    pub(crate) fn rename_lock(&self) -> Option<LockClaim> {
        let relation = self.table.sibling(self.renamed()?.clone());
        Some(LockClaim { relation, mode: LockMode::ShareUpdateExclusive })
    }

    /// What is certain to make the statement fail, whichever key it is. Source: `transformIndexConstraint` in
    /// src/backend/parser/parse_utilcmd.c.
    pub(crate) fn check<'a>(&self, ctx: &Ctx<'a>) -> Result<&'a Relation, WillFail> {
        let table = will_fail::table(ctx, &self.table)?;
        will_fail::columns(table, self.columns.iter().chain(&self.include))?;
        will_fail::stored(table, self.columns.iter().chain(&self.include))?;
        will_fail::constraint_name_free(table, &self.name)?;
        let own = self.table.sibling(self.name.clone());
        match &self.using_index {
            Some(given) => check_index(table, given)?,
            None if ctx.logical.relation_name_taken(&own) => {
                let said = format!("relation {own} exists already");
                return Err(WillFail::new("42P07", said, "choose another name"));
            }
            None => {}
        }
        Ok(table)
    }

    fn given<'a>(&self, ctx: &Ctx<'a>) -> Option<&'a Index> {
        ctx.logical.relation(&self.table)?.index(self.using_index.as_ref()?)
    }

    /// The index behind the constraint, as the catalog will show it.
    pub(crate) fn index(&self, ctx: &Ctx) -> Index {
        let (name, constraint) = (self.name.clone(), Some(self.name.clone()));
        let (primary, immediate) = (self.sort == Sort::Primary, self.deferrable.is_empty());
        match self.given(ctx).cloned() {
            Some(index) => Index { name, constraint, immediate, primary, ..index },
            None => Index {
                name,
                columns: self.columns.iter().cloned().map(Some).collect(),
                include: self.include.clone(),
                uses: self.columns.iter().chain(&self.include).cloned().collect(),
                unique: true,
                primary,
                exclusion: false,
                partial: false,
                immediate,
                valid: true,
                constraint,
                inherited: false,
                definition: self.index_definition(),
            },
        }
    }

    /// The index before the constraint stands on it.
    pub(crate) fn bare_index(&self, ctx: &Ctx) -> Index {
        Index { constraint: None, primary: false, immediate: true, ..self.index(ctx) }
    }

    /// The unique index as `CREATE UNIQUE INDEX` would be written. A constraint's `USING INDEX TABLESPACE` is an index's
    /// `TABLESPACE`.
    fn index_definition(&self) -> String {
        let distinct = if self.nulls_not_distinct { "NULLS NOT DISTINCT" } else { "" };
        let storage = index_text::storage(&self.storage);
        let body = words(&["USING btree", &columns(&self.columns, &self.include), distinct, &storage]);
        ddl::index::create(&self.name, &self.table, true, How::Plain, &body)
    }

    /// What follows `ADD CONSTRAINT name`.
    pub(crate) fn definition(&self) -> String {
        words(&[&self.as_shown(&self.columns, &self.include), &self.storage, &self.deferrable])
    }

    /// What follows `ADD CONSTRAINT name` where a unique index is there.
    fn using(&self, index: &Ident) -> String {
        ddl::constraint::using_index(self.sort.sql(), index, &self.deferrable)
    }

    /// The constraint with its columns.
    fn as_shown(&self, keys: &[Ident], include: &[Ident]) -> String {
        let distinct = if self.nulls_not_distinct { "NULLS NOT DISTINCT" } else { "" };
        words(&[self.sort.sql(), distinct, &columns(keys, include)])
    }

    /// The constraint that stands on `index`.
    pub(crate) fn constraint(&self, index: &Index) -> Constraint {
        let keys: Vec<Ident> = index.columns.iter().flatten().cloned().collect();
        Constraint {
            name: index.name.clone(),
            kind: match self.sort {
                Sort::Unique => ConstraintKind::Unique,
                Sort::Primary => ConstraintKind::PrimaryKey,
            },
            definition: words(&[&self.as_shown(&keys, &index.include), &self.deferrable]),
            columns: keys,
            validated: true,
            deferrable: !index.immediate,
            inherited: false,
        }
    }
}

/// What a unique index must be for a constraint to stand on it.
fn check_index(table: &Relation, given: &Ident) -> Result<(), WillFail> {
    let Some(index) = table.index(given) else {
        let said = format!("{} has no index {given}", table.name);
        return Err(WillFail::new("42704", said, "correct the index name"));
    };
    if !index.valid || index.constraint.is_some() {
        return Err(WillFail::new(
            "55000",
            format!("index {given} is INVALID or stands behind a constraint already"),
            "build a new unique index",
        ));
    }
    if !index.unique || index.partial || index.columns.iter().any(Option::is_none) {
        return Err(WillFail::new(
            "42809",
            format!("index {given} is not unique, or partial, or over expressions"),
            "build a unique index over plain columns",
        ));
    }
    Ok(())
}

fn columns(keys: &[Ident], include: &[Ident]) -> String {
    match include {
        [] => format!("({})", list(keys)),
        include => format!("({}) INCLUDE ({})", list(keys), list(include)),
    }
}

fn words(words: &[&str]) -> String {
    let words: Vec<&str> = words.iter().copied().filter(|word| !word.is_empty()).collect();
    words.join(" ")
}
