//! `concertina.history`: what happened, from the ledger's event log.

use concertina_run::state::HistoryEntry;
use schemars::JsonSchema;
use serde::Serialize;

use super::Document;

/// What happened, oldest first.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HistoryDocument {
    /// Events.
    pub events: Vec<Event>,
}

impl Document for HistoryDocument {
    const FORMAT: &'static str = "concertina.history";
}

/// One event.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Event {
    /// When, RFC 3339.
    pub at: String,
    /// Migration, if it is about one.
    pub migration: Option<String>,
    /// What: `step_done` and the like. New ones may come; treat an unknown one as a note.
    pub event: String,
    /// In words.
    pub message: String,
    /// Role.
    pub by: String,
}

impl From<&[HistoryEntry]> for HistoryDocument {
    fn from(entries: &[HistoryEntry]) -> Self {
        Self { events: entries.iter().map(Event::from).collect() }
    }
}

impl From<&HistoryEntry> for Event {
    fn from(entry: &HistoryEntry) -> Self {
        Self {
            at: entry.at.clone(),
            migration: entry.migration.clone(),
            event: entry.event.clone(),
            message: entry.message.clone(),
            by: entry.by.clone(),
        }
    }
}
