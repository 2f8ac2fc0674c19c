//! A change of type that rewrites: a second column of the new type, kept in step, filled, then swapped in under the same name.
//!
//! Until the switch old code reads and writes the column that was there; the trigger carries each value over. At the switch the two
//! change places in one short transaction ([`super::swap`]), and from then on the trigger carries what is written back, so that
//! undo loses nothing until contract, which drops the column that was there.

use std::collections::BTreeSet;

use crate::catalog::{Catalog, Column, Relation};
use crate::ddl;
use crate::diagnostic::{Code, Refusal};
use crate::effect::{Effect, fold};
use crate::kind::change_type::ChangeType;
use crate::kind::change_type::conversion::{Conversion, Values};
use crate::kind::change_type::swap::{Swap, Swapping};
use crate::kind::shared::second::Second;
use crate::kind::shared::{batch, tighten, tree};
use crate::kind::{Ctx, Online};
use crate::pg::cast::{self, Assignment};
use crate::pg::lock::LockMode;
use crate::plan::{Action, Blocks, Need, Phase, Probe, Step, Undo, WorkKind};
use crate::sql::expr::Expr;
use crate::sql::ident::Ident;

/// The two columns and the ways between them.
struct Shadow<'a> {
    change: &'a ChangeType,
    ctx: &'a Ctx<'a>,
    table: &'a Relation,
    column: &'a Column,
    /// The second column, until the switch.
    second: Ident,
    /// The column that was there, after it.
    aside: Ident,
    up: Conversion,
    /// `None` where the way back is given up.
    down: Option<Conversion>,
}

/// The steps and what is to be said of them.
pub(super) fn online(
    change: &ChangeType,
    ctx: &Ctx,
    table: &Relation,
    column: &Column,
) -> Result<Online, Refusal> {
    Shadow::new(change, ctx, table, column)?.online()
}

impl<'a> Shadow<'a> {
    fn new(
        change: &'a ChangeType,
        ctx: &'a Ctx<'a>,
        table: &'a Relation,
        column: &'a Column,
    ) -> Result<Self, Refusal> {
        change.default_fits(column)?;
        nothing_goes_later(change, ctx)?;
        let content = format!("{} type of {}.{}", ctx.migration, change.table, change.column);
        let named =
            |head: &str| Ident::generated(&format!("concertina_{head}_{}", change.column.as_str()), &content);
        let (second, aside) = (named("new"), named("old"));
        let (old, new) = (column.data_type.as_str(), change.data_type.as_str());
        let up = Values {
            from: &change.column,
            from_type: old,
            into: &second,
            into_type: &change.written,
            by: change.using.as_ref().filter(|_| !change.assigns()),
            may_fail: change.may_fail(column)?.then_some(Blocks::Switch),
        };
        let up = Conversion::new(ctx, table, up);
        let given = ctx.directives.down_for(&change.column);
        let down = if ctx.directives.irreversible.is_some() {
            None
        } else {
            let values = Values {
                from: &change.column,
                from_type: new,
                into: &aside,
                into_type: old,
                by: given,
                may_fail: (given.is_some() || cast::assigned(new, old) != Assignment::Always)
                    .then_some(Blocks::Undo),
            };
            if given.is_none() && !change.casts() {
                return Err(no_way_back(change, old));
            }
            let after = Relation { columns: retyped(table, &change.column, new), ..table.clone() };
            Some(Conversion::new(ctx, &after, values))
        };
        Ok(Self { change, ctx, table, column, second, aside, up, down })
    }

    fn online(&self) -> Result<Online, Refusal> {
        let mut steps = Vec::new();
        steps.extend(self.attempt());
        steps.push(self.add());
        let met = fold(self.ctx.physical, steps.iter().flat_map(|step: &Step| &step.provides));
        let ctx = Ctx { physical: &met, ..*self.ctx };
        steps.extend(self.fill(&ctx));
        steps.push(self.agree(Phase::Validate, "from here on the second column is complete"));
        let second = Second { table: &self.change.table, of: &self.change.column, column: &self.second };
        steps.push(second.analyze(&ctx));
        let Swapping { build, mut rest } = self.swap().steps(&ctx)?;
        if let Some(last) = rest.last_mut() {
            let met = fold(&met, build.iter().chain([&*last]).flat_map(|step| &step.provides));
            last.undo = self.back(&Ctx { logical: &met, physical: &met, ..*self.ctx })?;
        }
        steps.extend(build);
        steps.push(self.agree(Phase::Switch, "what bypassed the trigger is found before anybody reads it"));
        steps.extend(rest);
        steps.push(self.last());
        Ok(Online { steps, notices: self.notices() })
    }

