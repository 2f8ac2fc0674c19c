//! `concertina contract`

use crate::cmd::confirm;
use crate::failure::Failure;
use crate::render;
use crate::session::Session;

/// Finishes expanded migrations: removes the old shape, and tightens what old code might have broken.
///
/// Run it when no old code is left. Oldest first; or only the one given. Before data is removed it asks, on a terminal;
/// elsewhere it needs --yes.
#[derive(Debug, clap::Args)]
pub struct Contract {
    /// Only this one: name, number or path.
    migration: Option<String>,
    /// Remove data without asking.
    #[arg(long, short = 'y')]
    yes: bool,
}

impl Contract {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let folder = session.folder()?;
        let only = folder.only(self.migration.as_deref())?;
        let engine = session.engine().await?;
        let files = &folder.files;
        let outcome = confirm::run(session, &engine, files, self.yes, async |confirm| {
            engine.contract(files, only, confirm).await
        })
        .await
        .map_err(|failure| session.locate(failure, &folder))?;
        let statuses = engine.status(files).await?;
        session.report(
            || render::outcome::text("contract", &outcome, &statuses),
            || render::outcome::document("contract", &outcome, &statuses),
        );
        Ok(())
    }
}
