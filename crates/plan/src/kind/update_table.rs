//! UPDATE over a whole table: a throttled, resumable backfill where its batches equal the statement.
//!
//! The statement writes each row that satisfies WHERE at its start, once. So do the batches: the keys of those rows are kept
//! in a table of ours, and each row is written once, in the order of the key. Without a key only a write that reads nothing of
//! what it writes can be done, because a row that is met twice is then written the same.
//!
//! `keep-before-image` makes it undoable: each batch keeps the rows as they were, in the same statement. Undo puts back those
//! whose columns are still what the UPDATE left; the others stay as running code wrote them, and in the archive as they were.

use crate::catalog::{Generated, Identity, Relation, RelationKind, TriggerEvent};
use crate::diagnostic::{Code, Refusal};
use crate::effect::Effect;
use crate::kind::shared::batch::{self, wrap};
use crate::kind::shared::before_image::BeforeImage;
use crate::kind::shared::clock::Clock;
use crate::kind::shared::whole_table::{SYSTEM_COLUMNS, Whole, fires, not_batchable};
use crate::kind::shared::will_fail::WillFail;
use crate::kind::shared::{alter, silence, tree};
use crate::kind::{Ctx, Kind, Online};
use crate::pg::lock::LockMode;
use crate::plan::{Facts, Need, Phase, RowSet, Step, Undo, Walk, WorkKind, Write};
use crate::sql::expr::Expr;
use crate::sql::ident::{Ident, Name};

/// See the module.
#[derive(Clone, Debug)]
pub struct UpdateTable {
    /// The statement, for tables made in the same file: there it runs as written.
    pub sql: String,
    /// Table.
    pub table: Name,
    /// Alias under which the expressions see the table; the table's name where none is written.
    pub alias: Ident,
    /// SET, in order.
    pub set: Vec<(Ident, Expr)>,
    /// WHERE
    pub filter: Option<Expr>,
    /// Has FROM, WITH, RETURNING, a multi-column assignment, or ONLY: what, in words.
    pub beyond: Option<String>,
}

impl Kind for UpdateTable {
    fn name(&self) -> &'static str {
        "update_table"
    }

    fn facts(&self, ctx: &Ctx) -> Facts {
        Facts {
            locks: tree::locks(ctx.logical, &self.table, LockMode::RowExclusive),
            work: tree::work(ctx.logical, &self.table, WorkKind::Rows),
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
        self.one_by_one(ctx, table)?;
        let clock = Clock::needed(ctx, &self.table, self.expressions());
        let frozen = clock.as_ref().map(|clock| self.frozen(clock));
        frozen.as_ref().unwrap_or(self).in_batches(ctx, table, clock.as_ref())
    }

    fn effects(&self, _ctx: &Ctx) -> Vec<Effect> {
        Vec::new()
    }
}

impl UpdateTable {
    /// With every reading of the time replaced by the clock's.
    fn frozen(&self, clock: &Clock) -> Self {
        Self {
            set: self.set.iter().map(|(target, expr)| (target.clone(), clock.freeze(expr))).collect(),
            filter: self.filter.as_ref().map(|filter| clock.freeze(filter)),
            ..self.clone()
        }
    }