    fn swap(&self) -> Swap<'_> {
        Swap {
            table: &self.change.table,
            column: &self.change.column,
            standby: &self.second,
            aside: &self.aside,
            out: &self.up,
            back: self.down.as_ref(),
            default: self.change.default_after(self.column),
            build: Phase::Validate,
            phase: Phase::Switch,
        }
    }

    /// What takes the swap back: the same, the other way round.
    fn back(&self, ctx: &Ctx) -> Result<Undo, Refusal> {
        let Some(down) = &self.down else {
            let why = self.ctx.directives.irreversible.clone().unwrap_or_default();
            return Ok(Undo::Impossible { why });
        };
        let swap = Swap {
            standby: &self.aside,
            aside: &self.second,
            out: down,
            back: None,
            default: self.column.default.as_deref(),
            build: Phase::Switch,
            ..self.swap()
        };
        let Swapping { build, rest } = swap.steps(ctx)?;
        let mut steps = Vec::new();
        if let Some(fails) = down.fails_still(&self.table.name.name) {
            steps.push(self.proof(
                Phase::Switch,
                &format!("Prove that every value of {} fits its old type", self.change.column),
                "undo would lose the others",
                &fails,
                format!(
                    "rows of {} whose {} the old type cannot hold",
                    self.change.table, self.change.column
                ),
            ));
        }
        steps.extend(build);
        steps.extend(rest);
        steps.iter_mut().for_each(|step| step.undo = Undo::Nothing);
        Ok(Undo::Steps { steps, loses: None })
    }

    /// The function that tries the conversion, and the proof that every row passes, before anything touches the table.
    fn attempt(&self) -> Vec<Step> {
        let Some(fails) = self.up.fails(&self.table.name.name) else { return Vec::new() };
        let gone = Step::transaction(
            Phase::Expand,
            format!("Remove the function that tries the conversion of {}", self.change.column),
            "takes it back",
            self.up.remove_attempt(),
        );
        vec![
            Step::transaction(
                Phase::Expand,
                format!(
                    "Make a function that tries the conversion of {} of {}",
                    self.change.column, self.change.table
                ),
                "a value that cannot be converted must stop the migration, not the application",
                self.up.create_attempt(),
            )
            .undone_by(vec![gone]),
            self.proof(
                Phase::Expand,
                &format!(
                    "Prove that every value of {} of {} can be converted",
                    self.change.column, self.change.table
                ),
                "rows that cannot are named before anything is changed",
                &fails,
                format!(
                    "rows of {} whose {} cannot be converted to {}",
                    self.change.table, self.change.column, self.change.written
                ),
            ),
        ]
    }

    fn proof(&self, phase: Phase, title: &str, why: &str, condition: &str, violation: String) -> Step {
        let action = Action::Proof { query: tighten::violators(self.table, condition), violation };
        Step::new(phase, title, why, action).work(&self.change.table, WorkKind::Scan)
    }

    /// Column, trigger and rights in one transaction, so that no row is written without its second value.
    fn add(&self) -> Step {
        let (table, second) = (&self.change.table, &self.second);
        let collate = self.change.collate.as_ref().map(|clause| format!(" {clause}")).unwrap_or_default();
        let mut sql = self.beside(second, &format!("{}{collate}", self.change.written));
        sql.extend(self.up.create());
        let column = Column {
            name: second.clone(),
            data_type: self.change.data_type.clone(),
            not_null: None,
            default: None,
            identity: None,
            generated: None,
            new_here: true,
            extras: self.column.extras.clone(),
        };
        let mut gone = self.up.remove();
        gone.push(ddl::column::drop_if_exists(table, second));
        let mut undo = Step::transaction(
            Phase::Expand,
            format!("Drop column {second} of {table}"),
            format!("its values are in {}", self.change.column),
            gone,
        )
        .locks(tree::locks(self.ctx.physical, table, LockMode::AccessExclusive))
        .probe(self.there(second, false));
        undo.provides = self.up.goes();
        undo.provides.push(Effect::ColumnGone { table: table.clone(), column: second.clone() });
        let mut step = Step::transaction(
            Phase::Expand,
            format!("Add column {second} to {table}, kept in step with {}", self.change.column),
            "column and trigger arrive together: no row is written without its second value",
            sql,
        )
        .locks(tree::locks(self.ctx.physical, table, LockMode::AccessExclusive))
        .probe(Probe::All { of: vec![self.there(second, true), self.up.probe(true)] })
        .undone_by(vec![undo])
        .requires(Need::Column(table.clone(), self.change.column.clone()))
        .requires(Need::NoColumn(table.clone(), second.clone()))
        .provides(Effect::Column { table: table.clone(), column });
        step.provides.extend(self.up.appears());
        step.quarantines = self.up.quarantined();
        step
    }

    /// Adds a column with the rights and the description that the other one has.
    fn beside(&self, column: &Ident, definition: &str) -> Vec<String> {
        let (table, extras) = (&self.change.table, &self.column.extras);
        let mut sql = vec![ddl::column::add(table, column, definition)];
        sql.extend(ddl::column::grants(table, column, &extras.grants));
        sql.extend(ddl::column::described(table, column, extras));
        sql
    }

    fn there(&self, column: &Ident, exists: bool) -> Probe {
        Probe::Column { table: self.change.table.clone(), column: column.clone(), exists }
    }

    /// Rows that were there before the trigger.
    fn fill(&self, ctx: &Ctx) -> Vec<Step> {
        let why = "rows that were there before the trigger get their second value";
        self.carried(ctx, &self.up, &self.second, why)
    }

    fn carried(&self, ctx: &Ctx, by: &Conversion, into: &Ident, why: &str) -> Vec<Step> {
        let (table, column) = (&self.change.table, &self.change.column);
        let (value, pending) = (by.value(&table.name), by.pending(&table.name));
        batch::fill(ctx, table, into, column, batch::Filling { why, value, pending })
    }

    fn agree(&self, phase: Phase, why: &str) -> Step {
        let (table, column, second) = (&self.change.table, &self.change.column, &self.second);
        let alias = &self.table.name.name;
        self.proof(
            phase,
            &format!("Prove that {second} of {table} holds every value of {column}"),
            why,
            &self.up.wrong(alias),
            format!("rows of {table} whose {column} is not in {second}, because it cannot be converted or bypassed the trigger"),
        )
    }

    /// The column that was there goes, with what kept it in step.
    fn last(&self) -> Step {
        let (table, aside) = (&self.change.table, &self.aside);
        let mut sql: Vec<String> = self.down.iter().flat_map(Conversion::remove).collect();
        sql.push(ddl::column::drop(table, aside));
        sql.extend(self.down.iter().flat_map(Conversion::remove_attempt));
        let mut step = Step::transaction(
            Phase::Contract,
            format!("Drop column {aside} of {table}"),
            format!("nobody needs {} in its old type any more", self.change.column),
            sql,
        )
        .locks(tree::locks(self.ctx.physical, table, LockMode::AccessExclusive))
        .probe(self.there(aside, false))
        .requires(Need::Column(table.clone(), aside.clone()));
        step.provides.extend(self.down.iter().flat_map(Conversion::goes));
        step.provides.push(Effect::ColumnGone { table: table.clone(), column: aside.clone() });
        step.destroys = self.loses().is_some();
        step.undo = match &self.down {
            None => Undo::Impossible { why: self.ctx.directives.irreversible.clone().unwrap_or_default() },
            Some(down) => Undo::Steps { steps: self.again(down), loses: self.loses() },
        };
        step
    }

    /// The column that was there comes back, from what is in the new one.
    fn again(&self, down: &Conversion) -> Vec<Step> {
        let (table, aside) = (&self.change.table, &self.aside);
        let collate =
            self.column.extras.collation.as_ref().map(|name| format!(" COLLATE {name}")).unwrap_or_default();
        let mut sql = self.beside(aside, &format!("{}{collate}", self.column.data_type));
        sql.extend(down.create_attempt());
        sql.extend(down.create());
        let back = Column {
            name: aside.clone(),
            not_null: None,
            default: None,
            identity: None,
            ..self.column.clone()
        };
        let mut add = Step::transaction(
            Phase::Contract,
            format!("Add column {aside} to {table} again, kept in step with {}", self.change.column),
            "what is written from here on is carried back",
            sql,
        )
        .locks(tree::locks(self.ctx.physical, table, LockMode::AccessExclusive))
        .probe(self.there(aside, true))
        .provides(Effect::Column { table: table.clone(), column: back });
        add.provides.extend(down.appears());
        let mut steps = vec![add];
        let why = "rows that were written without it get their value back";
        steps.extend(self.carried(self.ctx, down, aside, why));
        steps.iter_mut().for_each(|step| step.undo = Undo::Nothing);
        steps
    }

    fn loses(&self) -> Option<String> {
        let comes_back =
            self.change.assigns() && cast::comes_back(&self.column.data_type, &self.change.data_type);
        (!comes_back).then(|| {
            format!("{} of {} is computed back from the new values: what the change of type rounded or cut off is gone", self.change.column, self.change.table)
        })
    }

    fn notices(&self) -> Vec<(Code, String)> {
        let (table, column, second) = (&self.change.table, &self.change.column, &self.second);
        let mut said = vec![
            (Code::Breaks, format!("at the switch, {}", self.change.felt())),
            (
                Code::Breaks,
                format!(
                    "{table} has one more column, {second}, until contract, and {column} is its last column from the switch on: INSERT \
                     and COPY without a list of columns fail or put values into the wrong ones, and SELECT * returns another order"
                ),
            ),
        ];
        // Source: `ExecInsertIndexTuples` in src/backend/executor/execIndexing.c: only the index named by ON CONFLICT is forgiving.
        let tree = self.ctx.logical.tree(table);
        let keys = tree.iter().flat_map(|relation| &relation.indexes);
        if keys.clone().any(|index| index.unique && index.immediate && index.uses.contains(column)) {
            said.push((
                Code::Breaks,
                format!(
                    "from the end of expand until the switch, two sessions that upsert the same new key of {table} over {column} at the \
                     same instant may get an error (23505), because {second} is unique, too; to try again is enough"
                ),
            ));
        }
        if self.up.attempt().is_some() {
            said.push((
                Code::Announce,
                format!(
                    "until the switch, a value of {column} that cannot be converted is accepted and its row goes into quarantine, which \
                     stops the switch until it is repaired (`concertina quarantine`)"
                ),
            ));
        }
        match &self.down {
            None => said.push((
                Code::UndoLoses,
                format!(
                    "from the switch on nothing takes the new type of {column} back, as `irreversible` says"
                ),
            )),
            Some(down) => {
                if down.attempt().is_some() {
                    said.push((
                        Code::Announce,
                        format!(
                            "from the switch on, values of {column} that only the new type can hold are accepted and their rows go into \
                             quarantine, which stops an undo until they are repaired (`concertina quarantine`)"
                        ),
                    ));
                }
                let values = self.loses().map(|loses| format!(", and {loses}")).unwrap_or_default();
                said.push((
                    Code::UndoLoses,
                    format!("undo after contract brings the old {column} of {table} back as its last column{values}"),
                ));
            }
        }
        said.extend(batch::trigger_notices(self.ctx, self.table, second));
        said
    }
}

