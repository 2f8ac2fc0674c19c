//! The event log as a table.

use concertina_run::state::HistoryEntry;

use super::{table, table_text, time};

/// Oldest first.
pub fn text(entries: &[HistoryEntry]) -> String {
    if entries.is_empty() {
        return "Nothing has happened yet.\n".to_owned();
    }
    let mut out = table(&["TIME", "MIGRATION", "BY", "WHAT"]);
    for entry in entries {
        let migration = entry.migration.as_deref().unwrap_or("-");
        let event = entry.event.replace('_', " ");
        let what = if entry.message.is_empty() { event } else { format!("{event}: {}", entry.message) };
        out.add_row([&time(&entry.at), migration, &entry.by, &what]);
    }
    table_text(&out)
}