    fn in_batches(&self, ctx: &Ctx, table: &Relation, clock: Option<&Clock>) -> Result<Online, Refusal> {
        self.whole().unchanging(ctx)?;
        self.whole().undisturbed(ctx)?;
        let fire = silence::fire(ctx, &self.whole())?;
        let undo = if self.written().all(|target| table.column(target).is_some_and(|column| column.new_here))
        {
            Undo::Nothing
        } else {
            Undo::Impossible {
                why: format!(
                    "rows of {} were overwritten, and nothing kept what they were: `-- concertina:keep-before-image` would have",
                    self.table
                ),
            }
        };
        let mut notices = vec![(
            Code::Announce,
            format!(
                "the UPDATE of {} runs in batches: running code meets rows that are written and rows that are not yet",
                self.table
            ),
        )];
        let keep = ctx.directives.keep_before_image;
        if matches!(undo, Undo::Impossible { .. }) && !keep {
            notices.push((
                Code::UndoLoses,
                format!("the UPDATE of {} cannot be undone once it has begun", self.table),
            ));
        }
        let mut steps = Vec::new();
        for leaf in ctx.physical.leaves(&self.table) {
            let rows = match leaf.row_keys().into_iter().next() {
                Some(key) if keep => {
                    let mut columns: Vec<Ident> = self.written().cloned().collect();
                    columns.sort();
                    let mut image = BeforeImage::of_update(ctx, leaf, key.clone(), columns, &self.sql);
                    image.fire_triggers = fire;
                    notices.push(image.notice());
                    steps.push(image.make());
                    let rows = self.by_key(ctx, leaf, key, Undo::Nothing);
                    batch::Rows { write: image.keeping(rows.write), undo: image.put_back(None), ..rows }
                }
                None if keep => {
                    return Err(Refusal::new(
                        Code::NoRowKey,
                        format!("{} has no unique NOT NULL key to keep its rows by", leaf.name),
                        "add a primary key first, or leave keep-before-image out",
                    ));
                }
                Some(key) => self.by_key(ctx, leaf, key, undo.clone()),
                None => {
                    notices.push((
                        Code::Announce,
                        format!(
                            "{} has no key, so a row that running code changes after its batch may be written again",
                            leaf.name
                        ),
                    ));
                    self.by_page(ctx, leaf, undo.clone(), fire)?
                }
            };
            let rows = batch::Rows { fire_triggers: fire, ..rows };
            let mut step = batch::step(leaf, &self.table, &rows);
            for target in self.written() {
                step = step.requires(Need::Column(leaf.name.clone(), target.clone()));
            }
            steps.push(step);
        }
        if let Some(clock) = clock {
            clock.around(&mut steps);
        }
        Ok(Online { steps, notices })
    }
}

/// What makes it fail, and what makes its batches differ from the one statement.
impl UpdateTable {
    /// Source: `transformUpdateTargetList` in src/backend/parser/analyze.c and `rewriteTargetListIU` in
    /// src/backend/rewrite/rewriteHandler.c.
    fn check<'a>(&self, ctx: &Ctx<'a>) -> Result<&'a Relation, WillFail> {
        let table = alter::relation(ctx, &self.table)?;
        if matches!(table.kind, RelationKind::MaterializedView | RelationKind::CompositeType) {
            return Err(WillFail::new("42809", format!("{} cannot be updated", self.table), "name a table"));
        }
        for (target, expr) in &self.set {
            let column = alter::column(table, target)?;
            let always = column.identity == Some(Identity::Always);
            let generated = matches!(column.generated, Some(Generated::Stored | Generated::Virtual));
            if (always || generated) && !is_default(expr) {
                return Err(WillFail::new(
                    "428C9",
                    format!("column {target} of {} can only be updated to DEFAULT", self.table),
                    "leave the column out",
                ));
            }
        }
        for reference in self.expressions().flat_map(|expr| &expr.columns) {
            if !SYSTEM_COLUMNS.contains(&reference.column.as_str()) {
                alter::column(table, &reference.column)?;
            }
        }
        Ok(table)
    }

    /// Each row is written by itself: the new value depends on nothing that another batch writes.
    fn one_by_one(&self, ctx: &Ctx, table: &Relation) -> Result<(), Refusal> {
        if table.kind == RelationKind::View {
            return not_batchable(format!("{} is a view", self.table), "update the table below it");
        }
        alter::planned(table)?;
        if let Some(beyond) = &self.beyond {
            return not_batchable(
                format!("the UPDATE of {} has {beyond}", self.table),
                "write it as UPDATE … SET column = expression [WHERE …], one column each, with a subquery for values of other tables",
            );
        }
        if let Some((target, _)) = self.set.iter().find(|(_, expr)| is_default(expr)) {
            return not_batchable(
                format!("column {target} of {} is set to DEFAULT", self.table),
                "write the default's expression",
            );
        }
        self.whole().one_by_one(ctx)
    }
}

impl UpdateTable {
    fn as_written(&self, ctx: &Ctx) -> Step {
        Step::transaction(
            Phase::Expand,
            format!("Update {}", self.table),
            "the table was made by this file, and nobody uses it yet",
            vec![self.sql.clone()],
        )
        .locks(tree::locks(ctx.physical, &self.table, LockMode::RowExclusive))
        .requires(Need::Relation(self.table.clone()))
    }

