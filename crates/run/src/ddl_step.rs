//! A short DDL transaction under the stall budget: locks first, in one order, tried and withdrawn until nobody is hurt.
//!
//! One try: wait (outside the queue) until no long transaction is in the way; BEGIN; fence; `LOCK TABLE … IN SHARE UPDATE
//! EXCLUSIVE MODE`, patiently, which evicts plain autovacuum and whose queue hurts no reader or writer; then the strong
//! locks with a short `lock_timeout`; the statements; the ledger row; COMMIT. Meanwhile [`crate::watch`] withdraws the
//! try before a victim has waited for `max_stall`.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use concertina_plan::pg::lock::LockMode;

use crate::error::{Doing, Error, Failure};
use crate::event::Event;
use crate::executor::{Backoff, Job, Run};
use crate::journal::Span;
use crate::ledger::SpanKind;
use crate::obstacle::{Claimed, Obstacles, claimed, seconds};
use crate::wait::{LOOK_EVERY, Wait};
use crate::watch::{CLOSELY, watched};
use crate::{failpoint, ledger, observe, snapshots};

/// `lock_timeout` of the patient lock: above `deadlock_timeout` (1 s by default), because autovacuum yields only to who has
/// waited that long. Source: ProcSleep in src/backend/storage/lmgr/proc.c.
const PATIENT_LOCK: Duration = Duration::from_millis(2500);

/// Runs the step until it is committed, or gives way.
pub(crate) async fn run(run: &mut Run, job: &Job<'_>, sql: &[String]) -> Result<(), Error> {
    if snapshots::matter_to(job.step) {
        snapshots::outlive(run, job).await?;
    }
    let mut claims = claimed(&run.work, &job.step.locks).await?;
    let oids: Vec<u32> = claims.iter().map(|claimed| claimed.oid).collect();
    let limit = run.settings.max_stall.mul_f64(0.6);
    let since = Instant::now();
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
    let mut reason = None;
    for attempt in 1.. {
        wait_for_obstacles(run, job, &claims, since).await?;
        run.begin_try(job).await?;
        // Table-sized work under a strong lock is in a plan only where the user allowed it; it would never end if it were
        // withdrawn like a short statement, so only its wait for the locks is bounded.
        let unbounded = AtomicBool::new(false);
        let tried = Instant::now();
        let (mut lock_wait, mut locked, mut ended) = (Duration::ZERO, None, tried);
        let (result, stalls) = watched(&run.control, &run.work, &oids, limit, CLOSELY, &unbounded, async {
            let result = one_try(run, job, &claims, sql, &unbounded, &mut lock_wait, &mut locked).await;
            if result.is_err() {
                run.rollback().await;
            }
            ended = Instant::now();
            result
        })
        .await;
        if let Some(locked) = locked {
            run.journal.add(Span::new(SpanKind::Locks, locked, ended, ""));
        }
        match result {
            Ok(()) => return run.account(job, tried, &stalls, lock_wait).await,
            Err(error) if error.failure().is_transient() => {
                let why = match &stalls.withdrawn {
                    Some(withdrawn) => withdrawn.clone(),
                    None => why_locked(run, &claims, &error).await,
                };
                run.journal.add(Span::new(SpanKind::GivenUp, tried, ended, why.clone()));
                run.account(job, tried, &stalls, lock_wait).await?;
                run.journal.keep(&run.work.client).await;
                run.tell(&Event::Retry { step: job.number, attempt, reason: why.clone() });
                run.check_total_stall(job, &why)?;
                check_patience(run, job, since, &why)?;
                reason = Some(why);
            }
            Err(error @ Error::Sql { .. }) => return Err(job.failed(&error)),
            Err(error) => return Err(error),
        }
        run.check_stop()?;
        // The longer a try was, the longer the table is left alone after it: many short tries freeze it in waves.
        let delay = backoff.next().max(tried.elapsed().min(Duration::from_secs(5)) * 2);
        run.pause(delay).await?;
        claims = claimed(&run.work, &job.step.locks).await?;
    }
    Err(Error::GaveWay { message: reason.unwrap_or_default() })
}

/// What the server said and, where a lock was not to be had, who has it now.
async fn why_locked(run: &Run, claims: &[Claimed], error: &Error) -> String {
    let said = match error {
        Error::Sql { sqlstate, message, .. } => format!("{message} ({sqlstate})"),
        other => other.to_string(),
    };
    if error.failure() != Failure::LockTimeout {
        return said;
    }
    let holders = Obstacles::default().look(&run.control, claims, &run.backends(), Duration::ZERO).await;
    match holders.ok().and_then(|holders| holders.into_iter().next()) {
        Some(holder) => format!("{said}: {holder}"),
        None => said,
    }
}

fn check_patience(run: &Run, job: &Job<'_>, since: Instant, reason: &str) -> Result<(), Error> {
    if since.elapsed() < run.settings.lock_patience {
        return Ok(());
    }
    Err(Error::GaveWay {
        message: format!(
            "step {} \"{}\" was tried for {}; last: {reason}. Nothing of this step was applied. Let that end, or \
             end it, and run the same command again; where tries were withdrawn, a larger max_stall lets it through \
             sooner, at the clients' cost",
            job.number,
            job.step.title,
            seconds(since.elapsed())
        ),
    })
}

/// Waits outside the lock queue while a transaction older than `max_stall` holds what conflicts.
async fn wait_for_obstacles(
    run: &Run,
    job: &Job<'_>,
    claims: &[Claimed],
    since: Instant,
) -> Result<(), Error> {
    if claims.is_empty() {
        return Ok(());
    }
    let mut obstacles = Obstacles::default();
    let mut wait = Wait::new();
    loop {
        run.check_stop()?;
        let found = obstacles.look(&run.control, claims, &run.backends(), run.settings.max_stall).await?;
        let Some(oldest) = found.first() else {
            run.journal.waited();
            return Ok(());
        };
        let reason = wait.tell(run, job, oldest, found.len() - 1);
        check_patience(run, job, since, &reason)?;
        run.pause(LOOK_EVERY).await?;
    }
}

