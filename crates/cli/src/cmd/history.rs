//! `concertina history`

use crate::failure::Failure;
use crate::render;
use crate::session::Session;
use crate::wire::HistoryDocument;

/// Shows what happened, oldest first: who ran what when, and how long it took.
#[derive(Debug, clap::Args)]
pub struct History {
    /// Only the newest so many events.
    #[arg(long, short = 'n', value_name = "COUNT")]
    last: Option<usize>,
}

impl History {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let engine = session.engine().await?;
        let all = engine.history().await?;
        let first = self.last.map_or(0, |last| all.len().saturating_sub(last));
        let entries = &all[first..];
        session.answer(|| render::history::text(entries), || HistoryDocument::from(entries));
        Ok(())
    }
}
