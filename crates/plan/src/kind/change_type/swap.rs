//! One column takes another's place under its name, with everything that hangs on it, in one short transaction.
//!
//! What needs time is prepared beside running writes: every index of the column is built over the standby, NOT NULL, CHECKs and
//! foreign keys in both directions are added NOT VALID and validated. Then the whole swap is a change of names: the column's own
//! indexes and constraints go, the standby's take their names, and so do default, identity and owned sequence. The same
//! swap, the other way round, is its undo.

use std::collections::BTreeSet;

use crate::catalog::{
    Catalog, Column, Constraint, ConstraintKind, Dependent, DependentKind, Index, Relation, RelationKind,
    Sequence,
};
use crate::ddl;
use crate::ddl::heir::{self, Heir};
use crate::diagnostic::{Code, Refusal};
use crate::effect::{Effect, fold};
use crate::kind::Ctx;
use crate::kind::change_type::conversion::Conversion;
use crate::kind::shared::key::Sort;
use crate::kind::shared::not_valid::NotValid;
use crate::kind::shared::second::{Second, hang_on, regclass};
use crate::kind::shared::{alter, not_null, tree};
use crate::pg::lock::LockMode;
use crate::plan::{Action, LockClaim, Need, Phase, Probe, Step, WorkKind};
use crate::sql::ident::{Ident, Name, literal};
use crate::sql::names::IndexSort;
use crate::sql::renamed;

/// What changes places.
#[derive(Clone, Copy, Debug)]
pub(super) struct Swap<'a> {
    /// Table.
    pub(super) table: &'a Name,
    /// The name that both have in turn.
    pub(super) column: &'a Ident,
    /// The column that comes, as it is called until then.
    pub(super) standby: &'a Ident,
    /// What the column that goes is called from then on.
    pub(super) aside: &'a Ident,
    /// The conversion that has kept the standby in step.
    pub(super) out: &'a Conversion,
    /// The one that keeps in step what goes; `None`: nothing does.
    pub(super) back: Option<&'a Conversion>,
    /// The default from then on.
    pub(super) default: Option<&'a str>,
    /// Phase of what is built beforehand.
    pub(super) build: Phase,
    /// Phase of the rest.
    pub(super) phase: Phase,
}

/// The steps.
#[derive(Clone, Debug)]
pub(super) struct Swapping {
    /// Indexes.
    pub(super) build: Vec<Step>,
    /// NOT NULL and constraints, then the swap itself, without its undo.
    pub(super) rest: Vec<Step>,
}

/// An index and the one over the standby.
#[derive(Clone, Debug)]
struct IndexPair {
    table: Name,
    old: Index,
    twin: Index,
    /// Of partitions, attached.
    inherited: bool,
}

/// A constraint and the one over the standby.
#[derive(Clone, Debug)]
struct ConstraintPair {
    table: Name,
    old: Constraint,
    twin: Constraint,
}

