//! CHECK and foreign keys in two steps: NOT VALID under a strong lock for an instant, then VALIDATE beside reads and
//! writes. In one transaction, or in one ALTER TABLE, the strong lock would be held through the scan.
//! Source: "Notes" in doc/src/sgml/ref/alter_table.sgml; both forms measured on 15.

use crate::catalog::{Constraint, ConstraintKind};
use crate::ddl;
use crate::effect::Effect;
use crate::plan::{Action, LockClaim, Need, Phase, Probe, Step, Work};
use crate::sql::ident::Name;

/// A constraint to add, with what each statement about it locks.
#[derive(Clone, Debug)]
pub(crate) struct NotValid<'a> {
    /// Table.
    pub(crate) table: &'a Name,
    /// The constraint as it will be in the end.
    pub(crate) constraint: &'a Constraint,
    /// Locks of ADD CONSTRAINT.
    pub(crate) add: Vec<LockClaim>,
    /// Locks of VALIDATE.
    pub(crate) validate: Vec<LockClaim>,
    /// Locks of DROP CONSTRAINT.
    pub(crate) drop: Vec<LockClaim>,
    /// What VALIDATE reads.
    pub(crate) work: Vec<Work>,
}

impl NotValid<'_> {
    /// From here on new rows are checked.
    pub(crate) fn add(&self, phase: Phase) -> Step {
        let constraint = Constraint { validated: false, ..self.constraint.clone() };
        self.adding(
            phase,
            format!("Add {} to {}, not yet valid", self.noun(), self.table),
            "new rows are checked from here on; rows that exist are not looked at under the strong lock",
            ddl::constraint::add_not_valid(self.table, &self.constraint.name, &self.constraint.definition),
            constraint,
        )
    }

    /// In one statement, where there are no rows to look at, or they have been looked at.
    pub(crate) fn at_once(&self, phase: Phase, why: &str) -> Step {
        self.adding(
            phase,
            format!("Add {} to {}", self.noun(), self.table),
            why,
            ddl::constraint::add(self.table, &self.constraint.name, &self.constraint.definition),
            self.constraint.clone(),
        )
    }

    fn adding(&self, phase: Phase, title: String, why: &str, sql: String, constraint: Constraint) -> Step {
        let mut step = Step::transaction(phase, title, why, vec![sql])
            .locks(self.add.clone())
            .probe(self.probe(Some(constraint.validated)))
            .undone_by(vec![self.gone(phase)])
            .requires(Need::Relation(self.table.clone()))
            .requires(Need::NoConstraint(self.table.clone(), constraint.name.clone()));
        for column in &constraint.columns {
            step = step.requires(Need::Column(self.table.clone(), column.clone()));
        }
        step.provides(Effect::Constraint { table: self.table.clone(), constraint })
    }

    /// Looks at the rows that exist.
    pub(crate) fn validate(&self, phase: Phase) -> Step {
        let mut step = Step::new(
            phase,
            format!("Validate {} of {}", self.noun(), self.table),
            "the scan runs beside reads and writes",
            Action::Long { sql: ddl::constraint::validate(self.table, &self.constraint.name) },
        )
        .locks(self.validate.clone())
        .probe(self.probe(Some(true)))
        .provides(Effect::ConstraintValidated {
            table: self.table.clone(),
            constraint: self.constraint.name.clone(),
        });
        step.work.clone_from(&self.work);
        step
    }

    fn gone(&self, phase: Phase) -> Step {
        Step::transaction(
            phase,
            format!("Drop {} of {}", self.noun(), self.table),
            "takes the new constraint away",
            vec![ddl::constraint::drop_if_exists(self.table, &self.constraint.name)],
        )
        .locks(self.drop.clone())
        .probe(self.probe(None))
        .provides(Effect::ConstraintGone {
            table: self.table.clone(),
            constraint: self.constraint.name.clone(),
        })
    }

    fn probe(&self, validated: Option<bool>) -> Probe {
        Probe::Constraint { table: self.table.clone(), name: self.constraint.name.clone(), validated }
    }

    fn noun(&self) -> String {
        let sort = match self.constraint.kind {
            ConstraintKind::ForeignKey { .. } => "foreign key",
            ConstraintKind::Check => "CHECK",
            _ => "constraint",
        };
        format!("{sort} {}", self.constraint.name)
    }
}