async fn one_try(
    run: &Run,
    job: &Job<'_>,
    claims: &[Claimed],
    sql: &[String],
    unbounded: &AtomicBool,
    lock_wait: &mut Duration,
    locked: &mut Option<Instant>,
) -> Result<(), Error> {
    let strong = claims.iter().any(|claimed| claimed.claim.mode >= LockMode::Share);
    run.begin("").await?;
    let before = match run.settings.observe_locks {
        true => Some(observe::Before::look(&run.control, claims).await?),
        false => None,
    };
    let locking = Instant::now();
    let locks = lock_statements(claims, run.settings.max_stall);
    if !locks.is_empty() {
        let result = run.work.client.batch_execute(&locks).await;
        *lock_wait = locking.elapsed();
        result.doing("lock the table")?;
    }
    *locked = (!claims.is_empty()).then(Instant::now);
    failpoint::reach("locks_taken");
    unbounded.store(!job.step.work.is_empty(), Ordering::SeqCst);
    // What a statement locks beyond its claims is asked for as briefly, unless nothing strong is held meanwhile.
    let hidden = if strong { short_lock(run.settings.max_stall) } else { PATIENT_LOCK };
    // The watcher ends a statement that hurts; this one only ends what the watcher no longer sees.
    let guard = if strong && job.step.work.is_empty() { run.settings.max_stall * 20 } else { Duration::ZERO };
    let bounds = format!(
        "SET LOCAL lock_timeout = {}; SET LOCAL statement_timeout = {}",
        hidden.as_millis(),
        guard.as_millis()
    );
    run.work.client.batch_execute(&bounds).await.doing("bound the statements")?;
    for statement in sql {
        run.work.client.batch_execute(statement).await.doing(&job.step.title)?;
    }
    if let Some(before) = before {
        before.report(&run.control, &run.work, job, &*run.observer).await?;
    }
    ledger::finish_step(&run.work.client, job.key, None).await?;
    failpoint::reach("before_commit");
    run.commit().await
}

fn short_lock(max_stall: Duration) -> Duration {
    max_stall.mul_f64(0.6).max(Duration::from_millis(10))
}

/// The patient locks first, then the strong ones, each in the order of `claims`: two transactions of ours, or a fixed
/// order of the application's own, then meet without deadlock. Where a view goes with its table the strong ones are left to the
/// statements: clients lock the view first, and LOCK TABLE of a view takes everything below it at once.
fn lock_statements(claims: &[Claimed], max_stall: Duration) -> String {
    let mut sql = String::new();
    let lockable = || claims.iter().filter(|c| c.lockable && c.claim.mode >= LockMode::ShareUpdateExclusive);
    let mut add = |bound: Duration, claimed: &Claimed, mode: LockMode| {
        // Writing to a string cannot fail.
        let _ = write!(
            sql,
            "SET LOCAL lock_timeout = {}; LOCK TABLE ONLY {} IN {mode} MODE; ",
            bound.as_millis(),
            claimed.claim.relation
        );
    };
    for claimed in lockable() {
        add(PATIENT_LOCK, claimed, LockMode::ShareUpdateExclusive);
    }
    let by_statements = claims.iter().any(|c| c.view && c.claim.mode > LockMode::ShareUpdateExclusive);
    let strong = lockable().filter(|c| !by_statements && c.claim.mode > LockMode::ShareUpdateExclusive);
    for claimed in strong {
        add(short_lock(max_stall), claimed, claimed.claim.mode);
    }
    sql
}

#[cfg(test)]
mod tests {
    use super::*;
    use concertina_plan::plan::LockClaim;
    use concertina_plan::sql::ident::Name;

    #[test]
    fn patient_locks_come_first_and_what_is_no_table_is_left_out() {
        let claim = |oid, name, mode, lockable| Claimed {
            oid,
            claim: LockClaim { relation: Name::new("app", name), mode },
            lockable,
            view: false,
        };
        let mut claims = vec![
            claim(1, "parent", LockMode::ShareRowExclusive, true),
            claim(2, "child", LockMode::AccessExclusive, true),
            claim(3, "child_index", LockMode::AccessExclusive, false),
            claim(4, "read", LockMode::RowShare, true),
        ];
        let sql = lock_statements(&claims, Duration::from_millis(250));
        let lines: Vec<&str> = sql.trim_end_matches("; ").split("; ").collect();
        assert_eq!(
            lines,
            [
                "SET LOCAL lock_timeout = 2500",
                "LOCK TABLE ONLY app.parent IN SHARE UPDATE EXCLUSIVE MODE",
                "SET LOCAL lock_timeout = 2500",
                "LOCK TABLE ONLY app.child IN SHARE UPDATE EXCLUSIVE MODE",
                "SET LOCAL lock_timeout = 150",
                "LOCK TABLE ONLY app.parent IN SHARE ROW EXCLUSIVE MODE",
                "SET LOCAL lock_timeout = 150",
                "LOCK TABLE ONLY app.child IN ACCESS EXCLUSIVE MODE",
            ]
        );
        // A view among them is locked by the statement that drops it, before its table.
        claims.push(Claimed { view: true, ..claim(5, "view", LockMode::AccessExclusive, false) });
        assert!(!lock_statements(&claims, Duration::from_millis(250)).contains("ACCESS EXCLUSIVE"));
    }
}
