//! ADD PRIMARY KEY: its columns proven NOT NULL, a unique index CONCURRENTLY, then ADD CONSTRAINT … USING INDEX, which
//! finds both done and scans nothing.
//!
//! Source: "ADD table_constraint_using_index" in doc/src/sgml/ref/alter_table.sgml.

use crate::catalog::{Column, Constraint, ConstraintKind, Index, Relation, RelationKind};
use crate::ddl;
use crate::ddl::index::How;
use crate::diagnostic::{Code, Refusal};
use crate::effect::Effect;
use crate::kind::shared::tighten::{self, OldWriters, Timing};
use crate::kind::shared::will_fail::{self, WillFail};
use crate::kind::shared::{index, not_null, tree};
use crate::kind::{Ctx, Kind, Online};
use crate::pg::lock::LockMode;
use crate::plan::{Facts, LockClaim, Need, Phase, Probe, Step, Undo, Work, WorkKind};
use crate::sql::ident::{Ident, Name, list};
use crate::sql::index_text;

/// See the module.
#[derive(Clone, Debug)]
pub struct AddPrimaryKey {
    /// Table.
    pub table: Name,
    /// Name: given, or as PostgreSQL would choose it.
    pub name: Ident,
    /// Key columns; those of the index with `USING INDEX`.
    pub columns: Vec<Ident>,
    /// INCLUDE columns.
    pub include: Vec<Ident>,
    /// `WITH (…)` and the index tablespace, as written; empty if none.
    pub storage: String,
    /// DEFERRABLE and INITIALLY clauses, as written; empty if none.
    pub deferrable: String,
    /// `USING INDEX name`
    pub using_index: Option<Ident>,
}

impl Kind for AddPrimaryKey {
    fn name(&self) -> &'static str {
        "add_primary_key"
    }

    fn facts(&self, ctx: &Ctx) -> Facts {
        let mut locks = tree::locks(ctx.logical, &self.table, LockMode::AccessExclusive);
        let mut work: Vec<Work> = Vec::new();
        if !self.nullable(ctx).is_empty() {
            work.extend(tree::work(ctx.logical, &self.table, WorkKind::Scan));
        }
        match &self.using_index {
            None => work.extend(tree::work(ctx.logical, &self.table, WorkKind::IndexBuild)),
            Some(index) => locks.extend(self.rename_lock(index)),
        }
        let columns = list(&self.columns);
        Facts {
            locks,
            work,
            transaction: true,
            breaks: vec![format!(
                "code that writes NULL or duplicates into ({columns}) of {} gets errors (23502, 23505) from then on",
                self.table
            )],
            fails: self.check(ctx).err().map(Into::into),
        }
    }

    fn online(&self, ctx: &Ctx) -> Result<Online, Refusal> {
        let table = self.check(ctx)?;
        if table.kind == RelationKind::PartitionedTable && !table.new_here {
            return Err(Refusal::new(
                Code::NotYet,
                format!(
                    "ADD PRIMARY KEY over partitioned table {} builds an index on every partition under ACCESS EXCLUSIVE; \
                     the online form is not built yet",
                    self.table
                ),
                "use SET NOT NULL and ADD UNIQUE for now, which give the same guarantees",
            ));
        }
        let timing = tighten::timing(ctx, table, &self.columns, self.old_writers(table));
        if timing == Timing::AsWritten {
            return Ok(Online { steps: vec![self.at_once(ctx)], notices: Vec::new() });
        }
        let (phase, what) = (timing.phase(), format!("PRIMARY KEY {} on {}", self.name, self.table));
        let mut steps = Vec::new();
        let physical = ctx.physical.relation(&self.table);
        let unmarked = |column: &&Ident| physical.is_none_or(|table| is_nullable(table, column));
        for column in self.columns.iter().filter(unmarked) {
            steps.push(not_null::proof(table, column));
        }
        if self.using_index.is_none() {
            steps.push(self.proof(table, &what));
        }
        for column in self.columns.iter().filter(unmarked) {
            steps.extend(not_null::steps(ctx.physical, &self.table, column, phase));
        }
        let index = self.index(ctx);
        let mut constrain =
            self.constrain(ctx, &index, self.using_index.as_ref().unwrap_or(&index.name), phase);
        match &self.using_index {
            None => {
                let bare = Index { constraint: None, primary: false, immediate: true, ..index };
                let why = "PRIMARY KEY alone would block reads and writes while it builds the same index";
                steps.push(index::build(ctx.logical, &self.table, &bare, phase, why));
            }
            Some(given) => {
                constrain.undo = self.undo_adopt(ctx, phase);
                constrain.locks.extend(self.rename_lock(given));
                if *given != self.name {
                    let gone = Effect::IndexGone { table: self.table.clone(), index: given.clone() };
                    constrain.provides.insert(0, gone);
                }
            }
        }
        steps.push(constrain);
        Ok(Online { steps, notices: timing.notice(&what).into_iter().collect() })
    }

    fn effects(&self, ctx: &Ctx) -> Vec<Effect> {
        let index = self.index(ctx);
        let constraint = self.constraint(&index);
        let mut effects: Vec<Effect> =
            self.nullable(ctx).into_iter().map(|c| not_null::effect(ctx.logical, &self.table, c)).collect();
        if let Some(given) = self.using_index.as_ref().filter(|given| **given != self.name) {
            effects.push(Effect::IndexGone { table: self.table.clone(), index: given.clone() });
        }
        effects.push(Effect::Index { table: self.table.clone(), index });
        effects.push(Effect::Constraint { table: self.table.clone(), constraint });
        effects
    }
}

