//! `concertina status`

use crate::failure::Failure;
use crate::render;
use crate::session::Session;
use crate::wire::StatusDocument;

/// Shows where every migration stands, what blocks it, and what to do next.
#[derive(Debug, clap::Args)]
pub struct Status {}

impl Status {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let folder = session.folder()?;
        let engine = session.engine().await?;
        let statuses = engine.status(&folder.files).await?;
        session.answer(|| render::status::text(&statuses), || StatusDocument::from(statuses.as_slice()));
        Ok(())
    }
}
