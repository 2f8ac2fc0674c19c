//! Takes over what is there: migrations that another tool (or nobody) ran become the baseline, and files that are not what the
//! ledger remembers are accepted as they are now. Nothing here runs a statement of a migration.

use concertina_plan::checksum;
use serde_json::json;

use crate::engine::{Engine, in_flight};
use crate::error::Error;
use crate::executor::Run;
use crate::ledger::{self, MigrationRow};
use crate::state::{MigrationFile, MigrationState};
use crate::{failpoint, files};

/// What `baseline` did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baseline {
    /// Migrations that are recorded as applied now, in order.
    pub recorded: Vec<String>,
    /// Migrations of the range that were applied already.
    pub known: Vec<String>,
}

/// What `accept` did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The migration.
    pub migration: String,
    /// What was accepted.
    pub what: Acceptance,
    /// Checksum that the ledger had; `None` where it knew the file to be gone.
    pub before: Option<String>,
    /// Checksum that it has now.
    pub after: Option<String>,
}

/// What there was to accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// The file's present text.
    Changed,
    /// That there is no file any more.
    Gone,
    /// Nothing: the ledger agrees with the folder.
    Nothing,
}

impl Engine {
    /// Records every migration up to and including `upto`, or all of them, as applied, without running anything. The ledger is made
    /// if it is not there. All or nothing; a second time there is nothing to do.
    ///
    /// # Errors
    /// [`Error::InFlight`] and [`Error::File`] for a migration of the range that is under way, or whose file is not the one that ran.
    pub async fn baseline(
        &self,
        files: &[MigrationFile],
        upto: Option<&str>,
        reason: Option<&str>,
    ) -> Result<Baseline, Error> {
        let run = self.runner().await?;
        let result = baseline(&run, files, upto, reason).await;
        run.close().await;
        result
    }

    /// Accepts that the file of a finished migration is not what ran: its present text, or that it is gone.
    ///
    /// # Errors
    /// [`Error::InFlight`] for a migration that is under way, [`Error::File`] for one that never ran here.
    pub async fn accept(&self, files: &[MigrationFile], name: &str, reason: &str) -> Result<Accepted, Error> {
        let run = self.runner().await?;
        let result = accept(&run, files, name, reason).await;
        run.close().await;
        result
    }
}

pub(crate) async fn baseline(
    run: &Run,
    given: &[MigrationFile],
    upto: Option<&str>,
    reason: Option<&str>,
) -> Result<Baseline, Error> {
    let client = &run.work.client;
    let rows = ledger::migrations(client).await?;
    let (new, known) = range(given, &rows, upto)?;
    let names: Vec<&str> = new.iter().map(|file| file.name.as_str()).collect();
    let checksums: Vec<String> = new.iter().map(|file| checksum(&file.text)).collect();
    // A database without any migration is noted once: new ones start from it as it is.
    let empty = names.is_empty() && rows.is_empty() && !ledger::was_logged(client, EVENT).await?;
    if names.is_empty() && !empty {
        return Ok(Baseline { recorded: Vec::new(), known });
    }
    let because = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    let data = json!({ "reason": reason });
    let who = &run.work.who;
    run.in_ledger(async {
        if empty {
            let message = format!("no migration so far; new ones run on the database as it is{because}");
            ledger::event(client, None, EVENT, &message, Some(&data), who).await?;
        } else {
            ledger::insert_baseline(client, &names, &checksums, who).await?;
            let message = format!("recorded as applied without being run{because}");
            ledger::log_all(client, &names, EVENT, &message, Some(&data), who).await?;
        }
        failpoint::reach("before_commit");
        Ok(())
    })
    .await?;
    failpoint::reach("after_commit");
    Ok(Baseline { recorded: names.into_iter().map(str::to_owned).collect(), known })
}

const EVENT: &str = "baseline";

/// The migrations up to `upto`: files that are to be recorded, and names of those that are applied already.
fn range<'a>(
    given: &'a [MigrationFile],
    rows: &[MigrationRow],
    upto: Option<&str>,
) -> Result<(Vec<&'a MigrationFile>, Vec<String>), Error> {
    let all = files::sorted(given)?;
    if let Some(upto) = upto
        && !all.iter().any(|file| file.name == upto)
    {
        return Err(Error::File { message: format!("there is no migration file {upto}.sql") });
    }
    let within = |name: &str| upto.is_none_or(|upto| files::not_after(name, upto));
    let applied = |row: &&MigrationRow| row.state != MigrationState::Undone;
    let mut known = Vec::new();
    for row in rows.iter().filter(|row| within(&row.name)).filter(applied) {
        if in_flight(row.state) {
            return Err(Error::InFlight {
                message: format!(
                    "{} is in flight, so it is neither applied nor to be recorded as applied; nothing was recorded\n  {}",
                    row.name,
                    files::ways_on(row)
                ),
            });
        }
        files::as_recorded(&all, row)?;
        known.push(row.name.clone());
    }
    let new = all.into_iter().filter(|file| within(&file.name) && !known.contains(&file.name)).collect();
    Ok((new, known))
}

async fn accept(run: &Run, given: &[MigrationFile], name: &str, reason: &str) -> Result<Accepted, Error> {
    let client = &run.work.client;
    let rows = ledger::migrations(client).await?;
    let row = finished(&rows, name)?;
    let after = given.iter().find(|file| file.name == name).map(|file| checksum(&file.text));
    let before = (!row.file_is_gone()).then(|| row.checksum.clone());
    let what = match &after {
        after if *after == before => Acceptance::Nothing,
        Some(_) => Acceptance::Changed,
        None => Acceptance::Gone,
    };
    if what != Acceptance::Nothing {
        let message = match what {
            Acceptance::Gone => format!("the file is gone: {reason}"),
            _ => format!("the file's present text: {reason}"),
        };
        let data = json!({ "reason": reason, "before": before, "after": after });
        let who = &run.work.who;
        run.in_ledger(async {
            ledger::set_checksum(client, row.id, after.as_deref().unwrap_or_default()).await?;
            ledger::event(client, Some(name), "accepted", &message, Some(&data), who).await?;
            failpoint::reach("before_commit");
            Ok(())
        })
        .await?;
        failpoint::reach("after_commit");
    }
    Ok(Accepted { migration: name.to_owned(), what, before, after })
}

/// The migration whose file may be accepted.
fn finished<'r>(rows: &'r [MigrationRow], name: &str) -> Result<&'r MigrationRow, Error> {
    match rows.iter().find(|row| row.name == name) {
        None => Err(Error::File {
            message: format!(
                "migration {name} has not run on this database, so there is nothing to accept: its file may be changed as you like"
            ),
        }),
        Some(row) if row.state == MigrationState::Undone => Err(Error::File {
            message: format!(
                "migration {name} was taken back, so there is nothing to accept: its file may be changed as you like, and its text \
                 runs with the next `concertina expand`"
            ),
        }),
        Some(row) if in_flight(row.state) => Err(Error::InFlight {
            message: format!(
                "{name} is in flight and runs by the plan of its old text, so another text cannot be accepted now\n  bring the file \
                 back as it was and {}",
                files::ways_on(row)
            ),
        }),
        Some(row) => Ok(row),
    }
}
