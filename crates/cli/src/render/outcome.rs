//! What a command that changed something says at its end.

use concertina_run::engine::Outcome;
use concertina_run::state::{MigrationState, MigrationStatus};

use super::{GOOD, STRONG, WARN};
use crate::wire;

/// Sentences: what moved, what waits, what to do next.
pub fn text(command: &str, outcome: &Outcome, statuses: &[MigrationStatus]) -> String {
    let mut out = String::new();
    let (mut expanded, mut switchable) = (false, false);
    for name in &outcome.moved {
        let state = state_of(name, statuses);
        let waits = statuses.iter().any(|status| status.name == *name && status.waits_for_switch());
        switchable |= waits;
        expanded |= !waits && matches!(state, Some(MigrationState::Expanded | MigrationState::Switched));
        let said = if waits {
            "expanded. Old code works as before; the new type comes with the switch."
        } else {
            sentence(command, state)
        };
        out.push_str(&format!("{STRONG}{name}{STRONG:#}: {GOOD}{said}{GOOD:#}\n"));
    }
    // What was moved says by its state that it waits for contract.
    for (name, reason) in outcome.waiting.iter().filter(|(name, _)| !outcome.moved.contains(name)) {
        out.push_str(&format!("{STRONG}{name}{STRONG:#}: {WARN}waits{WARN:#}: {reason}\n"));
    }
    if outcome.moved.is_empty() && outcome.waiting.is_empty() {
        out.push_str(match command {
            "expand" => "Nothing to expand: every migration of the folder is applied or under way.\n",
            "switch" => "Nothing to switch: no expanded migration changes a type.\n",
            "contract" => "Nothing to contract: no migration is expanded.\n",
            "undo" => "Nothing to undo.\n",
            _ => "Nothing to do: every migration of the folder is applied.\n",
        });
    }
    if switchable {
        out.push_str(
            "Next: once all code that runs can do with the new type, `concertina switch`; or `concertina undo`.\n",
        );
    }
    if expanded {
        out.push_str("Next: deploy the code that uses the new shape, then `concertina contract`; or `concertina undo`.\n");
    }
    out
}

fn sentence(command: &str, state: Option<MigrationState>) -> &'static str {
    match state {
        Some(MigrationState::Expanded) => "expanded. Old and new code both work now.",
        Some(MigrationState::Switched) => "switched. The name has its new type; old values are kept in step.",
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
