//! Brings back into the archive what a file holds and the archive does not any more, in one transaction, verified on both
//! sides of it: the file before anything is touched, the tables before it is committed.

use std::path::Path;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use concertina_plan::plan::Phase;
use futures_util::{SinkExt, TryStreamExt};

use super::file::{Contents, Definition, Line, Meter, Reader, Rows, has_rows};
use super::save::{SETTINGS, Told, columns, copy_out};
use crate::error::{Doing, Error};
use crate::event::Event;
use crate::executor::Run;
use crate::{failpoint, ledger};

/// Bytes that are sent at a time.
const PORTION: usize = 64 << 10;

/// What a file brought back.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What the file holds.
    pub contents: Contents,
    /// Names of the objects that were made again; the others were still there.
    pub made: Vec<String>,
}

/// `contents` is what the file holds, verified.
pub(crate) async fn load(
    run: &Run,
    path: &Path,
    contents: Contents,
    only: Option<&str>,
) -> Result<Loaded, Error> {
    let migration = contents.header.migration.clone();
    let refuse =
        |why: String| Err(Error::File { message: format!("{}: {why}. Nothing was changed", path.display()) });
    if let Some(only) = only.filter(|only| *only != migration) {
        return refuse(format!("it holds what {migration} left in the archive, not {only}"));
    }
    let Some(row) = ledger::migration(&run.work.client, &migration).await? else {
        return refuse(format!("migration {migration}, which it belongs to, has not run here"));
    };
    if row.checksum != contents.header.checksum {
        return refuse(format!("it is of another migration file that was called {migration}, too"));
    }
    let mut missing = Vec::new();
    for (definition, _) in &contents.objects {
        if super::measure(&run.work.client, &definition.archived).await?.is_none() {
            missing.push(definition.archived.name.to_string());
        }
    }
    if !missing.is_empty() {
        let begun = Instant::now();
        let steps = missing.len();
        run.tell(&Event::MigrationStarted {
            migration: migration.clone(),
            command: "archive restore",
            steps,
        });
        let result = in_transaction(run, path, &contents, &missing).await;
        if result.is_err() {
            run.rollback().await;
        }
        result?;
        run.tell(&Event::MigrationDone { migration, took: begun.elapsed() });
    }
    Ok(Loaded { contents, made: missing })
}

async fn in_transaction(
    run: &Run,
    path: &Path,
    contents: &Contents,
    missing: &[String],
) -> Result<(), Error> {
    let client = &run.work.client;
    run.begin(&format!("SET LOCAL lock_timeout = '10s'; {SETTINGS}")).await?;
    let mut reader = Reader::open(path)?;
    let mut step = 0;
    for (expected, rows) in &contents.objects {
        let Line::Object(definition) = reader.next()? else { return Err(changed(&reader)) };
        if definition.archived != expected.archived {
            return Err(changed(&reader));
        }
        let wanted = missing.contains(&definition.archived.name.to_string());
        if wanted {
            step += 1;
            let title = format!("Bring back {} into the archive", definition.archived.of);
            run.tell(&Event::StepStarted {
                step,
                phase: Phase::Contract,
                title,
                resumed: false,
                expected: None,
            });
            execute(run, &definition, &definition.before).await?;
        }
        let begun = Instant::now();
        if let Some(rows) = rows.as_ref().filter(|_| has_rows(&definition)) {
            let met = if wanted {
                copy_in(run, &definition, &mut reader, step, rows).await?
            } else {
                skip(&mut reader)?
            };
            reader.after_rows(&met)?;
            if wanted {
                let there = read_back(run, &definition).await?;
                if there != *rows {
                    return Err(Error::File {
                        message: format!(
                            "{} has {} rows with checksum {} after it was brought back, and the file has {} rows with checksum {}: \
                             nothing was changed",
                            definition.archived.name, there.rows, there.sha256, rows.rows, rows.sha256
                        ),
                    });
                }
            }
        }
        if wanted {
            execute(run, &definition, &definition.after).await?;
            run.tell(&Event::StepDone { step, took: begun.elapsed(), already: false });
        }
    }
    let message = format!("{} brought back into the archive from {}", missing.join(", "), path.display());
    ledger::event(client, Some(&contents.header.migration), "archive_loaded", &message, None, &run.work.who)
        .await?;
    failpoint::reach("before_commit");
    run.commit().await
}

fn changed(reader: &Reader) -> Error {
    reader.damaged("it was changed while it was read")
}

async fn execute(run: &Run, definition: &Definition, statements: &[String]) -> Result<(), Error> {
    for sql in statements {
        let doing = format!("make {} again", definition.archived.name);
        run.work.client.batch_execute(sql).await.doing(&doing)?;
    }
    Ok(())
}

fn skip(reader: &mut Reader) -> Result<Rows, Error> {
    let mut meter = Meter::default();
    while let Some(row) = reader.row()? {
        meter.pass(row);
    }
    Ok(meter.end())
}

async fn copy_in(
    run: &Run,
    definition: &Definition,
    reader: &mut Reader,
    step: usize,
    rows: &Rows,
) -> Result<Rows, Error> {
    let doing = format!("fill {}", definition.archived.name);
    let sql = format!("COPY {} ({}) FROM STDIN", definition.archived.name, columns(definition));
    let sink = run.work.client.copy_in::<_, Bytes>(&sql).await.doing(&doing)?;
    let mut sink = std::pin::pin!(sink);
    let (mut meter, mut told) = (Meter::default(), Told::new(step, rows.rows));
    let mut portion = BytesMut::with_capacity(PORTION);
    while let Some(row) = reader.row()? {
        meter.pass(row);
        portion.extend_from_slice(row);
        if portion.len() >= PORTION {
            run.check_stop()?;
            sink.send(portion.split().freeze()).await.doing(&doing)?;
            told.tell(&*run.observer, meter.rows_so_far());
        }
    }
    sink.send(portion.freeze()).await.doing(&doing)?;
    sink.as_mut().finish().await.doing(&doing)?;
    Ok(meter.end())
}

/// Number and checksum of the rows as they are in the table.
async fn read_back(run: &Run, definition: &Definition) -> Result<Rows, Error> {
    let doing = format!("read {} back", definition.archived.name);
    let stream = run.work.client.copy_out(&copy_out(definition)).await.doing(&doing)?;
    let mut stream = std::pin::pin!(stream);
    let mut meter = Meter::default();
    while let Some(data) = stream.try_next().await.doing(&doing)? {
        meter.pass(&data);
    }
    Ok(meter.end())
}
