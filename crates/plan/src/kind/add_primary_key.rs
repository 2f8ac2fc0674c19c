//! ADD PRIMARY KEY: its columns proven NOT NULL, a unique index CONCURRENTLY, then ADD CONSTRAINT … USING INDEX, which
//! finds both done and scans nothing.
//!
//! Source: "ADD table_constraint_using_index" in doc/src/sgml/ref/alter_table.sgml.

use crate::catalog::{Column, Relation, RelationKind};
use crate::diagnostic::{Code, Refusal};
use crate::effect::Effect;
use crate::kind::shared::key::Key;
use crate::kind::shared::tighten::{self, OldWriters, Timing};
use crate::kind::shared::will_fail::{self, WillFail};
use crate::kind::shared::{index, not_null, tree};
use crate::kind::{Ctx, Kind, Online};
use crate::plan::{Facts, Work, WorkKind};
use crate::sql::ident::{Ident, list};

/// See the module.
#[derive(Clone, Debug)]
pub struct AddPrimaryKey {
    pub(crate) key: Key,
}

impl Kind for AddPrimaryKey {
    fn name(&self) -> &'static str {
        "add_primary_key"
    }

    fn facts(&self, ctx: &Ctx) -> Facts {
        let key = &self.key;
        let mut locks = key.locks_as_written(ctx, !self.nullable(ctx).is_empty());
        locks.extend(key.rename_lock());
        let mut work: Vec<Work> = Vec::new();
        if !self.nullable(ctx).is_empty() {
            work.extend(tree::work(ctx.logical, &key.table, WorkKind::Scan));
        }
        if key.using_index.is_none() {
            work.extend(tree::work(ctx.logical, &key.table, WorkKind::IndexBuild));
        }
        Facts {
            locks,
            work,
            transaction: true,
            breaks: vec![format!(
                "code that writes NULL or duplicates into ({}) of {} gets errors (23502, 23505) from then on",
                list(&key.columns),
                key.table
            )],
            fails: self.check(ctx).err().map(Into::into),
        }
    }

    fn online(&self, ctx: &Ctx) -> Result<Online, Refusal> {
        let (key, table) = (&self.key, self.check(ctx)?);
        self.refuse_lasting_not_null(ctx, table)?;
        let timing = tighten::timing(ctx, table, &key.columns, self.old_writers(table));
        if timing == Timing::AsWritten {
            return Ok(Online { steps: vec![key.at_once(ctx, self.effects(ctx))], notices: Vec::new() });
        }
        let (phase, what) = (timing.phase(), format!("PRIMARY KEY {} on {}", key.name, key.table));
        let mut steps = Vec::new();
        let physical = ctx.physical.relation(&key.table);
        let unmarked = |column: &&Ident| physical.is_none_or(|table| is_nullable(table, column));
        for column in key.columns.iter().filter(unmarked) {
            steps.push(not_null::proof(table, column));
        }
        if key.using_index.is_none() {
            steps.push(key.proof(table, &what));
        }
        for column in key.columns.iter().filter(unmarked) {
            steps.extend(not_null::steps(ctx.physical, &key.table, column, phase));
        }
        if table.kind == RelationKind::PartitionedTable {
            steps.extend(key.over_partitions(ctx, phase)?);
        } else {
            if key.using_index.is_none() {
                let why = "PRIMARY KEY alone would block reads and writes while it builds the same index";
                steps.push(index::build(ctx.logical, &key.table, &key.bare_index(ctx), phase, why));
            }
            steps.push(key.constrain(ctx, phase));
        }
        Ok(Online { steps, notices: timing.notice(&what).into_iter().collect() })
    }

    fn effects(&self, ctx: &Ctx) -> Vec<Effect> {
        let marked =
            self.nullable(ctx).into_iter().map(|c| not_null::effect(ctx.logical, &self.key.table, c));
        marked.chain(self.key.effects(ctx)).chain(self.key.effects_below(ctx)).collect()
    }
}