fn retyped(table: &Relation, column: &Ident, data_type: &str) -> Vec<Column> {
    let retype = |known: &Column| match known.name == *column {
        true => Column { data_type: data_type.to_owned(), ..known.clone() },
        false => known.clone(),
    };
    table.columns.iter().map(retype).collect()
}

/// What an earlier statement of the file drops at contract only would still hang on the column at the switch, and come back by undo
/// while the column has its new type.
fn nothing_goes_later(change: &ChangeType, ctx: &Ctx) -> Result<(), Refusal> {
    let on = |column: &Option<Ident>| column.as_ref() == Some(&change.column);
    let hangs_on = |catalog: &Catalog| -> BTreeSet<String> {
        let tree = catalog.tree(&change.table);
        let indexes =
            tree.iter().flat_map(|table| &table.indexes).filter(|i| i.uses.contains(&change.column));
        let constraints =
            tree.iter().flat_map(|table| &table.constraints).filter(|c| c.columns.contains(&change.column));
        let incoming = catalog.foreign_keys_to(&change.table, &change.column).into_iter();
        let dependents = tree.iter().flat_map(|table| &table.dependents).filter(|d| on(&d.column));
        indexes
            .map(|index| format!("index {}", index.name))
            .chain(constraints.map(|constraint| format!("constraint {}", constraint.name)))
            .chain(incoming.map(|(child, key)| format!("foreign key {} of {}", key.name, child.name)))
            .chain(dependents.map(|dependent| dependent.description.clone()))
            .collect()
    };
    let (now, then) = (hangs_on(ctx.physical), hangs_on(ctx.logical));
    match now.difference(&then).next() {
        None => Ok(()),
        Some(what) => Err(Refusal::new(
            Code::SplitFile,
            format!(
                "{what} is dropped by an earlier statement, but only at contract: until then it hangs on {} of {}, which changes \
                 places at the switch",
                change.column, change.table
            ),
            "put this statement into a file of its own, and contract the one before it first",
        )),
    }
}

