//! `concertina expand`

use crate::cmd::Order;
use crate::failure::Failure;
use crate::render;
use crate::session::Session;

/// Runs expand, backfill and validate: afterwards old and new code both work.
///
/// Without a migration: all that are not applied yet, in order, up to the first that is refused or has to wait for another
/// one's contract. An interrupted one goes on where it stopped. Safe to run at any time, and again.
#[derive(Debug, clap::Args)]
pub struct Expand {
    /// Only this one: name, number or path.
    migration: Option<String>,
    #[command(flatten)]
    order: Order,
}

impl Expand {
    pub(crate) async fn run(self, mut session: Session) -> Result<(), Failure> {
        self.order.apply(&mut session);
        let folder = session.folder()?;
        let only = folder.only(self.migration.as_deref())?;
        let engine = session.engine().await?;
        session.written(&engine, &folder, only).await?;
        let outcome = engine
            .expand(&folder.files, only)
            .await
            .map_err(|error| session.locate(error.into(), &folder))?;
        let statuses = engine.status(&folder.files).await?;
        session.report(
            || render::outcome::text("expand", &outcome, &statuses),
            || render::outcome::document("expand", &outcome, &statuses),
        );
        Ok(())
    }
}