impl AddPrimaryKey {
    /// Key columns that are not marked NOT NULL in the logical catalog.
    fn nullable(&self, ctx: &Ctx) -> Vec<&Ident> {
        let table = ctx.logical.relation(&self.key.table);
        let unmarked = |column: &&Ident| table.is_none_or(|table| is_nullable(table, column));
        self.key.columns.iter().filter(unmarked).collect()
    }

    /// Undo takes NOT NULL from the whole tree, and PostgreSQL leaves it on the columns of a partition's own primary key.
    fn refuse_lasting_not_null(&self, ctx: &Ctx, table: &Relation) -> Result<(), Refusal> {
        let below = ctx.logical.tree(&table.name).into_iter().skip(1);
        let keyed = below.filter(|_| !table.new_here).find(|partition| partition.primary_key().is_some());
        let (Some(partition), Some(column)) = (keyed, self.nullable(ctx).into_iter().next()) else {
            return Ok(());
        };
        Err(Refusal::new(
            Code::NotYet,
            format!(
                "partition {} has a primary key already, so undo could not make {column} of {} nullable again",
                partition.name, table.name
            ),
            format!(
                "ALTER TABLE {} ALTER COLUMN {column} SET NOT NULL first, in a migration of its own",
                table.name
            ),
        ))
    }

    /// A new column that numbers its rows by itself keeps old writers' rows apart.
    fn old_writers(&self, table: &Relation) -> OldWriters {
        let numbers = |column: &Column| {
            column.identity.is_some() || column.default.as_deref().is_some_and(|d| d.starts_with("nextval("))
        };
        match self.key.columns.as_slice() {
            [column] if table.column(column).is_some_and(numbers) => OldWriters::Satisfy,
            _ => OldWriters::MayBreak,
        }
    }

    fn check<'a>(&self, ctx: &Ctx<'a>) -> Result<&'a Relation, WillFail> {
        let key = &self.key;
        if let Some(known) = will_fail::table(ctx, &key.table)?.primary_key() {
            return Err(WillFail::new(
                "42P16",
                format!("{} has a primary key already: {}", key.table, known.name),
                "drop it first, or make this one UNIQUE",
            ));
        }
        let table = key.check(ctx)?;
        if table.kind == RelationKind::PartitionedTable {
            key.check_partitioned(ctx, table)?;
            for partition in ctx.logical.tree(&key.table).into_iter().skip(1) {
                if let Some(other) = partition.primary_key().filter(|other| other.columns != key.columns) {
                    return Err(WillFail::new(
                        "42P16",
                        format!(
                            "partition {} has primary key {} over other columns",
                            partition.name, other.name
                        ),
                        "drop it first, or make it UNIQUE",
                    ));
                }
            }
        }
        Ok(table)
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
        CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
        CREATE UNIQUE INDEX p_id ON p (id)";

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
    fn over_partitions_each_leaf_has_its_own() {
        let schema = "CREATE TABLE p (id int, k int) PARTITION BY RANGE (id);
            CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10)";
        let shown = show(&plan(&catalog_on(17, schema), "ALTER TABLE p ADD PRIMARY KEY (id)"));
        let steps: Vec<&str> = shown.lines().skip(6).collect();
        assert_eq!(
            steps,
            [
                "contract: ALTER TABLE ONLY public.p ADD CONSTRAINT p_pkey PRIMARY KEY (id)",
                "contract, alone: CREATE UNIQUE INDEX CONCURRENTLY p1_pkey ON public.p1 USING btree (id)",
                "contract: ALTER TABLE public.p1 ADD CONSTRAINT p1_pkey PRIMARY KEY USING INDEX p1_pkey",
                "contract: ALTER INDEX public.p_pkey ATTACH PARTITION public.p1_pkey",
            ],
            "{shown}"
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
        let (code, said) =
            refused(&catalog(SCHEMA), "ALTER TABLE p ADD CONSTRAINT pk PRIMARY KEY USING INDEX p_id");
        assert!(code == Code::WillFail && said.contains("0A000"), "{said}");
    }
}
