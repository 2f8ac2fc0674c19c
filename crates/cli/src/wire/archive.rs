//! `concertina.archive`: what migrations left behind. `concertina.archive-file`: what a saved file holds.

use std::path::Path;

use concertina_plan::plan::Noun as Internal;
use concertina_run::archive::{ArchivedObject, Contents};
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
    /// The last file it was saved into, as far as the ledger knows; absent where there is none.
    pub saved: Option<Saved>,
    /// Undo put it there, or could not put it back; the migration has been taken back.
    pub kept_by_undo: bool,
}

/// A file that was saved.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Saved {
    /// Its path, as it was given.
    pub file: String,
    /// When, RFC 3339.
    pub at: String,
}

/// What a file of `archive save` holds.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ArchiveFileDocument {
    /// Its path.
    pub file: String,
    /// Migration it belongs to.
    pub migration: String,
    /// Checksum of the migration's file.
    pub checksum: String,
    /// Database it comes from.
    pub database: String,
    /// When it was saved, RFC 3339.
    pub saved_at: String,
    /// What it holds, in the order in which it is made again.
    pub objects: Vec<SavedObject>,
    /// Names of those that this command made again in the archive; absent where it was not asked to.
    pub restored: Option<Vec<String>>,
}

impl Document for ArchiveFileDocument {
    const FORMAT: &'static str = "concertina.archive-file";
}

/// An object in a file.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SavedObject {
    /// What it was or holds.
    pub of: String,
    /// What it is in the archive.
    pub kind: Kind,
    /// Its name there, qualified and quoted.
    pub name: String,
    /// Rows; absent for what has none.
    pub rows: Option<u64>,
    /// SHA-256 of the rows as `COPY` writes them, lower-case hex; absent for what has none.
    pub sha256: Option<String>,
}

impl ArchiveFileDocument {
    /// What the file holds, and what of it was made again.
    pub fn of(path: &Path, contents: &Contents, restored: Option<&[String]>) -> Self {
        let header = &contents.header;
        Self {
            file: path.display().to_string(),
            migration: header.migration.clone(),
            checksum: header.checksum.clone(),
            database: header.database.clone(),
            saved_at: header.saved_at.clone(),
            objects: contents
                .objects
                .iter()
                .map(|(definition, rows)| SavedObject {
                    of: definition.archived.of.clone(),
                    kind: definition.archived.noun.into(),
                    name: definition.archived.name.to_string(),
                    rows: rows.as_ref().map(|rows| rows.rows),
                    sha256: rows.as_ref().map(|rows| rows.sha256.clone()),
                })
                .collect(),
            restored: restored.map(<[String]>::to_vec),
        }
    }
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
            kind: object.archived.noun.into(),
            name: object.archived.name.to_string(),
            bytes: object.bytes,
            since: object.since.clone(),
            migration: object.migration.clone(),
            saved: object.saved.as_ref().map(|(file, at)| Saved { file: file.clone(), at: at.clone() }),
            kept_by_undo: object.kept,
        }
    }
}

impl From<Internal> for Kind {
    fn from(noun: Internal) -> Self {
        match noun {
            Internal::Table => Self::Table,
            Internal::Index => Self::Index,
            Internal::Sequence => Self::Sequence,
            Internal::Routine => Self::Routine,
            Internal::Type => Self::Type,
        }
    }
}
