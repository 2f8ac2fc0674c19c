//! DROP VIEW and DROP MATERIALIZED VIEW: dropped at contract, made anew by undo.
//!
//! A view is not moved into the archive: there it would still stand in the way of dropping what it reads.

use crate::catalog::{Dependent, Relation, RelationKind};
use crate::diagnostic::{Code, Refusal};
use crate::effect::Effect;
use crate::kind::shared::dependents;
use crate::kind::{Ctx, Kind, Online};
use crate::pg::lock::LockMode;
use crate::plan::{Facts, LockClaim, Need, Phase, Probe, Step, Undo};
use crate::sql::ident::Name;

/// See the module.
#[derive(Clone, Debug)]
pub struct DropView {
    /// Kind name: `drop_view` or `drop_materialized_view`.
    pub kind: &'static str,
    /// View or materialized view; it exists.
    pub view: Name,
    /// Views that the same statement drops.
    pub together: Vec<Name>,
}

impl Kind for DropView {
    fn name(&self) -> &'static str {
        self.kind
    }

    fn facts(&self, ctx: &Ctx) -> Facts {
        let dependents = self.dependents(ctx).into_iter().map(|dependent| dependent.description.as_str());
        Facts {
            locks: self.locks(),
            transaction: true,
            breaks: vec![self.felt()],
            fails: dependents::fails(&format!("view {}", self.view), dependents).map(Into::into),
            ..Facts::default()
        }
    }

    fn online(&self, ctx: &Ctx) -> Result<Online, Refusal> {
        let view = ctx.table(&self.view)?;
        let dependents = self.dependents(ctx).into_iter().map(|dependent| dependent.description.as_str());
        dependents::refuse(&format!("view {}", self.view), dependents)?;
        let phase = if view.new_here { Phase::Expand } else { Phase::Contract };
        let why = match phase {
            Phase::Expand => "the view is new: nobody uses it yet",
            _ => "running code may read it until then",
        };
        let mut step = Step::transaction(
            phase,
            format!("Drop {} {}", noun(view), self.view),
            why,
            vec![format!("DROP {} {}", noun(view).to_uppercase(), self.view)],
        )
        .locks(self.locks())
        .probe(Probe::Relation { name: self.view.clone(), exists: false })
        .requires(Need::Relation(self.view.clone()));
        step.provides = self.effects(ctx);
        if view.new_here {
            return Ok(Online { steps: vec![step], notices: Vec::new() });
        }
        step.undo = self.undo(ctx, view)?;
        let mut notices = vec![(Code::Breaks, format!("at contract: {}", self.felt()))];
        if view.kind == RelationKind::MaterializedView {
            notices.push((
                Code::UndoLoses,
                format!("after contract, undo makes {} anew from what its query returns then", self.view),
            ));
        }
        Ok(Online { steps: vec![step], notices })
    }

    fn effects(&self, _ctx: &Ctx) -> Vec<Effect> {
        vec![Effect::RelationGone(self.view.clone())]
    }
}

impl DropView {
    fn dependents<'a>(&self, ctx: &Ctx<'a>) -> Vec<&'a Dependent> {
        let Some(view) = ctx.logical.relation(&self.view) else { return Vec::new() };
        view.dependents
            .iter()
            .filter(|dependent| !dependent.automatic)
            .filter(|dependent| !self.together.iter().any(|view| dependent.is_view(view)))
            .collect()
    }

    fn undo(&self, ctx: &Ctx, view: &Relation) -> Result<Undo, Refusal> {
        if let Some(why) = &ctx.directives.irreversible {
            return Ok(Undo::Impossible { why: why.clone() });
        }
        if view.anew.is_empty() {
            return Err(Refusal::new(
                Code::NotYet,
                format!(
                    "{} cannot be made anew by undo: it has rules of its own, or was never filled, or an earlier statement of \
                     this file made it",
                    self.view
                ),
                "write `-- concertina:irreversible reason: …` above it to drop it for good",
            ));
        }
        let indexes = view.indexes.iter().map(|index| index.definition.clone());
        let triggers = view.triggers.iter().map(|trigger| trigger.definition.clone());
        let sql = view.anew.iter().cloned().chain(indexes).chain(triggers).collect();
        let mut again = Step::transaction(
            Phase::Contract,
            format!("Make {} {} anew", noun(view), self.view),
            "with its options, privileges and comments",
            sql,
        )
        .probe(Probe::Relation { name: self.view.clone(), exists: true })
        .provides(Effect::Relation(Box::new(view.clone())));
        again.provides.extend(self.read(ctx));
        Ok(Undo::Steps { steps: vec![again], loses: None })
    }

    /// What it reads has it as a dependent again.
    fn read(&self, ctx: &Ctx) -> Vec<Effect> {
        let reads = |relation: &Relation| {
            let views = relation.dependents.iter().filter(|dependent| dependent.is_view(&self.view));
            views
                .map(|dependent| Effect::Dependent {
                    relation: relation.name.clone(),
                    dependent: dependent.clone(),
                })
                .collect::<Vec<_>>()
        };
        ctx.logical.relations.values().flat_map(reads).collect()
    }

    fn locks(&self) -> Vec<LockClaim> {
        vec![LockClaim { relation: self.view.clone(), mode: LockMode::AccessExclusive }]
    }

    fn felt(&self) -> String {
        format!("running code that reads {} fails (42P01)", self.view)
    }
}

fn noun(view: &Relation) -> &'static str {
    match view.kind {
        RelationKind::MaterializedView => "materialized view",
        _ => "view",
    }
}
