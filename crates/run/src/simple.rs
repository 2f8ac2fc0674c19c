//! `apply --simple`: the files as written, for a laptop, CI or an application with a single instance.
//!
//! Each file runs in a session of its own, as with `psql -f`, so that a `SET` in one does not reach the next. Where all of
//! its statements are transactional it is one transaction together with its ledger row. Otherwise each statement (or each
//! BEGIN … COMMIT) is a transaction of its own, journaled one by one, and a failed file goes on where it stopped.

use std::time::Instant;

use concertina_plan::rights::needs_as_written;
use concertina_plan::sql::pieces::{Piece, Verbatim, split};
use concertina_plan::{Source, checksum};

use crate::connect::Session;
use crate::engine::{Engine, Outcome};
use crate::error::{Doing, Error};
use crate::event::Event;
use crate::executor::{Run, find};
use crate::forward::number;
use crate::ledger::{self, MigrationRow, NewMigration, StepKey};
use crate::state::{MigrationFile, MigrationState, StepState};
use crate::{denied, failpoint, files, introspect, lease, rights};

pub(crate) async fn apply(engine: &Engine, run: &mut Run, given: &[MigrationFile]) -> Result<Outcome, Error> {
    let rows = ledger::migrations(&run.work.client).await?;
    let mut outcome = Outcome::default();
    require_rights(engine, &run.work, &rows, given).await?;
    for (file, row) in files::in_order(given, &rows, engine.settings.allow_out_of_order)? {
        run.check_stop()?;
        match row {
            Some(row) if row.state == MigrationState::Done => continue,
            Some(row) if row.simple && row.state == MigrationState::Expanding => {}
            None => {}
            Some(row) if row.state == MigrationState::Undone => {}
            Some(_) => {
                return Err(Error::File {
                    message: format!(
                        "migration {} is in flight as an online migration; finish it with `concertina expand` and \
                         `concertina contract`, or take it back with `concertina undo`",
                        file.name
                    ),
                });
            }
        }
        let overtaken_by = files::overtaken_by(&file.name, &rows);
        outcome.steps += apply_file(engine, run, file, row, overtaken_by).await?;
        outcome.moved.push(file.name.clone());
    }
    Ok(outcome)
}

/// Stops before anything runs, if the role lacks what the files that have not run ask for. What they ask for is read off all of
/// them, on the database as it is: where one depends on what cannot be known, the server has the last word.
pub(crate) async fn require_rights(
    engine: &Engine,
    session: &Session,
    rows: &[MigrationRow],
    given: &[MigrationFile],
) -> Result<(), Error> {
    let ran = |name: &str| rows.iter().any(|row| row.name == name && row.state != MigrationState::Undone);
    let pending: Vec<Source> = files::sorted(given)?
        .into_iter()
        .filter(|file| !ran(&file.name))
        .map(|file| Source { name: &file.name, text: &file.text })
        .collect();
    if pending.is_empty() || rights::is_superuser(session).await? {
        return Ok(());
    }
    let catalog = introspect::introspect(&session.client).await?;
    let needs = needs_as_written(pending, &catalog, &engine.policy);
    rights::require_all(session, &engine.settings, "apply --simple", needs).await
}

/// Runs one file; `row` is what the ledger knows of it.
pub(crate) async fn apply_file(
    engine: &Engine,
    run: &Run,
    file: &MigrationFile,
    row: Option<&MigrationRow>,
    overtaken_by: Option<&str>,
) -> Result<usize, Error> {
    let started = Instant::now();
    let pieces = split(&file.text).map_err(|diagnostic| Error::Refused {
        migration: file.name.clone(),
        diagnostics: vec![diagnostic],
        text: file.text.clone(),
    })?;
    let steps = pieces.len();
    run.tell(&Event::MigrationStarted { migration: file.name.clone(), command: "apply --simple", steps });
    // A session as psql would have it: nothing of ours but the name, the role and the search_path.
    let session = engine.target.connect("apply --simple", &engine.settings).await?;
    session.client.batch_execute("SET lock_timeout = 0; RESET jit").await.doing("set up the session")?;
    let one = OneFile { run, session: &session, file, overtaken_by };
    match (transactional(&pieces), row) {
        (Some(pieces), None | Some(MigrationRow { state: MigrationState::Undone, .. })) => {
            one.together(pieces).await?;
        }
        _ => one.one_by_one(&pieces, row).await?,
    }
    run.tell(&Event::MigrationDone { migration: file.name.clone(), took: started.elapsed() });
    Ok(steps)
}

/// The statements, where the file is one transaction or may be made one: no control statement but a BEGIN … COMMIT around all.
fn transactional(pieces: &[Verbatim]) -> Option<&[Verbatim]> {
    let inner = match pieces {
        [first, inner @ .., last] if (first.piece, last.piece) == (Piece::Begin, Piece::Commit) => inner,
        all => all,
    };
    inner.iter().all(|piece| piece.piece == Piece::Plain).then_some(inner)
}

/// Statements from a BEGIN to its end are one message; any other statement is one.
fn groups(pieces: &[Verbatim]) -> Vec<&[Verbatim]> {
    let mut groups = Vec::new();
    let mut rest = pieces;
    while !rest.is_empty() {
        let end = match rest[0].piece {
            Piece::Begin => {
                let ends = |piece: &Verbatim| {
                    let word = piece.sql.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
                    piece.piece == Piece::Commit
                        || piece.piece == Piece::OtherControl
                            && matches!(word.as_str(), "ROLLBACK" | "ABORT")
                            && !piece.sql.to_ascii_uppercase().contains(" TO ")
                };
                rest.iter().position(ends).map_or(rest.len(), |end| end + 1)
            }
            _ => 1,
        };
        groups.push(&rest[..end]);
        rest = &rest[end..];
    }
    groups
}

