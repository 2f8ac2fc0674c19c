//! What a command that changed something says at its end.

use concertina_run::engine::Outcome;
use concertina_run::state::{MigrationState, MigrationStatus};

use super::{GOOD, STRONG, WARN};
use crate::wire;

/// Sentences: what moved, what waits, what to do next.
pub fn text(command: &str, outcome: &Outcome, statuses: &[MigrationStatus]) -> String {
    let mut out = String::new();
    let mut expanded = false;
    for name in &outcome.moved {
        let state = state_of(name, statuses);
        expanded |= state == Some(MigrationState::Expanded);
        out.push_str(&format!("{STRONG}{name}{STRONG:#}: {GOOD}{}{GOOD:#}\n", sentence(command, state)));
    }
    // What was moved says by its state that it waits for contract.
    for (name, reason) in outcome.waiting.iter().filter(|(name, _)| !outcome.moved.contains(name)) {
        out.push_str(&format!("{STRONG}{name}{STRONG:#}: {WARN}waits{WARN:#}: {reason}\n"));
    }
    if outcome.moved.is_empty() && outcome.waiting.is_empty() {
        out.push_str(match command {
            "expand" => "Nothing to expand: every migration of the folder is applied or under way.\n",
            "contract" => "Nothing to contract: no migration is expanded.\n",
            "undo" => "Nothing to undo.\n",
            _ => "Nothing to do: every migration of the folder is applied.\n",
        });
    }
    if expanded {
        out.push_str("Next: deploy the code that uses the new shape, then `concertina contract`; or `concertina undo`.\n");
    }
    out
}

fn sentence(command: &str, state: Option<MigrationState>) -> &'static str {
    match state {
        Some(MigrationState::Expanded) => "expanded. Old and new code both work now.",
        Some(MigrationState::Done) if command == "expand" => "done. There is nothing to contract.",
        Some(MigrationState::Done) => "done.",
        Some(MigrationState::Undone | MigrationState::Pending) => {
            "undone. The database is as it was before it."
        }
        Some(MigrationState::Expanding) => "expanding.",
        Some(MigrationState::Contracting) => "contracting.",
        Some(MigrationState::Undoing) => "undoing.",
        None => "done.",
    }
}

fn state_of(name: &str, statuses: &[MigrationStatus]) -> Option<MigrationState> {
    statuses.iter().find(|status| status.name == name).map(|status| status.state)
}

/// The same as a document.
pub fn document(command: &str, outcome: &Outcome, statuses: &[MigrationStatus]) -> wire::OutcomeDocument {
    wire::OutcomeDocument::new(command, outcome, |name| state_of(name, statuses))
}
