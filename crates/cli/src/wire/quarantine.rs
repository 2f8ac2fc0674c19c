//! `concertina.quarantine`: rows that wait for a value.

use concertina_plan::plan::Blocks as Internal;
use concertina_run::quarantine::Entry;
use schemars::JsonSchema;
use serde::Serialize;

use super::Document;

/// Rows in quarantine.
#[derive(Debug, Serialize, JsonSchema)]
pub struct QuarantineDocument {
    /// Rows that wait for a value, in the order in which they came.
    pub rows: Vec<Quarantined>,
    /// Rows that this command gave their value.
    pub repaired: Vec<Quarantined>,
}

impl Document for QuarantineDocument {
    const FORMAT: &'static str = "concertina.quarantine";
}

/// A row that was written while the value of a column could not be computed.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Quarantined {
    /// Number, for `quarantine set`.
    pub number: i64,
    /// Migration.
    pub migration: String,
    /// Table, qualified and quoted.
    pub table: String,
    /// Column, as the catalog spells it.
    pub column: String,
    /// The row's key; empty where the table has none, and the entry stands for all its rows.
    pub key: Vec<KeyPart>,
    /// SQLSTATE of what the expression raised.
    pub sqlstate: String,
    /// The same in words.
    pub message: String,
    /// When the row was written so, RFC 3339.
    pub at: String,
    /// The command that does not go on without the value.
    pub blocks: Blocks,
}

/// A column of a key with its value.
#[derive(Debug, Serialize, JsonSchema)]
pub struct KeyPart {
    /// Column, as the catalog spells it.
    pub column: String,
    /// Its value as text.
    pub value: String,
}

/// A command that waits for rows in quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Blocks {
    /// `switch`
    Switch,
    /// `contract`
    Contract,
    /// `undo`
    Undo,
}

impl From<Internal> for Blocks {
    fn from(blocks: Internal) -> Self {
        match blocks {
            Internal::Switch => Self::Switch,
            Internal::Contract => Self::Contract,
            Internal::Undo => Self::Undo,
        }
    }
}

impl QuarantineDocument {
    /// What waits, and what was repaired.
    pub fn of(rows: &[Entry], repaired: &[Entry]) -> Self {
        let all = |entries: &[Entry]| entries.iter().map(Quarantined::from).collect();
        Self { rows: all(rows), repaired: all(repaired) }
    }
}

impl From<&Entry> for Quarantined {
    fn from(entry: &Entry) -> Self {
        let part =
            |(column, value): &(String, String)| KeyPart { column: column.clone(), value: value.clone() };
        Self {
            number: entry.id,
            migration: entry.migration.clone(),
            table: entry.table.clone(),
            column: entry.column.clone(),
            key: entry.key.iter().map(part).collect(),
            sqlstate: entry.sqlstate.clone(),
            message: entry.message.clone(),
            at: entry.at.clone(),
            blocks: entry.blocks.into(),
        }
    }
}
