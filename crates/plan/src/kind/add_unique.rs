//! ADD UNIQUE: unique index CONCURRENTLY, then ADD CONSTRAINT … USING INDEX.

use crate::catalog::{Relation, RelationKind};
use crate::diagnostic::Refusal;
use crate::effect::Effect;
use crate::kind::shared::index;
use crate::kind::shared::key::Key;
use crate::kind::shared::tighten::{self, Timing};
use crate::kind::shared::tree;
use crate::kind::shared::will_fail::WillFail;
use crate::kind::{Ctx, Kind, Online};
use crate::pg::lock::LockMode;
use crate::plan::{Facts, Phase, WorkKind};
use crate::sql::ident::Ident;

/// See the module.
#[derive(Clone, Debug)]
pub struct AddUnique {
    pub(crate) key: Key,
}

impl Kind for AddUnique {
    fn name(&self) -> &'static str {
        "add_unique"
    }

    fn facts(&self, ctx: &Ctx) -> Facts {
        let key = &self.key;
        let fails = self.check(ctx).err().map(Into::into);
        if key.using_index.is_some() {
            let mut locks = tree::lock(ctx.logical, &key.table, LockMode::AccessExclusive);
            locks.extend(key.rename_lock());
            return Facts { locks, transaction: true, fails, ..Facts::default() };
        }
        let breaks =
            vec![format!("code that writes duplicates into {} gets errors (23505) from then on", key.table)];
        Facts {
            locks: key.locks_as_written(ctx, false),
            work: tree::work(ctx.logical, &key.table, WorkKind::IndexBuild),
            transaction: true,
            breaks,
            fails,
        }
    }

    fn online(&self, ctx: &Ctx) -> Result<Online, Refusal> {
        let (key, table) = (&self.key, self.check(ctx)?);
        if let Some(using) = &key.using_index {
            let steps = vec![key.constrain(ctx, self.adoption(ctx, using))];
            return Ok(Online { steps, notices: Vec::new() });
        }
        let timing = tighten::unique_timing(ctx, table, &key.columns, !key.nulls_not_distinct);
        if timing == Timing::AsWritten {
            return Ok(Online { steps: vec![key.at_once(ctx, self.effects(ctx))], notices: Vec::new() });
        }
        let phase = timing.phase();
        let what = format!("UNIQUE constraint {} on {}", key.name, key.table);
        let mut online = Online { steps: vec![key.proof(table, &what)], notices: Vec::new() };
        online.notices.extend(timing.notice(&what));
        if table.kind == RelationKind::PartitionedTable {
            online.steps.extend(key.over_partitions(ctx, phase)?);
        } else {
            let why = "UNIQUE alone would block reads and writes while it builds the same index";
            online.steps.push(index::build(ctx.logical, &key.table, &key.bare_index(ctx), phase, why));
            online.steps.push(key.constrain(ctx, phase));
        }
        Ok(online)
    }

    fn effects(&self, ctx: &Ctx) -> Vec<Effect> {
        self.key.effects(ctx).into_iter().chain(self.key.effects_below(ctx)).collect()
    }
}

impl AddUnique {
    /// When USING INDEX runs: the index enforces already, so that nothing tightens. An index of the same file may be built
    /// in validate, or in contract; it comes after.
    fn adoption(&self, ctx: &Ctx, using: &Ident) -> Phase {
        match ctx.physical.relation(&self.key.table) {
            Some(table) if table.new_here => Phase::Expand,
            Some(table) if table.index(using).is_some() => Phase::Validate,
            _ => Phase::Contract,
        }
    }

    fn check<'a>(&self, ctx: &Ctx<'a>) -> Result<&'a Relation, WillFail> {
        let (key, version) = (&self.key, ctx.logical.server.version);
        let table = key.check(ctx)?;
        if key.nulls_not_distinct && !version.nulls_not_distinct() {
            return Err(WillFail::new(
                "42601",
                format!("NULLS NOT DISTINCT needs PostgreSQL 15, the server is {version}"),
                "leave it out, or use a unique index on an expression without NULL",
            ));
        }
        if table.kind == RelationKind::PartitionedTable {
            key.check_partitioned(ctx, table)?;
        }
        Ok(table)
    }
}

