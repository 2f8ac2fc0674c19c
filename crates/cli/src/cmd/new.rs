//! `concertina new`

use std::fs;

use crate::failure::Failure;
use crate::folder::Folder;
use crate::session::Session;
use crate::wire::CreatedDocument;

/// Makes the next migration file and prints its path.
///
/// The name gets the next number (0007_name.sql), or the present time where the folder uses timestamps.
#[derive(Debug, clap::Args)]
pub struct New {
    /// What it does, in a few words: `add_users_email` or "add users' email".
    name: String,
    /// Number it by the present time (UTC), also in a folder that is still empty.
    #[arg(long)]
    timestamp: bool,
}

pub(crate) const TEMPLATE: &str = "\
-- What this migration wants, in plain SQL: write it as if nobody used the database.
-- `concertina plan` shows what becomes of it.

";

impl New {
    pub(crate) fn run(self, session: &Session) -> Result<(), Failure> {
        let migrations = &session.config.migrations;
        // The first migration may be made before `init`.
        fs::create_dir_all(migrations)
            .map_err(|error| Failure::file(format!("cannot make {}: {error}", migrations.display())))?;
        let folder = Folder::read(migrations)?;
        let path = folder.next(&self.name, self.timestamp, jiff::Timestamp::now())?;
        fs::write(&path, TEMPLATE)
            .map_err(|error| Failure::file(format!("cannot write {}: {error}", path.display())))?;
        // The path is the answer, `--quiet` or not: an editor is opened with it.
        session.answer(
            || format!("{}\n", path.display()),
            || CreatedDocument {
                name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
                path: path.display().to_string(),
            },
        );
        Ok(())
    }
}
