//! A plan for reviewers.

use concertina_plan::plan::{Plan, Undo};

use super::{FAINT, STRONG, WARN, plural};
use crate::wire::PlannedMigration;

/// Several plans, one after the other.
pub(crate) fn texts(plans: &[(Plan, PlannedMigration)]) -> String {
    let texts: Vec<String> = plans.iter().map(|(plan, outside)| text(plan, outside)).collect();
    texts.join("\n")
}

fn text(plan: &Plan, outside: &PlannedMigration) -> String {
    let mut out = format!("{STRONG}{}{STRONG:#}: {}", plan.migration, plural(plan.steps.len(), "step"));
    if outside.stored {
        out.push_str(", as stored when it began");
    }
    out.push('\n');
    if !outside.runs_after.is_empty() {
        out.push_str(&format!("{WARN}waits{WARN:#} for contract of {}\n", outside.runs_after.join(", ")));
    }
    for (at, step) in plan.steps.iter().enumerate() {
        out.push_str(&format!("{:>3}  {:<8}  {}\n", at + 1, step.phase.as_str(), step.title));
        out.push_str(&format!("     {FAINT}{}{FAINT:#}\n", step.why));
        for lock in &step.locks {
            out.push_str(&format!("     lock: {} on {}\n", lock.mode, lock.relation));
        }
        if let Undo::Impossible { why } = &step.undo {
            out.push_str(&format!("     {WARN}no undo{WARN:#}: {why}\n"));
        }
    }
    for notice in &plan.notices {
        out.push_str(&format!("{WARN}{}{WARN:#}: {}\n", notice.code, notice.message));
    }
    out
}