struct OneFile<'a> {
    run: &'a Run,
    session: &'a Session,
    file: &'a MigrationFile,
    /// It sorts before this one, which has run.
    overtaken_by: Option<&'a str>,
}

impl OneFile<'_> {
    /// The whole file and its ledger row in one transaction.
    async fn together(&self, pieces: &[Verbatim]) -> Result<(), Error> {
        let client = &self.session.client;
        let result = async {
            client.batch_execute("BEGIN").await.doing("begin a transaction")?;
            lease::fence(client, self.run.lease.token()).await?;
            for piece in pieces {
                self.execute(piece).await?;
            }
            let checksum = checksum(&self.file.text);
            let new = NewMigration::simple(&self.file.name, &checksum);
            ledger::insert_migration(client, new, &self.session.who).await?;
            self.log_late(client).await?;
            self.log("simple_done", "ran as written, in one transaction").await?;
            failpoint::reach("before_commit");
            client.batch_execute("COMMIT").await.doing("commit")?;
            failpoint::reach("after_commit");
            Ok(())
        };
        let result: Result<(), Error> = result.await;
        match result {
            Err(error @ Error::Connection { .. }) if !self.committed().await => Err(error),
            Err(Error::Connection { .. }) => Ok(()),
            result => result,
        }
    }

    /// After a connection was lost around the COMMIT only the ledger tells.
    async fn committed(&self) -> bool {
        let row = ledger::migration(&self.run.work.client, &self.file.name).await;
        row.is_ok_and(|row| row.is_some_and(|row| row.state == MigrationState::Done))
    }

    /// Every statement for itself, with a row each.
    async fn one_by_one(&self, pieces: &[Verbatim], row: Option<&MigrationRow>) -> Result<(), Error> {
        let (run, checksum) = (self.run, checksum(&self.file.text));
        let begun = row.filter(|row| row.state == MigrationState::Expanding);
        let id = match begun {
            Some(row) => row.id,
            None => {
                let state = MigrationState::Expanding;
                let new = NewMigration { state, ..NewMigration::simple(&self.file.name, &checksum) };
                run.in_ledger(async {
                    let id = ledger::insert_migration(&run.work.client, new, &run.work.who).await?;
                    self.log_late(&run.work.client).await?;
                    Ok(id)
                })
                .await?
            }
        };
        let steps = ledger::steps(&run.work.client, id).await?;
        let mut ordinal = 0;
        for group in groups(pieces) {
            let key = StepKey::forward(id, number(ordinal));
            ordinal += group.len();
            if find(&steps, key).is_some_and(|row| row.state == StepState::Done) {
                continue;
            }
            run.check_stop()?;
            let backend = (self.session.pid, &self.session.backend_start);
            run.in_ledger(ledger::begin_step(&run.work.client, key, backend.0, backend.1)).await?;
            failpoint::reach("step_begun");
            match group {
                [piece] if piece.piece == Piece::Plain => self.with_its_row(piece, key).await?,
                group => {
                    for piece in group {
                        if let Err(error) = self.execute(piece).await {
                            let _ = self.session.client.batch_execute("ROLLBACK").await;
                            return Err(error);
                        }
                    }
                    run.in_ledger(ledger::finish_step(&run.work.client, key, None)).await?;
                }
            }
            failpoint::reach("after_commit");
        }
        run.in_ledger(async {
            let client = &run.work.client;
            ledger::set_state(client, id, MigrationState::Done, &run.work.who).await?;
            let name = Some(self.file.name.as_str());
            let message = "ran as written, statement by statement";
            ledger::event(client, name, "simple_done", message, None, &run.work.who).await
        })
        .await
    }

    async fn with_its_row(&self, piece: &Verbatim, key: StepKey) -> Result<(), Error> {
        let client = &self.session.client;
        let result = async {
            client.batch_execute("BEGIN").await.doing("begin a transaction")?;
            lease::fence(client, self.run.lease.token()).await?;
            self.execute(piece).await?;
            ledger::finish_step(client, key, None).await?;
            failpoint::reach("before_commit");
            client.batch_execute("COMMIT").await.doing("commit")
        };
        let result: Result<(), Error> = result.await;
        if result.is_err() {
            let _ = client.batch_execute("ROLLBACK").await;
        }
        result
    }

    async fn execute(&self, piece: &Verbatim) -> Result<(), Error> {
        let what = format!("{}.sql, line {}", self.file.name, piece.line);
        match self.session.client.batch_execute(&piece.sql).await.doing(&what) {
            // Asked on another session: this one's transaction has failed.
            Err(error) => Err(denied::explained(&self.run.work, error, &piece.sql).await),
            done => done,
        }
    }

    async fn log_late(&self, client: &tokio_postgres::Client) -> Result<(), Error> {
        ledger::out_of_order(client, &self.file.name, self.overtaken_by, &self.session.who).await
    }

    async fn log(&self, kind: &str, message: &str) -> Result<(), Error> {
        let name = Some(self.file.name.as_str());
        ledger::event(&self.session.client, name, kind, message, None, &self.session.who).await
    }
}