#[cfg(test)]
mod tests {
    use crate::diagnostic::Code;
    use crate::kind::shared::proving::{catalog, catalog_on, facts, plan};
    use crate::kind::shared::testing::{refused, show};
    use crate::pg::lock::LockMode;

    const SCHEMA: &str = "CREATE TABLE users (id bigint PRIMARY KEY, email text NOT NULL, age int);
        CREATE UNIQUE INDEX ready ON users (age);
        CREATE TABLE p (id int, k int, c text) PARTITION BY RANGE (id);
        CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10)";

    #[test]
    fn the_index_is_built_first() {
        let sql = "ALTER TABLE users ADD UNIQUE (email) INCLUDE (age) WITH (fillfactor = 70) DEFERRABLE INITIALLY DEFERRED";
        let plan = plan(&catalog(SCHEMA), sql);
        let shown = show(&plan);
        let steps: Vec<&str> = shown.lines().skip(1).collect();
        assert_eq!(
            steps,
            [
                "contract, alone: CREATE UNIQUE INDEX CONCURRENTLY users_email_age_key ON public.users USING btree \
                 (email) INCLUDE (age) WITH (fillfactor = 70)",
                "contract: ALTER TABLE public.users ADD CONSTRAINT users_email_age_key UNIQUE USING INDEX \
                 users_email_age_key DEFERRABLE INITIALLY DEFERRED",
            ]
        );
        assert_eq!(plan.statements[0].facts.locks[0].mode, LockMode::AccessExclusive);
    }

    #[test]
    fn a_given_index_takes_the_constraints_name() {
        let plan = plan(&catalog(SCHEMA), "ALTER TABLE users ADD CONSTRAINT by_age UNIQUE USING INDEX ready");
        assert_eq!(
            show(&plan),
            "validate: ALTER TABLE public.users ADD CONSTRAINT by_age UNIQUE USING INDEX ready\n"
        );
    }

    #[test]
    fn over_partitions_each_leaf_has_its_own() {
        let shown = show(&plan(&catalog(SCHEMA), "ALTER TABLE p ADD CONSTRAINT u UNIQUE (id, k)"));
        let steps: Vec<&str> = shown.lines().skip(1).collect();
        assert_eq!(
            steps,
            [
                "contract: ALTER TABLE ONLY public.p ADD CONSTRAINT u UNIQUE (id, k)",
                "contract, alone: CREATE UNIQUE INDEX CONCURRENTLY p1_id_k_key ON public.p1 USING btree (id, k)",
                "contract: ALTER TABLE public.p1 ADD CONSTRAINT p1_id_k_key UNIQUE USING INDEX p1_id_k_key",
                "contract: ALTER INDEX public.u ATTACH PARTITION public.p1_id_k_key",
            ]
        );
    }

    #[test]
    fn partitions_are_locked_harder_from_18_on() {
        for (major, mode) in [(17, LockMode::Share), (18, LockMode::AccessExclusive)] {
            let facts = facts(&catalog_on(major, SCHEMA), "ALTER TABLE p ADD UNIQUE (id)");
            assert_eq!(facts[0].locks[1].mode, mode, "{major}");
        }
    }

    #[test]
    fn certain_failures() {
        for (sql, word) in [
            ("ALTER TABLE users ADD UNIQUE (nothing)", "42703"),
            ("ALTER TABLE users ADD CONSTRAINT ready UNIQUE (email)", "42P07"),
            ("ALTER TABLE p ADD UNIQUE (k)", "0A000"),
            ("ALTER TABLE users ADD CONSTRAINT x UNIQUE USING INDEX users_pkey", "55000"),
        ] {
            let (code, said) = refused(&catalog(SCHEMA), sql);
            assert!(code == Code::WillFail && said.contains(word), "{sql}: {said}");
        }
        let (_, said) =
            refused(&catalog_on(14, SCHEMA), "ALTER TABLE users ADD UNIQUE NULLS NOT DISTINCT (age)");
        assert!(said.contains("42601"), "{said}");
    }
}
