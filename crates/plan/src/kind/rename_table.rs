//! RENAME of tables and views, and SET SCHEMA: at once the new name is a view over the old one, and at contract the real name.
//!
//! Old code goes on by the old name, new code reads and writes by the new one from the end of expand on: PostgreSQL carries
//! what is written to such a view over to its table, in one statement and with the table's own triggers, defaults and
//! constraints. Nobody waits for the view to be made. On PostgreSQL 15 and later it is read with the reader's own rights, row
//! security included; on 14 a table with row security is refused. Privileges, owner, comments and defaults are the table's.
//!
//! At contract, in one short transaction, the view goes and the relation gets its name: indexes, sequences, triggers,
//! policies, foreign keys and views over it follow, and privileges that were given on the view meanwhile are kept. Functions
//! whose text names the old one do not follow; those that are found are named. What was made over the view meanwhile is in the
//! way, and is named before anything is done.

use crate::catalog::{Relation, RelationKind};
use crate::ddl::{alias, moved};
use crate::diagnostic::{Code, Refusal};
use crate::effect::Effect;
use crate::kind::shared::stand_in;
use crate::kind::shared::will_fail::WillFail;
use crate::kind::{Ctx, Kind, Online};
use crate::pg::lock::LockMode;
use crate::plan::{Facts, LockClaim, Need, Phase, Probe, Step};
use crate::sql::ident::Name;

mod felt;

#[cfg(test)]
mod tests;

/// See the module.
#[derive(Clone, Debug)]
pub struct RenameTable {
    /// Kind name: `rename_table`, `rename_view`, `set_schema`, …
    pub kind: &'static str,
    /// A table, view, materialized view or foreign table that exists.
    pub from: Name,
    /// Its new name, in the same schema; or the same name in another schema.
    pub to: Name,
}

impl Kind for RenameTable {
    fn name(&self) -> &'static str {
        self.kind
    }

    fn facts(&self, ctx: &Ctx) -> Facts {
        Facts {
            locks: self.locks(ctx, &self.from),
            transaction: true,
            breaks: vec![felt::gone(&self.from)],
            fails: ctx.logical.relation(&self.from).and_then(|it| self.fails(ctx, it)).map(Into::into),
            ..Facts::default()
        }
    }

    fn online(&self, ctx: &Ctx) -> Result<Online, Refusal> {
        let relation = ctx.table(&self.from)?;
        if let Some(failure) = self.fails(ctx, relation) {
            return Err(failure.into());
        }
        if relation.new_here {
            return Ok(Online { steps: vec![self.at_once(ctx, relation)], notices: Vec::new() });
        }
        self.refuse(ctx, relation)?;
        let steps = vec![self.stand_in(ctx, relation), self.contract(ctx, relation)];
        Ok(Online { steps, notices: felt::notices(self, ctx, relation) })
    }

    fn effects(&self, _ctx: &Ctx) -> Vec<Effect> {
        vec![self.renamed()]
    }
}

impl RenameTable {
    fn stand_in(&self, ctx: &Ctx, relation: &Relation) -> Step {
        let gone = Step::transaction(
            Phase::Expand,
            format!("Drop view {}", self.to),
            "only new code uses it",
            vec![format!("DROP VIEW {}", self.to)],
        )
        .lock(&self.to, LockMode::AccessExclusive)
        .requires(Need::NoDependents(self.to.clone()))
        .provides(Effect::RelationGone(self.to.clone()));
        let mut step = Step::transaction(
            Phase::Expand,
            format!("Make view {} over {}", self.to, self.from),
            "new code works by the new name, and old code notices nothing",
            self.view_sql(ctx, relation),
        )
        .probe(Probe::Relation { name: self.to.clone(), exists: true })
        .requires(Need::Relation(self.from.clone()))
        .requires(Need::NoRelation(self.to.clone()))
        .undone_by(vec![gone]);
        step.provides = self.view_effects(relation);
        step
    }

    fn contract(&self, ctx: &Ctx, relation: &Relation) -> Step {
        let mut back = Step::transaction(
            Phase::Contract,
            format!("Give {} its old name {} and make the view again", self.to, self.from),
            "both names work again",
            [self.alter(relation, &self.to, &self.from)]
                .into_iter()
                .chain(self.view_sql(ctx, relation))
                .collect(),
        )
        .locks(self.locks_after(ctx))
        .provides(Effect::RelationRenamed { from: self.to.clone(), to: self.from.clone() });
        back.provides.extend(self.view_effects(relation));
        // Who uses a view locks it before what it reads, so the view goes first.
        Step::transaction(
            Phase::Contract,
            format!("Drop view {} and give {} its name", self.to, self.from),
            "indexes, sequences, triggers, policies, privileges, foreign keys and views follow",
            vec![
                alias::hand_over(&self.to, &self.from),
                format!("DROP VIEW {}", self.to),
                self.alter(relation, &self.from, &self.to),
            ],
        )
        .lock(&self.to, LockMode::AccessExclusive)
        .locks(self.locks(ctx, &self.from))
        .probe(Probe::Relation { name: self.from.clone(), exists: false })
        .requires(Need::Relation(self.from.clone()))
        .requires(Need::NoDependents(self.to.clone()))
        .provides(Effect::RelationGone(self.to.clone()))
        .provides(self.renamed())
        .undone_by(vec![back])
    }

