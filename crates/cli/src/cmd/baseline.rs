//! `concertina baseline`

use crate::failure::Failure;
use crate::render;
use crate::session::Session;
use crate::wire::BaselineDocument;

/// Records migrations as applied without running them: the database as it is becomes the start.
///
/// For a database that was there before Concertina, or that another tool migrated so far. Makes the ledger; looks at nothing and
/// changes nothing else. In a project without migration files that is all: new ones run on top of the database as it is. All or
/// nothing, and safe to run again.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("range").required(true))]
pub struct Baseline {
    /// The last migration that the database has already, with all before it: name, number or path.
    #[arg(group = "range")]
    migration: Option<String>,
    /// Every migration of the folder, as far as there are any.
    #[arg(long, group = "range")]
    all: bool,
    /// Why, for the event log.
    #[arg(long, value_name = "TEXT", value_parser = super::words)]
    reason: Option<String>,
}

impl Baseline {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let folder = session.folder()?;
        let upto = folder.only(self.migration.as_deref())?;
        let engine = session.engine().await?;
        let baseline = engine.baseline(&folder.files, upto, self.reason.as_deref()).await?;
        session.report(|| render::adopt::baseline(&baseline), || BaselineDocument::from(&baseline));
        Ok(())
    }
}
