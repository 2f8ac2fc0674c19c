//! A plan for reviewers: `concertina_plan::explain`, coloured.

use anstyle::Style;
use concertina_plan::estimate::{Elsewhere, Expected, Free, bytes, span};
use concertina_plan::explain::{Role, estimated};
use concertina_plan::plan::Plan;
use concertina_plan::sql::ident::{Ident, list};
use concertina_run::outlook::Outlook;
use concertina_run::room::Known;

use super::{BAD, FAINT, GOOD, STRONG, WARN};
use crate::wire::PlannedMigration;

/// A plan with what surrounds it.
pub(crate) struct Shown {
    pub(crate) plan: Plan,
    pub(crate) outside: PlannedMigration,
    /// What lies before it; `None` until it was looked at.
    pub(crate) outlook: Option<Outlook>,
}

/// Several plans, one after the other.
pub(crate) fn texts(plans: &[Shown]) -> String {
    let texts: Vec<String> = plans.iter().map(text).collect();
    texts.join("\n\n")
}

fn text(Shown { plan, outside, outlook }: &Shown) -> String {
    let mut out = String::new();
    let estimates = outlook.as_ref().map_or(&[][..], |outlook| &outlook.steps);
    for line in estimated(plan, estimates) {
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
            out.push_str(&outlook.as_ref().map(before).unwrap_or_default());
        }
    }
    out
}

/// What all that is left takes together, and whether the server's disk has room for it.
fn before(outlook: &Outlook) -> String {
    let left = outlook.left.iter().filter_map(|step| outlook.steps.get(*step));
    let Some(expected) = left.map(|step| step.expected).reduce(Expected::plus) else { return String::new() };
    let mut out = format!("Time: {}\n", span(&expected));
    if outlook.need() > 0 {
        let free = match &outlook.free {
            Known::Free(free) => {
                format!("; {} are free, by {}{}", bytes(free.data), free.source, apart(outlook, free))
            }
            Known::Unknown(why) => format!("; what is free is not known: {why}"),
            Known::Silent(_) | Known::Unchecked => String::new(),
        };
        out.push_str(&format!("Room: up to {} on the server's disk{free}\n", bytes(outlook.need())));
    }
    if let Known::Silent(why) = &outlook.free {
        out.push_str(&format!(
            "{BAD}Room could not be measured{BAD:#}, and nothing begins before it is: {why}\n"
        ));
    }
    if let Some(short) = &outlook.shortage {
        out.push_str(&format!(
            "{BAD}Not enough room{BAD:#} for step {}: it needs {} {}, and {} may be used\n",
            short.step + 1,
            bytes(short.need),
            short.place.place(),
            bytes(short.have)
        ));
    }
    for holder in outlook.wal.holders.iter().filter(|_| outlook.need() > 0) {
        out.push_str(&format!("{WARN}WAL is held back{WARN:#} by {}\n", holder.what));
    }
    out
}

/// What is free in tablespaces that it fills.
fn apart(outlook: &Outlook, free: &Free) -> String {
    let filled = |name: &&Ident| outlook.demands.iter().any(|demand| demand.spaces.contains_key(*name));
    let names = |other: &Elsewhere| -> Vec<Ident> { other.names.iter().filter(filled).cloned().collect() };
    let others =
        free.spaces.iter().map(|other| (names(other), other.free)).filter(|(names, _)| !names.is_empty());
    others.map(|(names, free)| format!("; {} in tablespace {}", bytes(free), list(&names))).collect()
}

fn style(role: Role) -> Style {
    match role {
        Role::Header | Role::Section | Role::Step => STRONG,
        Role::Server | Role::Why | Role::Sql => FAINT,
        Role::WeakLock => GOOD,
        Role::StrongLock | Role::Notice => WARN,
        Role::Fact => BAD,
        Role::Asked | Role::Work | Role::Estimate | Role::Undo | Role::Blank => Style::new(),
    }
}
