//! `concertina quarantine`

use crate::failure::Failure;
use crate::render;
use crate::session::Session;
use crate::wire::QuarantineDocument;

/// Shows or repairs rows that were written while a value could not be computed.
///
/// While old and new shape live beside each other, a column is derived for every row that the application writes. Where the expression
/// raises an error for a row, the row is written with NULL in that column, and waits in quarantine: the application never fails because
/// of it, and switch, contract or undo does not go on without its value.
#[derive(Debug, clap::Args)]
pub struct Quarantine {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    List(List),
    Retry(Retry),
    Set(Set),
}

/// Shows rows that wait for a value: their number, their key, what was raised, and what they block.
#[derive(Debug, clap::Args)]
pub struct List {}

/// Evaluates the expression again for every row in quarantine, after a function was corrected or a right was given.
///
/// Rows that the application has corrected itself need no retry. Exit code 18 where rows are left.
#[derive(Debug, clap::Args)]
pub struct Retry {
    /// Only those of this migration: name, number or path.
    migration: Option<String>,
}

/// Gives the row its value.
///
/// Only the derived column is written. A later write of the row by the application derives it again.
#[derive(Debug, clap::Args)]
pub struct Set {
    /// Number of the row, as `quarantine list` shows it.
    number: i64,
    /// The value, as PostgreSQL reads it for the column's type: 42, 2026-11-28, {"a": 1}.
    #[arg(allow_hyphen_values = true)]
    value: String,
}

impl Quarantine {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        match self.verb {
            Verb::List(_) => {
                let entries = session.engine().await?.quarantine().await?;
                session
                    .answer(|| render::quarantine::text(&entries), || QuarantineDocument::of(&entries, &[]));
            }
            Verb::Retry(retry) => {
                let folder = session.folder()?;
                let only = retry
                    .migration
                    .as_deref()
                    .map(|wanted| folder.find(wanted).map_or(wanted, |file| file.name.as_str()));
                let retried = session.engine().await?.retry_quarantine(only).await?;
                if !retried.left.is_empty() {
                    return Err(render::quarantine::left(&retried));
                }
                session.report(
                    || render::quarantine::retried(&retried),
                    || QuarantineDocument::of(&retried.left, &retried.repaired),
                );
            }
            Verb::Set(set) => {
                let engine = session.engine().await?;
                let entry = engine.set_quarantine(set.number, &set.value).await?;
                let left = engine.quarantine().await?;
                session.report(
                    || render::quarantine::set(&entry, left.len()),
                    || QuarantineDocument::of(&left, std::slice::from_ref(&entry)),
                );
            }
        }
        Ok(())
    }
}
