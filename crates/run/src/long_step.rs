//! Long work that hurts nobody: VALIDATE under SHARE UPDATE EXCLUSIVE, and proofs that only read.
//!
//! Neither has a statement timeout; both are cancelled when a stop is asked for, and then leave nothing behind.

use std::future::Future;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use concertina_plan::pg::lock::LockMode;
use tokio::time::sleep;
use tokio_postgres::SimpleQueryMessage;

use crate::error::{Doing, Error};
use crate::event::Event;
use crate::executor::{Backoff, Job, Run};
use crate::ledger::SpanKind;
use crate::obstacle::{Claimed, Obstacles, claimed, seconds};
use crate::watch::{NOW_AND_THEN, watched, withdraw};
use crate::{failpoint, ledger, observe};

/// One wait for a lock whose queue hurts no reader or writer. It is repeated: a wait without end could deadlock with a
/// session that the server's deadlock detector does not see.
const PATIENT_LOCK: Duration = Duration::from_secs(30);

/// Most violators shown.
const SHOWN: usize = 5;

/// One long statement in its own transaction.
pub(crate) async fn long(run: &mut Run, job: &Job<'_>, sql: &str) -> Result<(), Error> {
    let since = Instant::now();
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
    for attempt in 1.. {
        let claims = claimed(&run.work, &job.step.locks).await?;
        let oids: Vec<u32> = claims.iter().map(|claimed| claimed.oid).collect();
        run.begin_try(job).await?;
        let (tried, mut lock_wait) = (Instant::now(), Duration::ZERO);
        // Its victims are only those who change the schema themselves: their waits are measured, and it goes on.
        let measured_only = AtomicBool::new(true);
        let limit = run.settings.max_stall;
        let (result, stalls) =
            watched(&run.control, &run.work, &oids, limit, NOW_AND_THEN, &measured_only, async {
                let result = one_try(run, job, &claims, sql, &mut lock_wait).await;
                if result.is_err() {
                    run.rollback().await;
                }
                result
            })
            .await;
        run.account(job, tried, &stalls, lock_wait).await?;
        match result {
            Ok(()) => return Ok(()),
            Err(error) if error.failure().is_transient() => {
                run.check_stop()?;
                let reason = error.to_string();
                run.journal.note(SpanKind::GivenUp, tried, reason.clone());
                run.tell(&Event::Retry { step: job.number, attempt, reason: reason.clone() });
                check_patience(run, job, since, &reason)?;
            }
            Err(error) if error.sqlstate().is_some_and(is_violation) => return Err(violated(job, &error)),
            Err(error @ Error::Sql { .. }) => return Err(job.failed(&error)),
            Err(error) => return Err(error),
        }
        run.pause(backoff.next()).await?;
    }
    Ok(())
}

async fn one_try(
    run: &Run,
    job: &Job<'_>,
    claims: &[Claimed],
    sql: &str,
    lock_wait: &mut Duration,
) -> Result<(), Error> {
    run.begin(&format!("SET LOCAL lock_timeout = {}", PATIENT_LOCK.as_millis())).await?;
    let before = match run.settings.observe_locks {
        true => Some(observe::Before::look(&run.control, claims).await?),
        false => None,
    };
    let locking = Instant::now();
    for claimed in claims.iter().filter(|c| c.lockable && c.claim.mode == LockMode::ShareUpdateExclusive) {
        let lock = format!("LOCK TABLE ONLY {} IN SHARE UPDATE EXCLUSIVE MODE", claimed.claim.relation);
        let locked = while_waiting(run, job, claims, run.work.client.batch_execute(&lock)).await;
        locked.doing("lock the table")?;
    }
    *lock_wait = locking.elapsed();
    failpoint::reach("locks_taken");
    while_waiting(run, job, claims, run.work.client.batch_execute(sql)).await.doing(&job.step.title)?;
    if let Some(before) = before {
        before.report(&run.control, &run.work, job, &*run.observer).await?;
    }
    // The token was fenced at the start, and nobody can have taken over since; checking again costs nothing.
    run.fence().await?;
    ledger::finish_step(&run.work.client, job.key, None).await?;
    failpoint::reach("before_commit");
    run.commit().await
}

/// Drives a statement of the work session to its end; tells about once a second who is in its way, and cancels it when a
/// stop is asked for.
async fn while_waiting<T>(
    run: &Run,
    job: &Job<'_>,
    claims: &[Claimed],
    statement: impl Future<Output = T>,
) -> T {
    let began = Instant::now();
    cancellable(run, statement, async {
        let mut obstacles = Obstacles::default();
        while !claims.is_empty() {
            sleep(Duration::from_secs(1)).await;
            if let Ok(true) = waits_for_lock(run).await
                && let Ok(found) = obstacles.look(&run.control, claims, &run.backends(), Duration::ZERO).await
                && let Some(reason) = found.into_iter().next()
            {
                run.tell(&Event::Waiting { step: job.number, reason, since: began.elapsed() });
            }
        }
    })
    .await
}