impl AddPrimaryKey {
    /// Key columns that are not marked NOT NULL in the logical catalog.
    fn nullable(&self, ctx: &Ctx) -> Vec<&Ident> {
        let table = ctx.logical.relation(&self.table);
        self.columns.iter().filter(|column| table.is_none_or(|table| is_nullable(table, column))).collect()
    }

    /// A new column that numbers its rows by itself keeps old writers' rows apart.
    fn old_writers(&self, table: &Relation) -> OldWriters {
        let numbers = |column: &Column| {
            column.identity.is_some() || column.default.as_deref().is_some_and(|d| d.starts_with("nextval("))
        };
        match self.columns.as_slice() {
            [column] if table.column(column).is_some_and(numbers) => OldWriters::Satisfy,
            _ => OldWriters::MayBreak,
        }
    }

    fn proof(&self, table: &Relation, what: &str) -> Step {
        let keys: Vec<String> = self.columns.iter().map(ToString::to_string).collect();
        let query = tighten::duplicates(table, &keys, None, false);
        tighten::proof(&self.table, what, query, format!("keys that several rows of {} share", self.table))
    }

    /// On a table that nobody uses yet.
    fn at_once(&self, ctx: &Ctx) -> Step {
        let definition = match &self.using_index {
            None => format!("PRIMARY KEY {}", self.clauses()),
            Some(index) => format!("PRIMARY KEY USING INDEX {index} {}", self.deferrable),
        };
        let mut step = Step::transaction(
            Phase::Expand,
            format!("Add primary key {} to {}", self.name, self.table),
            "the table is new: nobody uses it yet",
            vec![ddl::constraint::add(&self.table, &self.name, definition.trim_end())],
        )
        .locks(tree::locks(ctx.logical, &self.table, LockMode::AccessExclusive))
        .locks(self.using_index.as_ref().and_then(|index| self.rename_lock(index)))
        .probe(self.probe(Some(true)))
        .undone_by(vec![self.gone(ctx, Phase::Expand)])
        .requires(Need::Relation(self.table.clone()))
        .requires(Need::NoConstraint(self.table.clone(), self.name.clone()));
        step.provides = self.effects(ctx);
        step
    }

    /// Puts the constraint on a unique index that is there, over columns that are NOT NULL.
    fn constrain(&self, ctx: &Ctx, index: &Index, using: &Ident, phase: Phase) -> Step {
        Step::transaction(
            phase,
            format!("Make index {using} of {} the primary key {}", self.table, self.name),
            "the index is there and its columns are NOT NULL, so nothing is scanned",
            vec![ddl::constraint::add_primary_key_using(&self.table, &self.name, using, &self.deferrable)],
        )
        .locks(tree::lock(ctx.logical, &self.table, LockMode::AccessExclusive))
        .probe(self.probe(Some(true)))
        .undone_by(vec![self.gone(ctx, phase)])
        .requires(Need::Relation(self.table.clone()))
        .requires(Need::NoConstraint(self.table.clone(), self.name.clone()))
        .provides(Effect::Index { table: self.table.clone(), index: index.clone() })
        .provides(Effect::Constraint { table: self.table.clone(), constraint: self.constraint(index) })
    }

