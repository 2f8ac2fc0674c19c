//! DELETE over a whole table: throttled, resumable batches where they equal the statement.
//!
//! The keys of the rows that satisfy WHERE at the start are kept in a table of ours, so that rows which running code inserts
//! meanwhile stay, as they would. Rows that refer to what would be deleted are looked for before anything is.
//!
//! `keep-before-image` makes it undoable: each batch keeps the rows that it deletes, in the same statement. Undo inserts them
//! again, unless another row has taken the place of one. What foreign keys did to rows of other tables is not kept.

use crate::catalog::{Constraint, ConstraintKind, Index, Relation, RelationKind, TriggerEvent};
use crate::diagnostic::{Code, Refusal};
use crate::effect::Effect;
use crate::kind::shared::batch::{self, wrap};
use crate::kind::shared::before_image::BeforeImage;
use crate::kind::shared::clock::Clock;
use crate::kind::shared::whole_table::{SYSTEM_COLUMNS, Whole, not_batchable};
use crate::kind::shared::will_fail::WillFail;
use crate::kind::shared::{alter, silence, tighten, tree};
use crate::kind::{Ctx, Kind, Online};
use crate::pg::lock::LockMode;
use crate::plan::{Facts, Need, Phase, RowSet, Step, Undo, Walk, Work, WorkKind, Write};
use crate::sql::expr::Expr;
use crate::sql::ident::{Ident, Name};

/// See the module.
#[derive(Clone, Debug)]
pub struct DeleteTable {
    /// The statement, for tables made in the same file: there it runs as written.
    pub sql: String,
    /// Table.
    pub table: Name,
    /// Alias under which WHERE sees the table; the table's name where none is written.
    pub alias: Ident,
    /// WHERE
    pub filter: Option<Expr>,
    /// Has USING, WITH, RETURNING or ONLY: what, in words.
    pub beyond: Option<String>,
}

impl Kind for DeleteTable {
    fn name(&self) -> &'static str {
        "delete_table"
    }

    fn facts(&self, ctx: &Ctx) -> Facts {
        Facts {
            locks: tree::locks(ctx.logical, &self.table, LockMode::RowExclusive),
            work: self.work(ctx),
            transaction: true,
            breaks: vec![format!(
                "writers of the same rows of {} wait until the whole statement is committed",
                self.table
            )],
            fails: self.check(ctx).err().map(Into::into),
        }
    }

    fn online(&self, ctx: &Ctx) -> Result<Online, Refusal> {
        let table = self.check(ctx)?;
        if table.new_here {
            return Ok(Online { steps: vec![self.as_written(ctx)], notices: Vec::new() });
        }
        if table.kind == RelationKind::View {
            return not_batchable(format!("{} is a view", self.table), "delete from the table below it")
                .map(|()| Online::default());
        }
        alter::planned(table)?;
        if let Some(beyond) = &self.beyond {
            return not_batchable(
                format!("the DELETE from {} has {beyond}", self.table),
                "write it as DELETE FROM … [WHERE …], with a subquery for what other tables say",
            )
            .map(|()| Online::default());
        }
        self.whole().one_by_one(ctx)?;
        let clock = Clock::needed(ctx, &self.table, &self.filter);
        let frozen = clock.as_ref().map(|clock| Self {
            filter: self.filter.as_ref().map(|filter| clock.freeze(filter)),
            ..self.clone()
        });
        frozen.as_ref().unwrap_or(self).in_batches(ctx, clock.as_ref())
    }

    fn effects(&self, _ctx: &Ctx) -> Vec<Effect> {
        Vec::new()
    }
}

