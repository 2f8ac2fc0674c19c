//! `concertina undo`

use crate::failure::Failure;
use crate::render;
use crate::session::Session;

/// Goes back to the start: takes back every step of a migration, from any phase.
///
/// Archived data is brought back. What cannot be undone, or does not come back entirely, is said by `plan` beforehand and by
/// this command. An interrupted undo goes on where it stopped.
#[derive(Debug, clap::Args)]
pub struct Undo {
    /// Which: name, number or path. May be left out when only one can be meant.
    migration: Option<String>,
}

impl Undo {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let folder = session.folder()?;
        // The file may be gone; the ledger still knows the name and how to undo it.
        let known = |wanted| folder.find(wanted).map_or(wanted, |file| file.name.as_str());
        let only = self.migration.as_deref().map(known);
        let engine = session.engine().await?;
        let outcome = engine.undo(only).await?;
        let statuses = engine.status(&folder.files).await?;
        session.report(
            || render::outcome::text("undo", &outcome, &statuses),
            || render::outcome::document("undo", &outcome, &statuses),
        );
        Ok(())
    }
}
