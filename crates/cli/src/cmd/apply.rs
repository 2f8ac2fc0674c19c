//! `concertina apply`

use crate::cmd::{Order, confirm};
use crate::failure::Failure;
use crate::render;
use crate::session::Session;

/// Runs every migration to its end: expand and contract, file after file.
///
/// For where no old code runs beside the new: a single instance, a maintenance window, a test database. Locks stay short
/// and other sessions come first all the same. With --simple the statements run as they are written, one transaction a file,
/// without backfills and archives: for a laptop or CI.
#[derive(Debug, clap::Args)]
pub struct Apply {
    /// Run the statements as written; recorded in the ledger as the others are.
    #[arg(long)]
    simple: bool,
    /// Remove data without asking.
    #[arg(long, short = 'y')]
    yes: bool,
    #[command(flatten)]
    order: Order,
}

impl Apply {
    pub(crate) async fn run(self, mut session: Session) -> Result<(), Failure> {
        self.order.apply(&mut session);
        let folder = session.folder()?;
        let engine = session.engine().await?;
        session.written(&engine, &folder, None).await?;
        let files = &folder.files;
        let outcome = if self.simple {
            engine.apply_simple(files).await.map_err(Failure::from)
        } else {
            confirm::run(&session, &engine, files, self.yes, async |confirm| {
                engine.apply(files, confirm).await
            })
            .await
        }
        .map_err(|failure| session.locate(failure, &folder))?;
        let statuses = engine.status(files).await?;
        session.report(
            || render::outcome::text("apply", &outcome, &statuses),
            || render::outcome::document("apply", &outcome, &statuses),
        );
        Ok(())
    }
}
