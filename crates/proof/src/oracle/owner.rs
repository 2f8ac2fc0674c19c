//! Oracle 9: whoever owns the tables, and has no further right, can do and undo it all; no right is asked for in vain.

use anyhow::{Result, ensure};
use concertina_plan::plan::Undo;
use concertina_run::Error;

use crate::drive::{self, Command};
use crate::oracle::Exhibit;

/// The role of [`crate::world::World::database_of_owner`].
const ROLE: &str = "plain";

/// Judges the whole way and the whole way back.
///
/// # Errors
/// What is wrong.
pub async fn judge(exhibit: &Exhibit<'_>) -> Result<()> {
    let Exhibit { case, plan, start, .. } = exhibit;
    if plan.steps.is_empty() {
        return Ok(());
    }
    let Some(database) = start.world().database_of_owner(&case.schema).await? else { return Ok(()) };
    let (url, file) = (database.url_of(ROLE), case.file());
    for grant in &case.expect.grants {
        let refused = drive::run(&url, Command::Expand, &file, usize::MAX).await?;
        ensure!(refused.outcome.is_err(), "it is done without {grant}");
        if start.world().major() < 15 {
            return database.remove().await;
        }
        database.psql(&format!("GRANT {grant} TO {ROLE}")).await?;
    }
    drive::to_boundary(&url, plan, &file, plan.steps.len()).await?;
    let undo = drive::run(&url, Command::Undo, &file, usize::MAX).await?;
    let impossible = plan.steps.iter().any(|step| matches!(step.undo, Undo::Impossible { .. }));
    match &undo.outcome {
        Err(error @ Error::CannotUndo { .. }) => ensure!(impossible, "{error}"),
        _ => undo.stopped_or_done()?,
    }
    for grant in &case.expect.grants {
        database.psql(&format!("REVOKE {grant} FROM {ROLE}")).await?;
    }
    database.remove().await
}
