//! ADD UNIQUE: unique index CONCURRENTLY, then ADD CONSTRAINT … USING INDEX.

use crate::catalog::{Constraint, ConstraintKind, Index, Relation, RelationKind};
use crate::ddl;
use crate::diagnostic::Refusal;
use crate::effect::Effect;
use crate::kind::shared::tree;
use crate::kind::shared::will_fail::{self, WillFail};
use crate::kind::{Ctx, Kind, Online};
use crate::pg::lock::LockMode;
use crate::plan::{Facts, LockClaim, WorkKind};
use crate::sql::ident::{Ident, Name, list};

/// See the module.
#[derive(Clone, Debug)]
pub struct AddUnique {
    /// Table.
    pub table: Name,
    /// Name: given, or as PostgreSQL would choose it.
    pub name: Ident,
    /// Key columns.
    pub columns: Vec<Ident>,
    /// INCLUDE columns.
    pub include: Vec<Ident>,
    /// NULLS NOT DISTINCT (15+)
    pub nulls_not_distinct: bool,
    /// `WITH (…)` and the index tablespace, as written; empty if none.
    pub storage: String,
    /// DEFERRABLE and INITIALLY clauses, as written; empty if none.
    pub deferrable: String,
    /// `USING INDEX name`: then the rest is empty.
    pub using_index: Option<Ident>,
}

impl Kind for AddUnique {
    fn name(&self) -> &'static str {
        "add_unique"
    }

    fn facts(&self, ctx: &Ctx) -> Facts {
        let breaks =
            vec![format!("code that writes duplicates into {} gets errors (23505) from then on", self.table)];
        let fails = self.check(ctx).err().map(Into::into);
        if let Some(index) = &self.using_index {
            let mut locks = tree::lock(ctx.logical, &self.table, LockMode::AccessExclusive);
            if *index != self.name && !locks.is_empty() {
                // The index takes the constraint's name.
                let relation = self.table.sibling(index.clone());
                locks.push(LockClaim { relation, mode: LockMode::ShareUpdateExclusive });
            }
            return Facts { locks, transaction: true, fails, ..Facts::default() };
        }
        Facts {
            locks: self.locks_as_written(ctx),
            work: tree::work(ctx.logical, &self.table, WorkKind::IndexBuild),
            transaction: true,
            breaks,
            fails,
        }
    }

    fn online(&self, _ctx: &Ctx) -> Result<Online, Refusal> {
        todo!()
    }

    fn effects(&self, ctx: &Ctx) -> Vec<Effect> {
        let own = self.index(ctx);
        let mut effects = vec![
            Effect::Index { table: self.table.clone(), index: own.clone() },
            Effect::Constraint { table: self.table.clone(), constraint: self.constraint(&own) },
        ];
        if let Some(using) = &self.using_index
            && *using != self.name
        {
            effects.insert(0, Effect::IndexGone { table: self.table.clone(), index: using.clone() });
        }
        for branch in self.branches(ctx) {
            let constraint = Constraint { inherited: true, ..self.constraint(&branch.index) };
            effects.push(Effect::Index { table: branch.table.clone(), index: branch.index });
            effects.push(Effect::Constraint { table: branch.table, constraint });
        }
        effects
    }
}

impl AddUnique {
    /// ACCESS EXCLUSIVE on the table; on its partitions only SHARE before 18. Source: measured on 14 to 18.
    fn locks_as_written(&self, ctx: &Ctx) -> Vec<LockClaim> {
        let below = if ctx.logical.server.version.unique_locks_partitions() {
            LockMode::AccessExclusive
        } else {
            LockMode::Share
        };
        let mut locks = tree::locks(ctx.logical, &self.table, below);
        if let Some(own) = locks.iter_mut().find(|lock| lock.relation == self.table) {
            own.mode = LockMode::AccessExclusive;
        }
        locks
    }