    /// Dropping the constraint drops the index that was there before: it is built again.
    fn undo_adopt(&self, ctx: &Ctx, phase: Phase) -> Undo {
        let mut steps = vec![self.gone(ctx, phase)];
        if let Some(given) = self.given(ctx) {
            let why = "it was there before, and went with the constraint";
            let mut build = index::build(ctx.logical, &self.table, given, phase, why);
            build.undo = Undo::Nothing;
            steps.push(build);
        }
        Undo::Steps { steps, loses: None }
    }

    fn gone(&self, ctx: &Ctx, phase: Phase) -> Step {
        Step::transaction(
            phase,
            format!("Drop primary key {} of {}", self.name, self.table),
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

    /// An index that takes another name is locked for it.
    fn rename_lock(&self, index: &Ident) -> Option<LockClaim> {
        let relation = self.table.sibling(index.clone());
        (*index != self.name).then_some(LockClaim { relation, mode: LockMode::ShareUpdateExclusive })
    }

    /// What is certain to make the statement fail. Source: `transformIndexConstraint` in
    /// src/backend/parser/parse_utilcmd.c.
    fn check<'a>(&self, ctx: &Ctx<'a>) -> Result<&'a Relation, WillFail> {
        let table = will_fail::table(ctx, &self.table)?;
        will_fail::columns(table, self.columns.iter().chain(&self.include))?;
        if let Some(key) = table.primary_key() {
            return Err(WillFail::new(
                "42P16",
                format!("{} has a primary key already: {}", self.table, key.name),
                "drop it first, or make this one UNIQUE",
            ));
        }
        will_fail::constraint_name_free(table, &self.name)?;
        match &self.using_index {
            Some(given) => self.check_index(table, given)?,
            None if ctx.logical.relation_name_taken(&self.table.sibling(self.name.clone())) => {
                return Err(WillFail::new(
                    "42P07",
                    format!("relation {} exists already", self.table.sibling(self.name.clone())),
                    "choose another name",
                ));
            }
            None => {}
        }
        if table.kind == RelationKind::PartitionedTable {
            will_fail::unique_covers_partition_key(ctx, table, &self.columns)?;
        }
        Ok(table)
    }

    fn check_index(&self, table: &Relation, given: &Ident) -> Result<(), WillFail> {
        let Some(index) = table.index(given) else {
            return Err(WillFail::new(
                "42704",
                format!("{} has no index {given}", self.table),
                "correct the index name",
            ));
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

    fn given<'a>(&self, ctx: &Ctx<'a>) -> Option<&'a Index> {
        ctx.logical.relation(&self.table)?.index(self.using_index.as_ref()?)
    }

