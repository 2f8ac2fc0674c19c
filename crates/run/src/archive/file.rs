//! A file that holds a copy of what a migration left in the archive, and how it is read.
//!
//! gzip over lines, so that `zcat` shows it to people: a line of JSON that says what the file is; for each object a line of JSON
//! with the statements that make it again and, of a table, its rows as `COPY … TO STDOUT` writes them, ended by `\.`, and a
//! line with their number and checksum; at the end a line with the checksum of everything before it. A row never looks like the
//! end of the rows, because COPY writes a backslash twice.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use concertina_plan::plan::{Archived, Noun};
use flate2::bufread::GzDecoder;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::Error;

/// Version of the format that this program writes. Since 2 a table may have no rows of its own.
pub(super) const VERSION: u32 = 2;

/// What the first line says the file is.
pub(super) const WHAT: &str = "archive file";

/// Ends the rows of a table. Source: "Text Format" in doc/src/sgml/ref/copy.sgml.
pub(super) const END_OF_ROWS: &[u8] = b"\\.\n";

/// Longest line that is read as JSON: nobody's definition is longer, and a damaged file must not fill the memory.
const LONGEST: u64 = 64 << 20;

/// First line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Header {
    /// Always `archive file`.
    pub concertina: String,
    /// Version of the format that it was written with.
    pub version: u32,
    /// Migration.
    pub migration: String,
    /// Checksum of the migration's file.
    pub checksum: String,
    /// Database it comes from.
    pub database: String,
    /// `server_version_num` of its server.
    pub server_version: i32,
    /// When it was begun, RFC 3339.
    pub saved_at: String,
}

/// What makes an object again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Definition {
    /// What it is there, and what it was or holds.
    #[serde(flatten)]
    pub archived: Archived,
    /// A table whose rows are in its partitions.
    #[serde(default)]
    pub partitioned: bool,
    /// Columns whose values the rows hold, with their types; none of what is no table.
    pub columns: Vec<(String, String)>,
    /// Statements before its rows.
    pub before: Vec<String>,
    /// Statements after its rows.
    pub after: Vec<String>,
}

/// What follows the rows of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows {
    /// How many.
    pub rows: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// SHA-256 of these bytes, lower-case hex.
    pub sha256: String,
}

/// A line of JSON after the first.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    Object(Definition),
    Rows(Rows),
    End { objects: usize, sha256: String },
}

/// What a whole file holds, verified.
#[derive(Clone, Debug)]
pub struct Contents {
    /// Where from.
    pub header: Header,
    /// Objects in the order in which they are made, with the rows of tables.
    pub objects: Vec<(Definition, Option<Rows>)>,
}

impl Contents {
    /// Rows of all tables.
    pub fn rows(&self) -> u64 {
        self.objects.iter().filter_map(|(_, rows)| rows.as_ref()).map(|rows| rows.rows).sum()
    }
}

/// Whether objects of this sort have rows.
pub(super) fn has_rows(definition: &Definition) -> bool {
    definition.archived.noun == Noun::Table && !definition.partitioned
}