impl Swap<'_> {
    /// Plans it.
    ///
    /// # Errors
    /// What hangs on the column in a form that cannot be prepared.
    pub(super) fn steps(&self, ctx: &Ctx) -> Result<Swapping, Refusal> {
        let column = alter::column(ctx.table(self.table)?, self.column)?;
        self.refuse(ctx)?;
        let second = Second { table: self.table, of: self.column, column: self.standby };
        let indexes = self.indexes(ctx, second)?;
        let mut build = second.indexes(ctx)?;
        build.iter_mut().for_each(|step| step.phase = self.build);
        let mut met = fold(ctx.physical, build.iter().flat_map(|step| &step.provides));
        let mut rest = Vec::new();
        if column.not_null.is_some() {
            let steps = not_null::steps(&met, self.table, self.standby, self.phase);
            met = fold(&met, steps.iter().flat_map(|step| &step.provides));
            rest.extend(steps);
        }
        let constraints = self.constraints(ctx)?;
        rest.insert(0, self.foreseen(ctx, &indexes, &constraints));
        for pair in &constraints {
            rest.extend(self.add(ctx, pair));
        }
        met = fold(&met, rest.iter().flat_map(|step| &step.provides));
        rest.push(self.step(ctx, &met, column, &indexes, &constraints));
        Ok(Swapping { build, rest })
    }

    fn refuse(&self, ctx: &Ctx) -> Result<(), Refusal> {
        let not_yet = |what: String, way_out: &str| Err(Refusal::new(Code::NotYet, what, way_out));
        for relation in ctx.logical.tree(self.table) {
            let own = relation.constraints.iter().filter(|c| c.columns.contains(self.column));
            let partitioned =
                relation.kind == RelationKind::PartitionedTable || relation.partition_of.is_some();
            for constraint in own {
                let (name, table) = (&constraint.name, &relation.name);
                match constraint.kind {
                    ConstraintKind::Exclude => {
                        return not_yet(
                            format!(
                                "{name} of {table} excludes by {}, and such an index cannot be built beside writes",
                                self.column
                            ),
                            "drop the constraint in a file before this one, and add it again in one after it",
                        );
                    }
                    ConstraintKind::PrimaryKey | ConstraintKind::Unique if partitioned => {
                        return not_yet(
                            format!("{} belongs to {name} of the partitioned table {table}", self.column),
                            "allow it as written if nobody minds the lock, or copy the data into a new table",
                        );
                    }
                    ConstraintKind::ForeignKey { .. } if partitioned && !constraint.inherited => {
                        return not_yet(
                            format!(
                                "{} belongs to foreign key {name} of the partitioned table {table}",
                                self.column
                            ),
                            "drop the foreign key in a file before this one, and add it again in one after it",
                        );
                    }
                    ConstraintKind::PrimaryKey | ConstraintKind::Unique if constraint.deferrable => {
                        return not_yet(
                            format!(
                                "{name} of {table} is deferrable, and a second unique index would check at once"
                            ),
                            "drop the constraint in a file before this one, and add it again in one after it",
                        );
                    }
                    _ => {}
                }
            }
        }
        let statistics = |dependent: &&Dependent| {
            dependent.kind == DependentKind::Statistics && dependent.column.as_ref() == Some(self.column)
        };
        if let Some(found) =
            ctx.logical.tree(self.table).iter().flat_map(|table| &table.dependents).find(statistics)
        {
            return not_yet(
                format!("{} is about {}", found.description, self.column),
                "drop it in a file before this one, and make it again in one after it",
            );
        }
        for (child, key) in self.incoming(ctx) {
            if child.kind == RelationKind::PartitionedTable || ctx.logical.tree(self.table).len() > 1 {
                return not_yet(
                    format!(
                        "foreign key {} of {} refers to {}, and one of the two is partitioned",
                        key.name, child.name, self.column
                    ),
                    "drop the foreign key in a file before this one, and add it again in one after it",
                );
            }
        }
        Ok(())
    }

    fn incoming<'c>(&self, ctx: &Ctx<'c>) -> Vec<(&'c Relation, &'c Constraint)> {
        let mut found = ctx.logical.foreign_keys_to(self.table, self.column);
        found.retain(|(_, key)| !key.inherited);
        found
    }

    fn indexes(&self, ctx: &Ctx, second: Second) -> Result<Vec<IndexPair>, Refusal> {
        let mut pairs = Vec::new();
        for (relation, old, twin) in second.twins(ctx)? {
            let below = ddl::index::attached(ctx.logical, relation, old);
            let twins = ddl::index::branches(ctx.physical, &relation.name, &twin, IndexSort::Plain);
            pairs.push(IndexPair { table: relation.name.clone(), old: old.clone(), twin, inherited: false });
            for branch in below {
                let Some(twin) = twins.iter().find(|twin| twin.table == branch.table) else { continue };
                let (old, twin) = (branch.index, twin.index.clone());
                pairs.push(IndexPair { table: branch.table, old, twin, inherited: true });
            }
        }
        Ok(pairs)
    }

    /// CHECKs and foreign keys, in both directions.
    fn constraints(&self, ctx: &Ctx) -> Result<Vec<ConstraintPair>, Refusal> {
        let mut pairs: Vec<ConstraintPair> = Vec::new();
        let incoming = self.incoming(ctx);
        for relation in ctx.logical.tree(self.table) {
            for old in &relation.constraints {
                let kind = matches!(old.kind, ConstraintKind::Check | ConstraintKind::ForeignKey { .. });
                if kind && !old.inherited && old.columns.contains(self.column) {
                    pairs.push(self.pair(ctx, relation, old)?);
                }
            }
        }
        for (child, old) in incoming {
            if !pairs.iter().any(|pair| pair.table == child.name && pair.old.name == old.name) {
                pairs.push(self.pair(ctx, child, old)?);
            }
        }
        Ok(pairs)
    }

    fn pair(&self, ctx: &Ctx, relation: &Relation, old: &Constraint) -> Result<ConstraintPair, Refusal> {
        let strange = || {
            Refusal::new(
                Code::NotYet,
                format!("constraint {} of {} has a form that is not understood", old.name, relation.name),
                "drop it in a file before this one, and add it again in one after it",
            )
        };
        let (from, to) = (self.column, self.standby);
        let mut definition = old.definition.trim_end_matches(" NOT VALID").to_owned();
        let own = ctx.logical.tree(self.table).iter().any(|table| table.name == relation.name);
        let mut twin = old.clone();
        if own && old.columns.contains(from) {
            definition = renamed::constraint(&definition, from, to).ok_or_else(strange)?;
            twin.columns.iter_mut().filter(|column| *column == from).for_each(|column| column.clone_from(to));
        }
        if let ConstraintKind::ForeignKey { table, columns } = &mut twin.kind
            && table == self.table
            && columns.contains(from)
        {
            definition = renamed::referenced(&definition, from, to).ok_or_else(strange)?;
            columns.iter_mut().filter(|column| *column == from).for_each(|column| column.clone_from(to));
        }
        let content = format!("{} twin {}.{} {to}", ctx.migration, relation.name, old.name);
        twin.name = Ident::generated(&format!("{}_{}", old.name.as_str(), to.as_str()), &content);
        twin.definition = definition;
        Ok(ConstraintPair { table: relation.name.clone(), old: old.clone(), twin })
    }

    fn add(&self, ctx: &Ctx, pair: &ConstraintPair) -> Vec<Step> {
        let locks = |mode| tree::locks(ctx.physical, &pair.table, mode);
        let both = |mode, other| {
            let mut claims = Vec::new();
            if let ConstraintKind::ForeignKey { table, .. } = &pair.old.kind
                && *table != pair.table
            {
                claims.extend(tree::locks(ctx.physical, table, other));
            }
            claims.extend(locks(mode));
            claims
        };
        let foreign = matches!(pair.old.kind, ConstraintKind::ForeignKey { .. });
        let (strong, exclusive) = (LockMode::ShareRowExclusive, LockMode::AccessExclusive);
        let twin = Constraint { validated: true, ..pair.twin.clone() };
        let mut work = tree::work(ctx.physical, &pair.table, WorkKind::Scan);
        if let ConstraintKind::ForeignKey { table, .. } = &pair.old.kind {
            for more in tree::work(ctx.physical, table, WorkKind::Scan) {
                if !work.contains(&more) {
                    work.push(more);
                }
            }
        }
        let mode = if foreign { strong } else { exclusive };
        let steps = NotValid {
            table: &pair.table,
            constraint: &twin,
            add: both(mode, mode),
            validate: both(LockMode::ShareUpdateExclusive, LockMode::RowShare),
            drop: both(exclusive, exclusive),
            work,
        };
        let mut made = vec![steps.add(self.phase)];
        if pair.old.validated {
            made.push(steps.validate(self.phase));
        }
        made
    }

    /// What was made on the column since, and so is not prepared on the standby, would be lost with it.
    fn foreseen(&self, ctx: &Ctx, indexes: &[IndexPair], constraints: &[ConstraintPair]) -> Step {
        let owned = ctx.logical.sequences_of_column(self.table, self.column);
        let relations: Vec<String> = indexes
            .iter()
            .map(|pair| pair.table.sibling(pair.old.name.clone()))
            .chain(owned.map(|sequence| sequence.name.clone()))
            .map(|name| regclass(&name))
            .chain(["NULL".to_owned()])
            .collect();
        let names: BTreeSet<String> = constraints
            .iter()
            .map(|pair| &pair.old.name)
            .chain(indexes.iter().filter_map(|pair| pair.old.constraint.as_ref()))
            .map(|name| literal(name.as_str()))
            .chain(["NULL".to_owned()])
            .collect();
        let names: Vec<String> = names.into_iter().collect();
        let but = format!(
            "AND (d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid IN ({})) IS NOT TRUE \
             AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint AS c \
             WHERE d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND c.oid = d.objid \
             AND (c.contype = 'n' OR c.conname IN ({})))",
            relations.join(", "),
            names.join(", "),
        );
        let query = hang_on(ctx, self.table, self.column, &but);
        let (column, table) = (self.column, self.table);
        Step::new(
            self.phase,
            format!("Prove that nothing was made on column {column} of {table} since it was planned"),
            "it would stay with the column that goes",
            Action::Proof {
                query,
                violation: format!(
                    "objects on column {column} of {table} that the plan does not know: drop them, run the same command again, and \
                     make them again afterwards"
                ),
            },
        )
    }

    fn step(
        &self,
        ctx: &Ctx,
        met: &Catalog,
        column: &Column,
        indexes: &[IndexPair],
        constraints: &[ConstraintPair],
    ) -> Step {
        let mut script = Script { swap: self, met, sql: Vec::new(), provides: Vec::new() };
        script.out();
        script.take_over(indexes, constraints);
        for pair in constraints {
            script.drop_constraint(&pair.table, &pair.old.name);
        }
        // What refers to a key is gone by now.
        for pair in indexes.iter().filter(|pair| !pair.inherited) {
            script.drop_index(pair);
        }
        for pair in indexes.iter().filter(|pair| pair.inherited) {
            script.gone(pair, &pair.old);
        }
        let sequence = met.sequences_of_column(self.table, self.column).next();
        script.values(column, sequence);
        script.change_names(column);
        for pair in indexes {
            script.take_index(pair);
        }
        for pair in constraints {
            script.take_constraint(pair);
        }
        if let Some(sequence) = sequence {
            script.own(sequence, column);
        }
        script.back();
        let Script { sql, provides, .. } = script;
        let title = format!("Let {} of {} change places with {}", self.column, self.table, self.standby);
        let mut step = Step::transaction(
            self.phase,
            title,
            "everything that takes time is done: only names change, all of them or none",
            sql,
        )
        .locks(self.locks(ctx, met, indexes, constraints, sequence))
        .probe(Probe::Column { table: self.table.clone(), column: self.aside.clone(), exists: true })
        .requires(Need::Column(self.table.clone(), self.standby.clone()));
        step.provides = provides;
        step.quarantines = self.back.and_then(Conversion::quarantined);
        step
    }

    fn locks(
        &self,
        ctx: &Ctx,
        met: &Catalog,
        indexes: &[IndexPair],
        constraints: &[ConstraintPair],
        sequence: Option<&Sequence>,
    ) -> Vec<LockClaim> {
        let mode = LockMode::AccessExclusive;
        let mut locks = Vec::new();
        let foreign = constraints.iter().filter_map(|pair| match &pair.old.kind {
            ConstraintKind::ForeignKey { table, .. } => Some((&pair.table, table)),
            _ => None,
        });
        let (mut parents, mut children) = (BTreeSet::new(), BTreeSet::new());
        for (child, parent) in foreign {
            parents.insert(parent);
            children.insert(child);
        }
        parents.into_iter().for_each(|parent| locks.extend(tree::locks(ctx.physical, parent, mode)));
        locks.extend(tree::locks(ctx.physical, self.table, mode));
        children.into_iter().for_each(|child| locks.extend(tree::locks(met, child, mode)));
        for pair in indexes {
            for index in [&pair.old, &pair.twin] {
                locks.push(LockClaim { relation: pair.table.sibling(index.name.clone()), mode });
            }
        }
        locks.extend(sequence.map(|sequence| LockClaim { relation: sequence.name.clone(), mode }));
        let mut seen = BTreeSet::new();
        locks.retain(|lock| seen.insert(lock.relation.clone()));
        locks
    }
}

