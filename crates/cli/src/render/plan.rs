//! A plan for reviewers: `concertina_plan::explain`, coloured.

use anstyle::Style;
use concertina_plan::explain::{Role, lines};
use concertina_plan::plan::Plan;

use super::{BAD, FAINT, GOOD, STRONG, WARN};
use crate::wire::PlannedMigration;

/// Several plans, one after the other.
pub(crate) fn texts(plans: &[(Plan, PlannedMigration)]) -> String {
    let texts: Vec<String> = plans.iter().map(|(plan, outside)| text(plan, outside)).collect();
    texts.join("\n\n")
}

fn text(plan: &Plan, outside: &PlannedMigration) -> String {
    let mut out = String::new();
    for line in lines(plan) {
        let style = style(line.role);
        out.push_str(&format!("{style}{}{style:#}\n", line.text.trim_end()));
        if line.role == Role::Server {
            if outside.stored {
                out.push_str("Stored when it began; this is what runs\n");
            }
            if !outside.runs_after.is_empty() {
                out.push_str(&format!(
                    "{WARN}Waits for contract of{WARN:#} {}\n",
                    outside.runs_after.join(", ")
                ));
            }
            if !outside.missing_rights.is_empty() {
                out.push_str(&format!("{BAD}Rights are missing; run as an administrator:{BAD:#}\n"));
                for missing in &outside.missing_rights {
                    out.push_str(&format!("  {}\n    {};\n", missing.what, missing.grant));
                }
            }
        }
    }
    out
}

fn style(role: Role) -> Style {
    match role {
        Role::Header | Role::Section | Role::Step => STRONG,
        Role::Server | Role::Why | Role::Sql => FAINT,
        Role::WeakLock => GOOD,
        Role::StrongLock | Role::Notice => WARN,
        Role::Fact => BAD,
        Role::Asked | Role::Work | Role::Undo | Role::Blank => Style::new(),
    }
}
