//! `concertina.archive`: what contracted migrations left behind.

use concertina_plan::plan::Noun as Internal;
use concertina_run::archive::ArchivedObject;
use schemars::JsonSchema;
use serde::Serialize;

use super::Document;

/// What lies in the archive.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ArchiveDocument {
    /// What is there, oldest first.
    pub objects: Vec<Object>,
    /// What this command removed for good.
    pub purged: Vec<Object>,
}

impl Document for ArchiveDocument {
    const FORMAT: &'static str = "concertina.archive";
}

/// An object in the archive.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Object {
    /// What it was or holds: `table public.orders`, `column email of public.users`.
    pub of: String,
    /// What it is in the archive.
    pub kind: Kind,
    /// Its name there, qualified and quoted.
    pub name: String,
    /// Bytes on disk, indexes included; absent for what takes none.
    pub bytes: Option<u64>,
    /// When it was put there, RFC 3339.
    pub since: String,
    /// Migration that put it there.
    pub migration: String,
}

/// What it is in the archive.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Table.
    Table,
    /// Index.
    Index,
    /// Sequence.
    Sequence,
    /// Function, procedure or aggregate.
    Routine,
    /// Type or domain.
    Type,
}

impl ArchiveDocument {
    /// What is there, and what is gone.
    pub fn of(objects: &[ArchivedObject], purged: &[ArchivedObject]) -> Self {
        Self {
            objects: objects.iter().map(Object::from).collect(),
            purged: purged.iter().map(Object::from).collect(),
        }
    }
}

impl From<&ArchivedObject> for Object {
    fn from(object: &ArchivedObject) -> Self {
        Self {
            of: object.archived.of.clone(),
            kind: match object.archived.noun {
                Internal::Table => Kind::Table,
                Internal::Index => Kind::Index,
                Internal::Sequence => Kind::Sequence,
                Internal::Routine => Kind::Routine,
                Internal::Type => Kind::Type,
            },
            name: object.archived.name.to_string(),
            bytes: object.bytes,
            since: object.since.clone(),
            migration: object.migration.clone(),
        }
    }
}
