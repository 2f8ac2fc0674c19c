//! `concertina uninstall`

use std::io::IsTerminal;

use concertina_run::Error;
use concertina_run::engine::Confirm;

use crate::cmd::confirm;
use crate::failure::Failure;
use crate::render;
use crate::session::Session;
use crate::wire::UninstallDocument;

/// Removes everything of Concertina's from the database: ledger, event log, archives, and triggers if any are left.
///
/// What migrations have made of your schema stays. Refused while a migration is in flight. Archives hold the only copy of what
/// was dropped: before they go it names them and asks, on a terminal; elsewhere it needs --yes. The migration files and
/// concertina.toml are left alone. `baseline` starts again.
#[derive(Debug, clap::Args)]
pub struct Uninstall {
    /// Remove archives without asking.
    #[arg(long, short = 'y')]
    yes: bool,
}

impl Uninstall {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let engine = session.engine().await?;
        let removed = match engine.uninstall(Confirm { destroy: self.yes }).await {
            Err(Error::Archives { archives }) if std::io::stdin().is_terminal() => {
                session.progress.finish();
                render::say(&render::adopt::archives(&archives));
                if !confirm::ask(session).await {
                    return Err(Error::Archives { archives }.into());
                }
                engine.uninstall(Confirm { destroy: true }).await?
            }
            result => result?,
        };
        session.report(|| render::adopt::removed(&removed), || UninstallDocument::from(&removed));
        Ok(())
    }
}