impl DeleteTable {
    fn check<'a>(&self, ctx: &Ctx<'a>) -> Result<&'a Relation, WillFail> {
        let table = alter::relation(ctx, &self.table)?;
        for reference in self.filter.iter().flat_map(|expr| &expr.columns) {
            if !SYSTEM_COLUMNS.contains(&reference.column.as_str()) {
                alter::column(table, &reference.column)?;
            }
        }
        Ok(table)
    }

    fn whole(&self) -> Whole<'_> {
        Whole {
            verb: "DELETE",
            event: TriggerEvent::Delete,
            table: &self.table,
            expressions: self.filter.iter().collect(),
            written: Vec::new(),
        }
    }

    fn in_batches(&self, ctx: &Ctx, clock: Option<&Clock>) -> Result<Online, Refusal> {
        self.whole().unchanging(ctx)?;
        self.whole().undisturbed(ctx)?;
        let fire = silence::fire(ctx, &self.whole())?;
        let (mut steps, cascades) = self.referring(ctx)?;
        let keep = ctx.directives.keep_before_image;
        let mut notices = vec![(
            Code::Announce,
            format!(
                "the DELETE from {} runs in batches: running code meets rows that are still to go",
                self.table
            ),
        )];
        let elsewhere = self.elsewhere(ctx);
        if !keep {
            let said = format!("the DELETE from {} cannot be undone once it has begun", self.table);
            notices.push((Code::UndoLoses, said));
        } else if let Some(lost) = &elsewhere {
            notices.push((Code::UndoLoses, format!("undo of the DELETE from {} loses {lost}", self.table)));
        }
        notices.extend(cascades.into_iter().map(|said| (Code::Announce, said)));
        for leaf in ctx.physical.leaves(&self.table) {
            let Some(key) = leaf.row_keys().into_iter().next() else {
                return Err(Refusal::new(
                    Code::NoRowKey,
                    format!("{} has no unique NOT NULL key to delete by", leaf.name),
                    "add a primary key first",
                ));
            };
            let mut rows = self.rows(ctx, leaf, key.clone());
            rows.fire_triggers = fire;
            if keep {
                let mut image = BeforeImage::of_delete(ctx, leaf, key, &self.sql);
                image.fire_triggers = fire;
                notices.push(image.notice());
                steps.push(image.make());
                rows.write = image.keeping(rows.write);
                rows.undo = image.put_back(elsewhere.clone());
            }
            let step = batch::step(leaf, &self.table, &rows);
            steps.push(step.requires(Need::Relation(leaf.name.clone())));
        }
        if let Some(clock) = clock {
            clock.around(&mut steps);
        }
        Ok(Online { steps, notices })
    }

    fn rows(&self, ctx: &Ctx, leaf: &Relation, key: Vec<Ident>) -> batch::Rows {
        let content = format!("{} {} {}", ctx.migration, leaf.name, self.sql);
        let row_set = RowSet {
            table: Name {
                schema: Ident::new("concertina"),
                name: Ident::generated(&format!("rows_{}", leaf.name.name.as_str()), &content),
            },
            key,
            filter: self.filter.as_ref().map(|filter| batch::qualified(&self.alias, filter)),
            alias: self.alias.clone(),
        };
        batch::Rows {
            title: format!("Delete from {}", self.table),
            why: "each row that satisfies WHERE at the start is deleted, by its key".to_owned(),
            write: Write::Delete { alias: self.alias.clone() },
            walk: Walk::RowSet(row_set),
            fire_triggers: true,
            undo: Undo::Impossible {
                why: format!(
                    "rows of {} were deleted, and nothing kept them: `-- concertina:keep-before-image` would have",
                    self.table
                ),
            },
        }
    }

    fn as_written(&self, ctx: &Ctx) -> Step {
        Step::transaction(
            Phase::Expand,
            format!("Delete from {}", self.table),
            "the table was made by this file, and nobody uses it yet",
            vec![self.sql.clone()],
        )
        .locks(tree::locks(ctx.physical, &self.table, LockMode::RowExclusive))
        .requires(Need::Relation(self.table.clone()))
    }

    /// The table's own rows, and whole tables that are read for each of them because no index leads to the rows that refer to it.
    fn work(&self, ctx: &Ctx) -> Vec<Work> {
        let mut work = tree::work(ctx.logical, &self.table, WorkKind::Rows);
        for (_, child, key) in self.incoming(ctx) {
            if unindexed(child, key) && child.name != self.table {
                work.extend(tree::work(ctx.logical, &child.name, WorkKind::Scan));
            }
        }
        work
    }

    /// Foreign keys to the table or a part of it.
    fn incoming<'a>(&self, ctx: &Ctx<'a>) -> Vec<(&'a Relation, &'a Relation, &'a Constraint)> {
        let tree = ctx.logical.tree(&self.table).into_iter();
        let keys = tree.flat_map(|relation| {
            let keys = ctx.logical.incoming_foreign_keys(&relation.name);
            keys.into_iter().map(move |(child, key)| (relation, child, key))
        });
        keys.filter(|(_, _, key)| !key.inherited).collect()
    }

    /// What a DELETE does to other tables, which nothing keeps.
    fn elsewhere(&self, ctx: &Ctx) -> Option<String> {
        let acts = |key: &Constraint| {
            let definition = key.definition.to_uppercase();
            definition.contains("ON DELETE CASCADE") || definition.contains("ON DELETE SET")
        };
        let tables: Vec<String> = self
            .incoming(ctx)
            .into_iter()
            .filter(|(_, _, key)| acts(key))
            .map(|(_, child, _)| child.name.to_string())
            .collect();
        (!tables.is_empty()).then(|| format!("what foreign keys did to rows of {}", tables.join(", ")))
    }

    /// Proofs that no row refers to what would be deleted, where that makes the one statement fail; and what foreign keys do
    /// to rows of other tables.
    fn referring(&self, ctx: &Ctx) -> Result<(Vec<Step>, Vec<String>), Refusal> {
        let (mut proofs, mut cascades) = (Vec::new(), Vec::new());
        let tree = ctx.logical.tree(&self.table);
        for (relation, child, key) in self.incoming(ctx) {
            if unindexed(child, key) {
                cascades.push(format!(
                    "no index of {} begins with the columns of {}: each deleted row reads the whole of it; build one first",
                    child.name, key.name
                ));
            }
            if key.definition.to_uppercase().contains("ON DELETE CASCADE") {
                cascades.push(format!("rows of {} that refer to deleted ones go with them", child.name));
            } else if key.definition.to_uppercase().contains("ON DELETE SET") {
                cascades.push(format!("rows of {} that refer to deleted ones are changed", child.name));
            } else if tree.iter().any(|own| own.name == child.name) {
                not_batchable(
                    format!(
                        "rows of {} refer to each other by {}: a batch may fail where the whole does not",
                        self.table, key.name
                    ),
                    "drop the foreign key first, and add it again after",
                )?;
            } else {
                proofs.extend(self.proof(relation, child, key));
            }
        }
        Ok((proofs, cascades))
    }

    fn proof(&self, table: &Relation, child: &Relation, key: &Constraint) -> Option<Step> {
        let ConstraintKind::ForeignKey { columns, .. } = &key.kind else { return None };
        let alias = &self.alias;
        let shown: Vec<String> =
            columns.iter().map(|column| format!("{alias}.{column}::text AS {column}")).collect();
        let mut same: Vec<String> = columns
            .iter()
            .zip(&key.columns)
            .map(|(column, referring)| format!("concertina_child.{referring} = {alias}.{column}"))
            .collect();
        same.sort();
        let filter = self
            .filter
            .as_ref()
            .map(|filter| format!("{} AND ", wrap(&batch::qualified(alias, filter))))
            .unwrap_or_default();
        let query = format!(
            "SELECT {} FROM {} AS {alias} WHERE {filter}EXISTS (SELECT FROM {} AS concertina_child WHERE {}) LIMIT 5",
            shown.join(", "),
            table.name,
            child.name,
            same.join(" AND ")
        );
        let violation = format!("rows of {} to be deleted that {} refers to", table.name, child.name);
        let mut step = tighten::proof(&table.name, &format!("foreign key {}", key.name), query, violation);
        step.phase = Phase::Backfill;
        step.title = format!("Check that no row of {} refers to what is deleted", child.name);
        "the one statement would fail, and batches would stop in the middle".clone_into(&mut step.why);
        Some(step)
    }
}