    /// The relation is made by the same file: nobody uses it yet.
    fn at_once(&self, ctx: &Ctx, relation: &Relation) -> Step {
        let rename = |from: &Name, to: &Name, locks: Vec<LockClaim>| {
            Step::transaction(
                Phase::Expand,
                format!("Give {from} the name {to}"),
                "it is new: nobody uses it yet",
                vec![self.alter(relation, from, to)],
            )
            .locks(locks)
            .requires(Need::Relation(from.clone()))
            .provides(Effect::RelationRenamed { from: from.clone(), to: to.clone() })
        };
        let back = rename(&self.to, &self.from, self.locks_after(ctx));
        rename(&self.from, &self.to, self.locks(ctx, &self.from)).undone_by(vec![back])
    }

    fn view_sql(&self, ctx: &Ctx, relation: &Relation) -> Vec<String> {
        let invoker = ctx.physical.server.version.security_invoker();
        let mut sql = alias::create(&self.to, &self.from, &relation.columns, None, invoker);
        sql.push(alias::equip(&self.to, &self.from));
        sql
    }

    fn view_effects(&self, relation: &Relation) -> Vec<Effect> {
        stand_in::effects(&self.to, &self.from, relation, None)
    }

    fn renamed(&self) -> Effect {
        Effect::RelationRenamed { from: self.from.clone(), to: self.to.clone() }
    }

    fn alter(&self, relation: &Relation, from: &Name, to: &Name) -> String {
        let noun = noun(relation.kind).to_uppercase();
        match from.schema == to.schema {
            true => moved::rename(&noun, from, &to.name),
            false => moved::set_schema(&noun, from, &to.schema),
        }
    }

    /// The relation; SET SCHEMA also takes the sequences that its columns own. Measured on 14 to 18.
    fn locks(&self, ctx: &Ctx, relation: &Name) -> Vec<LockClaim> {
        let mode = LockMode::AccessExclusive;
        let mut locks = vec![LockClaim { relation: relation.clone(), mode }];
        if self.from.schema != self.to.schema {
            let owned = ctx.logical.sequences_of(&self.from);
            locks.extend(owned.map(|sequence| LockClaim { relation: sequence.name.clone(), mode }));
        }
        locks
    }

    /// The same once it has its new name.
    fn locks_after(&self, ctx: &Ctx) -> Vec<LockClaim> {
        let mut locks = self.locks(ctx, &self.to);
        for lock in &mut locks {
            lock.relation.schema.clone_from(&self.to.schema);
        }
        locks
    }

    fn fails(&self, ctx: &Ctx, relation: &Relation) -> Option<WillFail> {
        let catalog = ctx.logical;
        if !catalog.schemas.contains(&self.to.schema) {
            let when = format!("schema {} does not exist", self.to.schema);
            return Some(WillFail::new("3F000", when, "create it first, or correct the name"));
        }
        let mut names = vec![self.to.clone()];
        if self.from.schema != self.to.schema {
            let there = |name| Name { schema: self.to.schema.clone(), name };
            names.extend(relation.indexes.iter().map(|index| there(index.name.clone())));
            names.extend(catalog.sequences_of(&self.from).map(|sequence| there(sequence.name.name.clone())));
        }
        if let Some(taken) = names.iter().find(|name| catalog.relation_name_taken(name)) {
            let when = format!("relation {taken} exists already");
            return Some(WillFail::new("42P07", when, "choose another name, or drop or rename that first"));
        }
        let composite = catalog.types.contains_key(&self.to);
        composite.then(|| {
            let when =
                format!("type {} exists already, and {} has a row type of its name", self.to, self.from);
            WillFail::new("42710", when, "choose another name")
        })
    }

    fn refuse(&self, ctx: &Ctx, relation: &Relation) -> Result<(), Refusal> {
        if relation.row_security && !ctx.physical.server.version.security_invoker() {
            return Err(Refusal::new(
                Code::NoOnlineForm,
                format!(
                    "{} has row level security, and on PostgreSQL 14 a view over it, which would be the new name until contract, \
                     shows the rows that its owner may see",
                    self.from
                ),
                "upgrade to 15 or later, where a view can be read with the reader's own rights; or allow it, and change all code \
                 at that instant",
            ));
        }
        if relation.columns.is_empty() {
            return Err(Refusal::new(
                Code::NoOnlineForm,
                format!("{} has no column, and no view can be made over it", self.from),
                "allow it, if no running code uses the table",
            ));
        }
        Ok(())
    }
}

fn noun(kind: RelationKind) -> &'static str {
    match kind {
        RelationKind::View => "view",
        RelationKind::MaterializedView => "materialized view",
        RelationKind::ForeignTable => "foreign table",
        RelationKind::Table | RelationKind::PartitionedTable | RelationKind::CompositeType => "table",
    }
}
