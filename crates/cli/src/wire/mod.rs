//! The JSON that programs read: dedicated types, so that the inside may change and the outside does not.
//!
//! Every document says what it is: `{"format": "concertina.plan", "version": 1, …}`. Within a version members are only
//! added; a reader ignores what it does not know. docs/json.md explains the documents, docs/schema/ holds their
//! JSON Schemas, and tests keep both true.

use schemars::{JsonSchema, Schema};
use serde::Serialize;

mod adopt;
mod archive;
mod check;
mod demo;
mod error;
mod estimate;
mod history;
mod outcome;
mod plan;
mod quarantine;
mod report;
mod status;

pub use adopt::{AcceptDocument, BaselineDocument, RemovedArchive, UninstallDocument, What};
pub use archive::{ArchiveDocument, ArchiveFileDocument};
pub use check::{CheckDocument, CheckedMigration, FailedMigration, LoadedDump, SkippedStatement};
pub use demo::{DemoDocument, Felt, HeldLock, Moment, Run, Span};
pub use error::ErrorDocument;
pub use estimate::{Estimate, KeptEstimate};
pub use history::{Event, HistoryDocument};
pub use outcome::{CreatedDocument, InitDocument, OutcomeDocument};
pub use plan::{Action, Lock, MissingRight, PlanDocument, PlannedMigration, RefusedMigration};
pub use quarantine::{Blocks, KeyPart, QuarantineDocument, Quarantined};
pub use report::{Direction, ReportDocument, ReportEvent, ReportSpan, ReportStep, Spent};
pub use status::{State, StatusDocument, StepState};

/// A document's name, written into its `format` member.
pub trait Document: Serialize + JsonSchema {
    /// `concertina.plan`
    const FORMAT: &'static str;
}

/// `format` and `version`, then the document's own members.
#[derive(Serialize)]
struct Envelope<'a, D> {
    format: &'static str,
    version: u32,
    #[serde(flatten)]
    document: &'a D,
}

/// Version of every document at present. One that changes a meaning, or drops a member, gets the next number.
pub const VERSION: u32 = 1;

/// The document as text, with a line end.
pub fn to_json<D: Document>(document: &D) -> String {
    let envelope = Envelope { format: D::FORMAT, version: VERSION, document };
    // Plain data with string keys: nothing in it can fail to serialise.
    let mut text = serde_json::to_string_pretty(&envelope).unwrap_or_default();
    text.push('\n');
    text
}

/// The document's JSON Schema, as docs/schema/ holds it.
pub fn schema<D: Document>() -> serde_json::Value {
    let mut schema: Schema = schemars::generate::SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<D>();
    schema.insert("title".to_owned(), D::FORMAT.into());
    let mut schema = schema.to_value();
    let constant = |value: serde_json::Value, description: &str| serde_json::json!({"const": value, "description": description});
    if let Some(properties) = schema["properties"].as_object_mut() {
        properties.insert("format".to_owned(), constant(D::FORMAT.into(), "Which document this is."));
        properties.insert("version".to_owned(), constant(VERSION.into(), "Version of the document."));
    }
    if let Some(required) = schema["required"].as_array_mut() {
        required.insert(0, "format".into());
        required.insert(1, "version".into());
    }
    schema
}

/// Every schema with its file name.
pub fn schemas() -> Vec<(String, serde_json::Value)> {
    fn one<D: Document>() -> (String, serde_json::Value) {
        (format!("{}.v{VERSION}.json", D::FORMAT), schema::<D>())
    }
    vec![
        one::<PlanDocument>(),
        one::<StatusDocument>(),
        one::<HistoryDocument>(),
        one::<ReportDocument>(),
        one::<ArchiveDocument>(),
        one::<ArchiveFileDocument>(),
        one::<OutcomeDocument>(),
        one::<InitDocument>(),
        one::<CreatedDocument>(),
        one::<BaselineDocument>(),
        one::<AcceptDocument>(),
        one::<UninstallDocument>(),
        one::<CheckDocument>(),
        one::<QuarantineDocument>(),
        one::<ErrorDocument>(),
        one::<DemoDocument>(),
    ]
}

/// The phases of a plan, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Add the new shape beside the old.
    Expand,
    /// Derive new data in batches.
    Backfill,
    /// Prove constraints.
    Validate,
    /// Swap where the same name changes its type.
    Switch,
    /// Tighten; remove the old shape.
    Contract,
}

impl From<concertina_plan::plan::Phase> for Phase {
    fn from(phase: concertina_plan::plan::Phase) -> Self {
        use concertina_plan::plan::Phase as Internal;
        match phase {
            Internal::Expand => Self::Expand,
            Internal::Backfill => Self::Backfill,
            Internal::Validate => Self::Validate,
            Internal::Switch => Self::Switch,
            Internal::Contract => Self::Contract,
        }
    }
}