/// No index leads to the rows of a key.
fn unindexed(child: &Relation, key: &Constraint) -> bool {
    let leads = |index: &Index| {
        let first = index.columns.iter().take(key.columns.len());
        index.valid
            && !index.partial
            && first.flatten().filter(|column| key.columns.contains(column)).count() == key.columns.len()
    };
    !child.indexes.iter().any(leads)
}

#[cfg(test)]
mod tests {
    use crate::diagnostic::Code;
    use crate::kind::shared::proving::{catalog, plan};
    use crate::kind::shared::testing::refused;
    use crate::plan::{Action, Phase, Walk};

    const SCHEMA: &str = "CREATE TABLE users (id int PRIMARY KEY, age int, boss int);
        CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users);
        CREATE TABLE notes (id int PRIMARY KEY, user_id int REFERENCES users ON DELETE CASCADE);
        CREATE TABLE tree (id int PRIMARY KEY, parent int REFERENCES tree);
        CREATE TABLE heap (a int)";

    #[test]
    fn rows_are_fixed_at_the_start_and_references_proven() {
        let plan = plan(&catalog(SCHEMA), "DELETE FROM users u WHERE age < 18");
        assert_eq!(plan.steps.len(), 2);
        let Action::Proof { query, .. } = &plan.steps[0].action else { panic!("{plan:?}") };
        assert!(query.contains("(u.age < 18) AND EXISTS (SELECT FROM public.orders"), "{query}");
        let Action::Backfill(backfill) = &plan.steps[1].action else { panic!("{plan:?}") };
        assert!(matches!(&backfill.walk, Walk::RowSet(set) if set.filter.as_deref() == Some("u.age < 18")));
        assert!(plan.steps.iter().all(|step| step.phase == Phase::Backfill));
        assert!(plan.notices.iter().any(|notice| notice.message.contains("public.notes")));
    }

    #[test]
    fn what_batches_would_do_otherwise_is_refused() {
        for (sql, code, said) in [
            ("DELETE FROM tree", Code::NotBatchable, "refer to each other"),
            ("DELETE FROM heap", Code::NoRowKey, "no unique NOT NULL key"),
            ("DELETE FROM users USING orders WHERE orders.user_id = users.id", Code::NotBatchable, "USING"),
            (
                "DELETE FROM users WHERE id IN (SELECT boss FROM users)",
                Code::NotBatchable,
                "reads public.users",
            ),
            ("DELETE FROM users WHERE random() < 0.5", Code::NotBatchable, "volatile"),
            ("DELETE FROM users WHERE zz = 1", Code::WillFail, "42703"),
        ] {
            let (found, reason) = refused(&catalog(SCHEMA), sql);
            assert!(found == code && reason.contains(said), "{sql}: {found} {reason}");
        }
    }
}