fn no_way_back(change: &ChangeType, old: &str) -> Refusal {
    let (column, table) = (&change.column, &change.table);
    Refusal::new(
        Code::NoWayBack,
        format!(
            "nothing says which {old} belongs to a value that new code writes into {column} of {table}: USING is more than a cast, so \
             there is no inverse to derive"
        ),
        format!(
            "add the line `-- concertina:down {column} = EXPR` above the statement, an expression over the new {column}; or \
             `-- concertina:irreversible reason: …` if undo may end at the switch"
        ),
    )
}

impl ChangeType {
    /// USING adds nothing to what PostgreSQL does by itself.
    pub(super) fn assigns(&self) -> bool {
        self.using.as_ref().is_none_or(|using| using.text.trim() == self.column.to_string())
    }

    /// USING is the column, or casts of it.
    pub(super) fn casts(&self) -> bool {
        let Some(Expr { text, columns, functions, subquery, .. }) = &self.using else { return true };
        let [reference] = columns.as_slice() else { return false };
        let rest = format!("{}{}", &text[..reference.at.start], &text[reference.at.end..]);
        let rest: String = rest.chars().filter(|c| !matches!(c, '(' | ')') && !c.is_whitespace()).collect();
        let types = rest.split("::").skip(1).all(|name| {
            !name.is_empty()
                && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '"' | '.' | ',' | '[' | ']'))
        });
        functions.is_empty() && !subquery && (rest.is_empty() || rest.starts_with("::") && types)
    }

    /// Whether some value may raise an error on its way into the new type.
    fn may_fail(&self, column: &Column) -> Result<bool, Refusal> {
        let (old, new) = (&column.data_type, &self.data_type);
        let by_session = || {
            Err(Refusal::new(
                Code::NotBatchable,
                format!(
                    "{old} to {new}: the value depends on the TimeZone or DateStyle of the session that writes, so rows of running code \
                     would be converted otherwise than this file says"
                ),
                format!("say which is meant, as in USING {} AT TIME ZONE 'UTC'", self.column),
            ))
        };
        match cast::assigned(old, new) {
            Assignment::BySession if self.casts() => by_session(),
            _ if !self.assigns() => Ok(true),
            Assignment::Always => Ok(false),
            Assignment::MayFail => Ok(true),
            Assignment::BySession | Assignment::Unknown => Err(Refusal::new(
                Code::NotYet,
                format!("it is not known whether PostgreSQL converts {old} to {new} by itself"),
                format!("write USING {}::{}", self.column, self.written),
            )),
        }
    }
}