/// The transaction, with its effects in the same order.
struct Script<'a> {
    swap: &'a Swap<'a>,
    met: &'a Catalog,
    sql: Vec<String>,
    provides: Vec<Effect>,
}

impl Script<'_> {
    fn out(&mut self) {
        self.sql.extend(self.swap.out.remove());
        self.sql.extend(self.swap.out.remove_attempt());
        self.provides.extend(self.swap.out.goes());
    }

    fn back(&mut self) {
        let Some(back) = self.swap.back else { return };
        self.sql.extend(back.create_attempt());
        self.sql.extend(back.create());
        self.provides.extend(back.appears());
    }

    /// What is said of those that go, as long as they are there.
    fn take_over(&mut self, indexes: &[IndexPair], constraints: &[ConstraintPair]) {
        let of_index = indexes.iter().map(|IndexPair { table, old, twin, .. }| Heir {
            table,
            from: &old.name,
            to: &twin.name,
        });
        let of_constraint = constraints.iter().map(|ConstraintPair { table, old, twin }| Heir {
            table,
            from: &old.name,
            to: &twin.name,
        });
        self.sql.extend(heir::take_over(&of_index.collect::<Vec<_>>(), &of_constraint.collect::<Vec<_>>()));
        let keys = indexes.iter().filter_map(|pair| Some((&pair.table, pair.old.constraint.as_ref()?)));
        self.sql.extend(keys.map(|(table, name)| heir::keep_comment(table, name)));
    }

    fn drop_constraint(&mut self, table: &Name, constraint: &Ident) {
        self.sql.push(ddl::constraint::drop_if_exists(table, constraint));
        self.provides.push(Effect::ConstraintGone { table: table.clone(), constraint: constraint.clone() });
    }

    fn drop_index(&mut self, pair: &IndexPair) {
        match &pair.old.constraint {
            Some(constraint) => self.drop_constraint(&pair.table, constraint),
            None => {
                self.sql.push(ddl::index::drop(&pair.table.sibling(pair.old.name.clone())));
                self.gone(pair, &pair.old);
            }
        }
    }

    fn gone(&mut self, pair: &IndexPair, index: &Index) {
        self.provides.push(Effect::IndexGone { table: pair.table.clone(), index: index.name.clone() });
    }

    /// Default and identity. The old sequence is renamed first, which waits for whoever draws from it, and keeps others out.
    fn values(&mut self, column: &Column, sequence: Option<&Sequence>) {
        let (table, from, to) = (self.swap.table, self.swap.column, self.swap.standby);
        if let (Some(identity), Some(sequence)) = (column.identity, sequence) {
            let aside = sequence.name.sibling(Ident::generated(sequence.name.name.as_str(), to.as_str()));
            self.sql.push(ddl::moved::rename("SEQUENCE", &sequence.name, &aside.name));
            self.sql.push(ddl::sequence::identity_moved(table, to, identity, &sequence.name, &aside));
            self.sql.push(ddl::sequence::go_on(table, to, &aside));
            self.sql.push(ddl::column::drop_identity(table, from));
            let effect = |column: &Ident, identity| Effect::Identity {
                table: table.clone(),
                column: column.clone(),
                identity,
            };
            self.provides.extend([effect(to, Some(identity)), effect(from, None)]);
        }
        let effect = |column: &Ident, default| Effect::Default {
            table: table.clone(),
            column: column.clone(),
            default,
        };
        if column.default.is_some() {
            self.sql.push(ddl::column::drop_default(table, from));
            self.provides.push(effect(from, None));
        }
        if let Some(default) = self.swap.default {
            self.sql.push(ddl::column::set_default(table, to, default));
            self.provides.push(effect(to, Some(default.to_owned())));
        }
    }

    fn change_names(&mut self, column: &Column) {
        let (table, name, standby, aside) =
            (self.swap.table, self.swap.column, self.swap.standby, self.swap.aside);
        let marked = |column: &Ident, not_null| Effect::NotNull {
            table: table.clone(),
            column: column.clone(),
            not_null,
        };
        if column.not_null.is_some() {
            self.sql.push(ddl::column::drop_not_null(table, name));
            self.provides.push(marked(name, None));
        }
        for (from, to) in [(name, aside), (standby, name)] {
            self.sql.push(ddl::column::rename(table, from, to));
            let (table, column, to) = (table.clone(), from.clone(), to.clone());
            self.provides.push(Effect::ColumnRenamed { table, column, to });
        }
        let Some(marking) = &column.not_null else { return };
        let named =
            self.met.relation(table).and_then(|table| table.column(standby)?.not_null.as_ref()?.name.clone());
        if let (Some(wanted), Some(named)) = (&marking.name, named) {
            self.sql.push(ddl::constraint::rename(table, &named, wanted));
        }
        self.provides.push(marked(name, Some(marking.clone())));
    }

    fn take_index(&mut self, pair: &IndexPair) {
        let table = &pair.table;
        self.gone(pair, &pair.twin);
        match &pair.old.constraint {
            Some(name) => {
                let Some(key) = self.met.relation(table).and_then(|table| table.constraint(name)).cloned()
                else {
                    return;
                };
                let using = ddl::constraint::using_index(Sort::of(&key).sql(), &pair.twin.name, "");
                self.sql.push(ddl::constraint::add(table, name, &using));
                self.sql.push(heir::give_comment(table, name));
                self.provides.push(Effect::Index { table: table.clone(), index: pair.old.clone() });
                self.provides.push(Effect::Constraint { table: table.clone(), constraint: key });
            }
            None => {
                self.sql.push(ddl::moved::rename(
                    "INDEX",
                    &table.sibling(pair.twin.name.clone()),
                    &pair.old.name,
                ));
                self.provides.push(Effect::Index { table: table.clone(), index: pair.old.clone() });
            }
        }
    }

    fn take_constraint(&mut self, pair: &ConstraintPair) {
        let table = || pair.table.clone();
        self.sql.push(ddl::constraint::rename(&pair.table, &pair.twin.name, &pair.old.name));
        self.provides.push(Effect::ConstraintGone { table: table(), constraint: pair.twin.name.clone() });
        self.provides.push(Effect::Constraint { table: table(), constraint: pair.old.clone() });
    }

    fn own(&mut self, sequence: &Sequence, column: &Column) {
        let (table, name) = (self.swap.table, self.swap.column);
        if column.identity.is_none() {
            self.sql.push(ddl::sequence::owned_by(&sequence.name, table, name));
        }
        let owned_by = Some((table.clone(), name.clone()));
        self.provides.push(Effect::Sequence(Sequence { owned_by, ..sequence.clone() }));
    }
}