    /// The keys of the rows that satisfy WHERE now are kept, and each is written once.
    fn by_key(&self, ctx: &Ctx, leaf: &Relation, key: Vec<Ident>, undo: Undo) -> batch::Rows {
        let filter = self.filter.as_ref().map(|filter| batch::qualified(&self.alias, filter));
        let content = format!("{} {} {}", ctx.migration, leaf.name, self.sql);
        let row_set = RowSet {
            table: Name {
                schema: Ident::new("concertina"),
                name: Ident::generated(&format!("rows_{}", leaf.name.name.as_str()), &content),
            },
            key,
            filter,
            alias: self.alias.clone(),
        };
        // A backfill that is taken back before it is done leaves its row set.
        let undo = match undo {
            Undo::Nothing => {
                let title = format!("Forget which rows of {} the UPDATE writes", leaf.name);
                let sql = vec![crate::batch::row_set_drop(&row_set)];
                let step = Step::transaction(Phase::Expand, title, "takes back the row set", sql);
                Undo::Steps { steps: vec![step], loses: None }
            }
            undo => undo,
        };
        let walk = Walk::RowSet(row_set);
        self.rows(
            "each row that satisfies WHERE at the start is written once, by its key",
            walk,
            "true".to_owned(),
            undo,
        )
    }

    /// Only for a write that is the same when it is done twice.
    fn by_page(&self, ctx: &Ctx, leaf: &Relation, undo: Undo, fire: bool) -> Result<batch::Rows, Refusal> {
        let written: Vec<&Ident> = self.written().collect();
        let reads =
            self.set.iter().any(|(_, expr)| expr.subquery || written.iter().any(|target| expr.uses(target)));
        let no_key = |why: &str| {
            Err(Refusal::new(
                Code::NoRowKey,
                format!("{} has no unique NOT NULL key, and {why}", leaf.name),
                "add a primary key first",
            ))
        };
        if reads || self.filter.as_ref().is_some_and(|filter| filter.subquery) {
            return no_key(
                "the new values depend on what is written or on other tables: a row could be written twice",
            );
        }
        if let Some(trigger) =
            leaf.triggers.iter().find(|trigger| fire && fires(trigger, TriggerEvent::Update, &written))
        {
            return no_key(&format!("trigger {} could fire twice for a row", trigger.name));
        }
        let old: Vec<String> = written.iter().map(|target| format!("{}.{target}", self.alias)).collect();
        let new: Vec<String> = self
            .set
            .iter()
            .map(|(target, expr)| {
                let data_type = leaf.column(target).map_or("text", |column| column.data_type.as_str());
                format!("{}::{data_type}", wrap(&batch::qualified(&self.alias, expr)))
            })
            .collect();
        let differs = format!("pg_catalog.record_image_ne(ROW({}), ROW({}))", old.join(", "), new.join(", "));
        // The new values must not be computed for rows that WHERE excludes: they may fail there.
        let pending = match &self.filter {
            Some(filter) => format!(
                "CASE WHEN {} THEN {differs} ELSE false END",
                wrap(&batch::qualified(&self.alias, filter))
            ),
            None => differs,
        };
        let walk = Walk::Pages { stride: ctx.policy.stride };
        Ok(self.rows("each row that does not have its new value yet is written", walk, pending, undo))
    }

    fn rows(&self, why: &str, walk: Walk, pending: String, undo: Undo) -> batch::Rows {
        let set = self
            .set
            .iter()
            .map(|(target, expr)| (target.clone(), batch::qualified(&self.alias, expr)))
            .collect();
        batch::Rows {
            title: format!("Update {}", self.table),
            why: why.to_owned(),
            write: Write::Update { alias: self.alias.clone(), set, unchanged: Vec::new(), pending },
            walk,
            fire_triggers: true,
            undo,
        }
    }

    fn whole(&self) -> Whole<'_> {
        Whole {
            verb: "UPDATE",
            event: TriggerEvent::Update,
            table: &self.table,
            expressions: self.expressions().collect(),
            written: self.written().collect(),
        }
    }

    fn written(&self) -> impl Iterator<Item = &Ident> {
        self.set.iter().map(|(target, _)| target)
    }

    fn expressions(&self) -> impl Iterator<Item = &Expr> {
        self.set.iter().map(|(_, expr)| expr).chain(&self.filter)
    }
}

/// `SET column = DEFAULT`: not an expression.
fn is_default(expr: &Expr) -> bool {
    expr.text.eq_ignore_ascii_case("default")
}

#[cfg(test)]
mod tests;