async fn waits_for_lock(run: &Run) -> Result<bool, Error> {
    let row = run
        .control
        .client
        .query_one(
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_locks WHERE pid = $1 AND NOT granted)",
            &[&run.work.pid],
        )
        .await
        .doing("look at our own session")?;
    Ok(row.get(0))
}

/// Drives a statement of the work session to its end, with `aside` running along it, and cancels it when a stop is asked for,
/// another runner has taken over, or the server's disk fills up.
pub(crate) async fn cancellable<T>(
    run: &Run,
    statement: impl Future<Output = T>,
    aside: impl Future<Output = ()>,
) -> T {
    let looking = async {
        loop {
            sleep(Duration::from_millis(100)).await;
            if run.stop.requested() || run.lease.is_lost() || run.room.is_stopped() {
                withdraw(&run.control, &run.work).await;
            }
        }
    };
    let along = async {
        let disk = run.room.ran_out(&run.control, &run.settings.disk);
        tokio::join!(aside, disk);
        std::future::pending::<()>().await;
    };
    tokio::pin!(statement, looking, along);
    tokio::select! {
        biased;
        result = &mut statement => result,
        () = &mut looking => unreachable!("it looks for ever"),
        () = &mut along => unreachable!("it is pending for ever"),
    }
}

/// A read-only query that must return no row.
pub(crate) async fn proof(run: &mut Run, job: &Job<'_>, query: &str, violation: &str) -> Result<(), Error> {
    run.begin_try(job).await?;
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
    for attempt in 1.. {
        let tried = Instant::now();
        let read = async {
            let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL lock_timeout = '30s'";
            run.work.client.batch_execute(begin).await.doing("begin a transaction")?;
            let messages = cancellable(run, run.work.client.simple_query(query), async {}).await;
            let messages = messages.doing(&job.step.title)?;
            run.commit().await?;
            Ok(messages)
        };
        match read.await {
            Ok(messages) => {
                let rows = rows_as_text(&messages);
                if rows.is_empty() {
                    return run.finish(job, None).await;
                }
                return Err(Error::Violated {
                    violation: violation.to_owned(),
                    rows,
                    hint: correct_and_repeat(
                        job,
                        "Nothing rejects such rows yet, and nothing was changed by this step",
                    ),
                });
            }
            Err(error) => {
                run.rollback().await;
                run.check_stop()?;
                match error {
                    error if error.failure().is_transient() => {
                        let reason = error.to_string();
                        run.journal.note(SpanKind::GivenUp, tried, reason.clone());
                        run.tell(&Event::Retry { step: job.number, attempt, reason });
                    }
                    error @ Error::Sql { .. } => return Err(job.failed(&error)),
                    error => return Err(error),
                }
            }
        }
        run.pause(backoff.next()).await?;
    }
    Ok(())
}

fn rows_as_text(messages: &[SimpleQueryMessage]) -> Vec<String> {
    messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        })
        .take(SHOWN)
        .map(|row| {
            let fields: Vec<String> = row
                .columns()
                .iter()
                .enumerate()
                .map(|(at, column)| format!("{} = {}", column.name(), row.get(at).unwrap_or("NULL")))
                .collect();
            fields.join(", ")
        })
        .collect()
}

/// Integrity constraint violations (class 23).
pub(crate) fn is_violation(sqlstate: &str) -> bool {
    sqlstate.starts_with("23")
}

/// Existing rows stand against a constraint or a unique index; the server names one of them.
pub(crate) fn violated(job: &Job<'_>, error: &Error) -> Error {
    let said = match error {
        Error::Sql { message, .. } => message.clone(),
        other => other.to_string(),
    };
    Error::Violated {
        violation: format!("step {} \"{}\": existing rows stand against it", job.number, job.step.title),
        rows: said.lines().map(|line| line.trim().to_owned()).collect(),
        hint: correct_and_repeat(job, "This step was not applied; those before it stay"),
    }
}

fn correct_and_repeat(job: &Job<'_>, state: &str) -> String {
    format!(
        "{state}. Correct these rows and run the same command again, or take the migration back with `concertina undo {}`",
        job.migration
    )
}

/// [`Error::GaveWay`] once the step was tried for longer than `lock_patience`.
pub(crate) fn check_patience(run: &Run, job: &Job<'_>, since: Instant, reason: &str) -> Result<(), Error> {
    if since.elapsed() < run.settings.lock_patience {
        return Ok(());
    }
    Err(Error::GaveWay {
        message: format!(
            "step {} \"{}\" was tried for {}; last: {reason}. Run the same command again later",
            job.number,
            job.step.title,
            seconds(since.elapsed())
        ),
    })
}