    /// What is certain to make the statement fail. Source: `transformIndexConstraint` in
    /// src/backend/parser/parse_utilcmd.c.
    fn check<'a>(&self, ctx: &Ctx<'a>) -> Result<&'a Relation, WillFail> {
        let table = will_fail::table(ctx, &self.table)?;
        will_fail::columns(table, self.columns.iter().chain(&self.include))?;
        will_fail::constraint_name_free(table, &self.name)?;
        if self.nulls_not_distinct && !ctx.logical.server.version.nulls_not_distinct() {
            return Err(WillFail::new(
                "42601",
                format!(
                    "NULLS NOT DISTINCT needs PostgreSQL 15, the server is {}",
                    ctx.logical.server.version
                ),
                "leave it out, or use a unique index on an expression without NULL",
            ));
        }
        if let Some(given) = &self.using_index {
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
        } else if ctx.logical.relation_name_taken(&self.table.sibling(self.name.clone())) {
            return Err(WillFail::new(
                "42P07",
                format!("relation {} exists already", self.table.sibling(self.name.clone())),
                "choose another name",
            ));
        }
        if table.kind == RelationKind::PartitionedTable {
            if self.using_index.is_some() {
                return Err(WillFail::new(
                    "0A000",
                    format!("ADD CONSTRAINT USING INDEX does not work on partitioned table {}", self.table),
                    "write UNIQUE (columns)",
                ));
            }
            will_fail::unique_covers_partition_key(ctx, table, &self.columns)?;
        }
        Ok(table)
    }

    /// The index behind the constraint, as the catalog will show it.
    fn index(&self, ctx: &Ctx) -> Index {
        let given = self
            .using_index
            .as_ref()
            .and_then(|index| ctx.logical.relation(&self.table)?.index(index))
            .cloned();
        let constraint = Some(self.name.clone());
        let immediate = self.deferrable.is_empty();
        match given {
            Some(index) => Index { name: self.name.clone(), constraint, immediate, ..index },
            None => Index {
                name: self.name.clone(),
                columns: self.columns.iter().cloned().map(Some).collect(),
                include: self.include.clone(),
                uses: self.columns.iter().chain(&self.include).cloned().collect(),
                unique: true,
                primary: false,
                exclusion: false,
                partial: false,
                immediate,
                valid: true,
                constraint,
                inherited: false,
                definition: self.index_definition(&self.name, &self.table),
            },
        }
    }

    /// The unique index as `CREATE UNIQUE INDEX` would be written, without CONCURRENTLY.
    fn index_definition(&self, name: &Ident, table: &Name) -> String {
        format!("CREATE UNIQUE INDEX {name} ON {table} USING btree {}", self.body())
    }

    /// What follows the access method of the index.
    fn body(&self) -> String {
        let mut body = format!("({})", list(&self.columns));
        if !self.include.is_empty() {
            body.push_str(&format!(" INCLUDE ({})", list(&self.include)));
        }
        if self.nulls_not_distinct {
            body.push_str(" NULLS NOT DISTINCT");
        }
        if !self.storage.is_empty() {
            body.push(' ');
            body.push_str(&self.storage);
        }
        body
    }

    /// The constraint that stands on `index`.
    fn constraint(&self, index: &Index) -> Constraint {
        let distinct = if self.nulls_not_distinct { " NULLS NOT DISTINCT" } else { "" };
        let include = if index.include.is_empty() {
            String::new()
        } else {
            format!(" INCLUDE ({})", list(&index.include))
        };
        let deferrable =
            if self.deferrable.is_empty() { String::new() } else { format!(" {}", self.deferrable) };
        let columns: Vec<Ident> = index.columns.iter().flatten().cloned().collect();
        Constraint {
            name: index.name.clone(),
            kind: ConstraintKind::Unique,
            definition: format!("UNIQUE{distinct} ({}){include}{deferrable}", list(&columns)),
            columns,
            validated: true,
            deferrable: !index.immediate,
            inherited: false,
        }
    }

    fn branches(&self, ctx: &Ctx) -> Vec<ddl::index::Branch> {
        let index = self.index(ctx);
        let columns = ddl::index::column_names(&index);
        ddl::index::branches(ctx.logical, &self.table, &index, &columns, "key")
            .into_iter()
            .map(|mut branch| {
                branch.index.constraint = Some(branch.index.name.clone());
                branch
            })
            .collect()
    }
}
