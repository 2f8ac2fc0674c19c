//! `concertina switch`

use crate::failure::Failure;
use crate::render;
use crate::session::Session;

/// Lets columns whose type changes take their new type, each in one short transaction.
///
/// Run it when all code that is running can do with the new type. From then on what is written is carried back into the old
/// column until contract, so that undo loses nothing. Oldest first; or only the one given. Migrations that change no type by a
/// second column have nothing to switch.
#[derive(Debug, clap::Args)]
pub struct Switch {
    /// Only this one: name, number or path.
    migration: Option<String>,
}

impl Switch {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let folder = session.folder()?;
        let only = folder.only(self.migration.as_deref())?;
        let engine = session.engine().await?;
        let files = &folder.files;
        let outcome = engine
            .switch(files, only)
            .await
            .map_err(|error| session.locate(Failure::from(error), &folder))?;
        let statuses = engine.status(files).await?;
        session.report(
            || render::outcome::text("switch", &outcome, &statuses),
            || render::outcome::document("switch", &outcome, &statuses),
        );
        Ok(())
    }
}