/// Lower-case hex of a finished checksum.
pub(super) fn hex(digest: Sha256) -> String {
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Counts and checks rows as they pass by.
#[derive(Default)]
pub(super) struct Meter {
    digest: Sha256,
    rows: u64,
    bytes: u64,
}

impl Meter {
    /// Whole rows, or parts of them: a row ends where a line does.
    pub(super) fn pass(&mut self, data: &[u8]) {
        self.digest.update(data);
        self.bytes += data.len() as u64;
        self.rows += data.iter().filter(|byte| **byte == b'\n').count() as u64;
    }

    pub(super) fn rows_so_far(&self) -> u64 {
        self.rows
    }

    pub(super) fn end(self) -> Rows {
        Rows { rows: self.rows, bytes: self.bytes, sha256: hex(self.digest) }
    }
}

/// Reads a file from its beginning to its end, and keeps no more than a line of it.
pub(super) struct Reader {
    path: String,
    input: BufReader<GzDecoder<BufReader<std::fs::File>>>,
    digest: Sha256,
    line: Vec<u8>,
    /// Of the file itself: where it is, and how long it is.
    pub(super) header: Header,
}

impl Reader {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let shown = path.display().to_string();
        let file = std::fs::File::open(path)
            .map_err(|error| Error::File { message: format!("{shown} cannot be read: {error}") })?;
        let mut reader = Self {
            path: shown,
            input: BufReader::new(GzDecoder::new(BufReader::new(file))),
            digest: Sha256::new(),
            line: Vec::new(),
            header: Header {
                concertina: String::new(),
                version: 0,
                migration: String::new(),
                checksum: String::new(),
                database: String::new(),
                server_version: 0,
                saved_at: String::new(),
            },
        };
        let foreign =
            |_| reader_error(&path.display().to_string(), "it is no file of `concertina archive save`");
        reader.read_line(LONGEST).map_err(foreign)?;
        reader.header = serde_json::from_slice(&reader.line)
            .map_err(|_| reader.damaged("it is no file of `concertina archive save`"))?;
        if reader.header.concertina != WHAT {
            return Err(reader.damaged("it is no file of `concertina archive save`"));
        }
        if reader.header.version > VERSION {
            return Err(reader.damaged("a newer Concertina wrote it: use that one"));
        }
        reader.digest.update(&reader.line);
        Ok(reader)
    }

    pub(super) fn damaged(&self, why: &str) -> Error {
        reader_error(&self.path, why)
    }

    fn read_line(&mut self, limit: u64) -> Result<(), Error> {
        self.line.clear();
        let read = (&mut self.input).take(limit).read_until(b'\n', &mut self.line);
        match read {
            Err(error) => Err(self.damaged(&format!("it is damaged, or it ends too early ({error})"))),
            Ok(_) if self.line.last() != Some(&b'\n') => {
                Err(self.damaged("it is damaged: it ends too early"))
            }
            Ok(_) => Ok(()),
        }
    }

    /// The next line of JSON.
    pub(super) fn next(&mut self) -> Result<Line, Error> {
        self.read_line(LONGEST)?;
        let line: Line = serde_json::from_slice(&self.line)
            .map_err(|error| self.damaged(&format!("it is damaged: {error}")))?;
        if let Line::End { sha256, .. } = &line {
            if *sha256 != hex(self.digest.clone()) {
                return Err(self.damaged("it is damaged: its checksum is not that of its contents"));
            }
        } else {
            self.digest.update(&self.line);
        }
        Ok(line)
    }

    /// The next row; `None` after the last one. A row may be as long as a value may be.
    pub(super) fn row(&mut self) -> Result<Option<&[u8]>, Error> {
        self.read_line(u64::MAX)?;
        self.digest.update(&self.line);
        Ok((self.line != END_OF_ROWS).then_some(&self.line[..]))
    }

    /// The line after the rows, which must agree with what was met.
    pub(super) fn after_rows(&mut self, met: &Rows) -> Result<(), Error> {
        match self.next()? {
            Line::Rows(said) if said == *met => Ok(()),
            _ => {
                Err(self
                    .damaged("it is damaged: number or checksum of the rows of a table are not what it says"))
            }
        }
    }
}

fn reader_error(path: &str, why: &str) -> Error {
    Error::File { message: format!("{path} cannot be used: {why}") }
}

/// Reads the whole file, and says what it holds; an error unless every checksum and every number is right.
///
/// # Errors
/// [`Error::File`].
pub fn verify(path: &Path) -> Result<Contents, Error> {
    let mut reader = Reader::open(path)?;
    let mut objects = Vec::new();
    loop {
        match reader.next()? {
            Line::Object(definition) => {
                let rows = if has_rows(&definition) {
                    let mut meter = Meter::default();
                    while let Some(row) = reader.row()? {
                        meter.pass(row);
                    }
                    let met = meter.end();
                    reader.after_rows(&met)?;
                    Some(met)
                } else {
                    None
                };
                objects.push((definition, rows));
            }
            Line::End { objects: said, .. } if said == objects.len() => break,
            Line::Rows(_) | Line::End { .. } => {
                return Err(reader.damaged("it is damaged: its parts do not fit"));
            }
        }
    }
    Ok(Contents { header: reader.header, objects })
}
