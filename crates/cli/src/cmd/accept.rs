//! `concertina accept`

use concertina_run::state::MigrationFile;

use crate::failure::Failure;
use crate::folder::Folder;
use crate::render;
use crate::session::Session;
use crate::wire::AcceptDocument;

/// Accepts that the file of a finished migration is not the one that ran: it was changed since, or is gone.
///
/// Nothing is run. The ledger takes over the file's present checksum, or that there is no file, and the event log keeps who
/// accepted it, when, why, and both checksums. A migration that is in flight runs by its stored plan, so its file cannot be accepted:
/// bring it back as it was, or undo the migration and run the new text.
#[derive(Debug, clap::Args)]
pub struct Accept {
    /// Whose file: name, number or path. One that is gone is named as the ledger knows it.
    #[arg(value_name = "FILE")]
    file: String,
    /// Why, for the event log.
    #[arg(long, value_name = "TEXT", value_parser = super::words)]
    reason: String,
}

impl Accept {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let folder = session.folder()?;
        let engine = session.engine().await?;
        let name = match folder.find(&self.file) {
            Ok(file) => file.name.clone(),
            // A file that is gone is found by the same rules among those that the ledger knows.
            Err(unknown) => {
                let known = engine.status(&folder.files).await?.into_iter();
                let files = known.map(|it| MigrationFile { name: it.name, text: String::new() }).collect();
                let ledger = Folder { path: folder.path.clone(), files };
                ledger.find(&self.file).map_err(|_| unknown)?.name.clone()
            }
        };
        let accepted = engine.accept(&folder.files, &name, &self.reason).await?;
        session
            .report(|| render::adopt::accepted(&accepted), || AcceptDocument::new(&accepted, &self.reason));
        Ok(())
    }
}