    /// The index behind the constraint, as the catalog will show it.
    fn index(&self, ctx: &Ctx) -> Index {
        let (constraint, immediate) = (Some(self.name.clone()), self.deferrable.is_empty());
        match self.given(ctx).cloned() {
            Some(index) => Index { name: self.name.clone(), constraint, immediate, primary: true, ..index },
            None => Index {
                name: self.name.clone(),
                columns: self.columns.iter().cloned().map(Some).collect(),
                include: self.include.clone(),
                uses: self.columns.iter().chain(&self.include).cloned().collect(),
                unique: true,
                primary: true,
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

    fn index_definition(&self) -> String {
        let storage = index_text::storage(&self.storage);
        let body = format!("USING btree {} {storage}", self.keys());
        ddl::index::create(&self.name, &self.table, true, How::Plain, body.trim_end())
    }

    fn keys(&self) -> String {
        match self.include.as_slice() {
            [] => format!("({})", list(&self.columns)),
            include => format!("({}) INCLUDE ({})", list(&self.columns), list(include)),
        }
    }

    /// What follows PRIMARY KEY.
    fn clauses(&self) -> String {
        let mut clauses = self.keys();
        for clause in [&self.storage, &self.deferrable] {
            if !clause.is_empty() {
                clauses.push(' ');
                clauses.push_str(clause);
            }
        }
        clauses
    }

    fn constraint(&self, index: &Index) -> Constraint {
        let definition = format!("PRIMARY KEY {} {}", self.keys(), self.deferrable);
        Constraint {
            name: self.name.clone(),
            kind: ConstraintKind::PrimaryKey,
            definition: definition.trim_end().to_owned(),
            columns: self.columns.clone(),
            validated: true,
            deferrable: !index.immediate,
            inherited: false,
        }
    }
}

fn is_nullable(table: &Relation, column: &Ident) -> bool {
    table.column(column).is_none_or(|column| column.not_null.as_ref().is_none_or(|marking| !marking.valid))
}

#[cfg(test)]
mod tests {
    use crate::diagnostic::Code;
    use crate::kind::shared::proving::{catalog, catalog_on, facts, plan};
    use crate::kind::shared::testing::{refused, show};
    use crate::plan::{Phase, WorkKind};

    const SCHEMA: &str = "CREATE TABLE users (id bigint NOT NULL, email text, age int);
        CREATE UNIQUE INDEX ready ON users (id);
        CREATE TABLE keyed (id int PRIMARY KEY, other int NOT NULL);
        CREATE TABLE p (id int NOT NULL) PARTITION BY RANGE (id);
        CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10)";

    #[test]
    fn columns_first_then_the_index_then_the_key() {
        let sql = "ALTER TABLE users ADD PRIMARY KEY (id, email)";
        let shown = show(&plan(&catalog_on(18, SCHEMA), sql));
        assert_eq!(
            shown.lines().skip(2).collect::<Vec<_>>(),
            [
                "contract: ALTER TABLE public.users ADD CONSTRAINT users_email_not_null NOT NULL email NOT VALID",
                "contract, long: ALTER TABLE public.users VALIDATE CONSTRAINT users_email_not_null",
                "contract, alone: CREATE UNIQUE INDEX CONCURRENTLY users_pkey ON public.users USING btree (id, email)",
                "contract: ALTER TABLE public.users ADD CONSTRAINT users_pkey PRIMARY KEY USING INDEX users_pkey",
            ],
            "{shown}"
        );
        let work: Vec<WorkKind> = facts(&catalog(SCHEMA), sql)[0].work.iter().map(|work| work.what).collect();
        assert_eq!(work, [WorkKind::Scan, WorkKind::IndexBuild]);
    }

    #[test]
    fn a_given_index_becomes_the_key() {
        let plan =
            plan(&catalog(SCHEMA), "ALTER TABLE users ADD CONSTRAINT pk PRIMARY KEY USING INDEX ready");
        assert_eq!(
            show(&plan),
            "contract: ALTER TABLE public.users ADD CONSTRAINT pk PRIMARY KEY USING INDEX ready\n"
        );
    }

    #[test]
    fn a_new_column_that_numbers_itself_needs_no_contract() {
        let schema = "CREATE TABLE bare (a text)";
        let plan = plan(&catalog(schema), "ALTER TABLE bare ADD COLUMN id bigserial PRIMARY KEY");
        let last = plan.steps.iter().find(|step| step.title.contains("the primary key")).expect("is planned");
        assert_eq!(last.phase, Phase::Validate);
    }

    #[test]
    fn certain_failures() {
        for (sql, word) in [
            ("ALTER TABLE users ADD PRIMARY KEY (nothing)", "42703"),
            ("ALTER TABLE keyed ADD PRIMARY KEY (other)", "42P16"),
            ("ALTER TABLE users ADD CONSTRAINT ready PRIMARY KEY (id)", "42P07"),
            ("ALTER TABLE users ADD PRIMARY KEY USING INDEX nothing", "42704"),
        ] {
            let (code, said) = refused(&catalog(SCHEMA), sql);
            assert!(code == Code::WillFail && said.contains(word), "{sql}: {said}");
        }
        assert_eq!(refused(&catalog(SCHEMA), "ALTER TABLE p ADD PRIMARY KEY (id)").0, Code::NotYet);
    }
}
