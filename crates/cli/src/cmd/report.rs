//! `concertina report`

use std::path::PathBuf;

use concertina_run::engine::Engine;

use crate::args::Format;
use crate::failure::Failure;
use crate::session::Session;
use crate::wire::{self, ReportDocument};
use crate::{render, report};

/// Writes how a migration's run went into one HTML file: steps, locks, waits and rows on one time axis.
///
/// The page is complete in itself and loads nothing. It holds the migration's SQL and names of tables and roles, but no data of
/// yours beyond what error messages of the server quote. With --format json the same data as a document. Works while the
/// migration is under way, too; only reads.
#[derive(Debug, clap::Args)]
pub struct Report {
    /// Which: name, number or path.
    migration: String,

    /// File to write; otherwise stdout.
    #[arg(long, short = 'o', value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Report {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let folder = session.folder()?;
        // The file may be gone; the ledger still knows the name.
        let found = folder.find(&self.migration);
        let name = found.as_ref().map_or(self.migration.as_str(), |file| file.name.as_str());
        let engine = session.engine().await?;
        let document = match (document(&engine, name).await?, found) {
            (Some(document), _) => document,
            (None, Err(nowhere)) => return Err(nowhere),
            (None, Ok(_)) => {
                return Err(Failure::file(format!(
                    "migration {name} has not begun: there is nothing to report"
                ))
                .hint("`concertina status` lists the migrations"));
            }
        };
        session.progress.finish();
        let text = match session.global.format {
            Format::Text => report::run_page(&document),
            Format::Json => wire::to_json(&document),
        };
        match &self.output {
            None => render::answer(&text),
            Some(path) => {
                std::fs::write(path, text)
                    .map_err(|error| Failure::file(format!("{}: {error}", path.display())))?;
                if !session.global.quiet {
                    render::say(&format!("{}: written", path.display()));
                }
            }
        }
        Ok(())
    }
}

async fn document(engine: &Engine, name: &str) -> Result<Option<ReportDocument>, Failure> {
    Ok(engine.report(name).await?.as_ref().map(ReportDocument::from))
}
