//! Statements that run outside a transaction (CONCURRENTLY): probed, healed and watched instead of rolled back.
//!
//! A DETACH PARTITION CONCURRENTLY that was interrupted between its two transactions is ended by FINALIZE.
//!
//! A failed or killed CREATE INDEX CONCURRENTLY leaves an INVALID index, and a unique one may enforce already; it is
//! dropped on every way out that allows it, and at resume otherwise. Only an index that is INVALID, that nobody is
//! building, and that the probe names is ever dropped. Source: doc/src/sgml/ref/create_index.sgml, "Building Indexes
//! Concurrently".

use std::time::{Duration, Instant};

use concertina_plan::plan::Probe;
use concertina_plan::sql::ident::Name;
use tokio::time::sleep;
use tokio_postgres::types::Type;

use crate::error::{Doing, Error, Failure};
use crate::event::Event;
use crate::executor::{Backoff, Job, Run};
use crate::ledger::{SpanKind, StepRow};
use crate::long_step::{cancellable, check_patience, is_violation, violated};
use crate::observe::{Before, Sampled};
use crate::obstacle::seconds;
use crate::{failpoint, probe};

/// Runs the step. Returns whether it was done already.
pub(crate) async fn run(
    run: &mut Run,
    job: &Job<'_>,
    sql: &str,
    heal: Option<&str>,
    known: Option<&StepRow>,
) -> Result<bool, Error> {
    let since = Instant::now();
    let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
    let mut begun = known.is_some();
    for attempt in 1.. {
        if begun && is_done(run, job).await? {
            run.finish(job, None).await?;
            return Ok(true);
        }
        // A leftover is ours only if we began before.
        if begun && heals(&job.step.probe, heal) {
            clean(run, job, heal, since).await?;
            // What was half done may be whole by now.
            if is_done(run, job).await? {
                run.finish(job, None).await?;
                return Ok(true);
            }
        }
        run.begin_try(job).await?;
        let tried = Instant::now();
        begun = true;
        failpoint::reach("alone_begun");
        let Err(error) = execute(run, job, sql).await else {
            failpoint::reach("alone_done");
            if !traceless(&job.step.probe) && !is_done(run, job).await? {
                return Err(job.failed(&Error::Sql {
                    doing: job.step.title.clone(),
                    sqlstate: "-----".to_owned(),
                    message: "the statement ended without error, but its effect is not there".to_owned(),
                }));
            }
            run.finish(job, None).await?;
            return Ok(false);
        };
        if error.failure() == Failure::ConnectionLost {
            return Err(error);
        }
        failpoint::reach("alone_failed");
        let healed = heal_quickly(run, job, heal).await;
        run.check_stop()?;
        match error {
            error if error.failure().is_transient() => {
                let reason = error.to_string();
                run.journal.note(SpanKind::GivenUp, tried, reason.clone());
                run.tell(&Event::Retry { step: job.number, attempt, reason: reason.clone() });
                check_patience(run, job, since, &reason)?;
            }
            error if error.sqlstate().is_some_and(is_violation) => {
                healed?;
                return Err(violated(job, &error));
            }
            error @ Error::Sql { .. } => {
                healed?;
                return Err(job.failed(&error));
            }
            error => return Err(error),
        }
        run.pause(backoff.next()).await?;
    }
    Ok(false)
}

async fn is_done(run: &Run, job: &Job<'_>) -> Result<bool, Error> {
    if traceless(&job.step.probe) {
        return Ok(false);
    }
    probe::holds(&run.work.client, &job.step.probe).await
}

/// A step that leaves no trace in the catalog is repeated.
fn traceless(probe: &Probe) -> bool {
    matches!(probe, Probe::Ledger | Probe::Rebuilt { .. })
}

/// Whether a failed try may leave something behind that is removed.
pub(crate) fn heals(probe: &Probe, heal: Option<&str>) -> bool {
    heal.is_some() || matches!(probe, Probe::Rebuilt { .. })
}

/// The statement itself, under its own long budget: it waits for locks and for old snapshots without hurting anyone.
async fn execute(run: &Run, job: &Job<'_>, sql: &str) -> Result<(), Error> {
    // The lease cannot be held by a lock across it, so it is checked right before; the heartbeat keeps it ours.
    run.in_ledger(async { Ok(()) }).await?;
    set_lock_timeout(run, run.settings.lock_patience).await?;
    let before = match run.settings.observe_locks {
        true => Some(Before::look_at_all(&run.control).await?),
        false => None,
    };
    let mut sampled = Sampled::default();
    let mut progress = Progress::new();
    let aside = async {
        loop {
            sleep(Duration::from_millis(50)).await;
            failpoint::reach("alone_running");
            if before.is_some() {
                // A sample that is missed is one of many.
                let _ = sampled.sample(&run.control, run.work.pid).await;
            }
            progress.tell(run, job).await;
        }
    };
    let result = cancellable(run, run.work.client.batch_execute(sql), aside).await.doing(&job.step.title);
    if let Some(before) = before {
        sampled.report(&run.control, job, &before, &*run.observer).await?;
    }
    if !run.work.is_closed() {
        set_lock_timeout(run, run.settings.max_stall).await?;
    }
    result
}

async fn set_lock_timeout(run: &Run, time: Duration) -> Result<(), Error> {
    let sql = format!("SET lock_timeout = {}", time.as_millis().clamp(1, 2_000_000_000));
    run.work.client.batch_execute(&sql).await.doing("set the lock timeout")
}

/// Removes what a failed try left behind, waiting as long as it takes.
pub(crate) async fn clean(run: &Run, job: &Job<'_>, heal: Option<&str>, since: Instant) -> Result<(), Error> {
    let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
    loop {
        match leftover(run, &job.step.probe, heal).await? {
            Leftover::None => return Ok(()),
            Leftover::Building(pid) => {
                let reason = format!("pid {pid} is building the same index; it is left alone until it ends");
                run.tell(&Event::Waiting {
                    step: job.number,
                    reason: reason.clone(),
                    since: since.elapsed(),
                });
                check_patience(run, job, since, &reason)?;
            }
            Leftover::HealedBy(sql) => {
                set_lock_timeout(run, Duration::from_secs(60)).await?;
                let healed = cancellable(run, run.work.client.batch_execute(&sql), async {}).await;
                set_lock_timeout(run, run.settings.max_stall).await?;
                match healed.doing("remove the leftover of a failed try") {
                    // There may be more of them.
                    Ok(()) if matches!(job.step.probe, Probe::Rebuilt { .. }) => continue,
                    Ok(()) => return Ok(()),
                    Err(error) if error.failure().is_transient() => {
                        run.check_stop()?;
                        check_patience(run, job, since, &error.to_string())?;
                    }
                    Err(error @ Error::Sql { .. }) => return Err(job.failed(&error)),
                    Err(error) => return Err(error),
                }
            }
        }
        run.pause(backoff.next()).await?;
    }
}

/// Removes the leftover at once if that takes seconds; otherwise it stays for the resume.
async fn heal_quickly(run: &Run, job: &Job<'_>, heal: Option<&str>) -> Result<(), Error> {
    if !heals(&job.step.probe, heal) {
        return Ok(());
    }
    while let Leftover::HealedBy(sql) = leftover(run, &job.step.probe, heal).await? {
        set_lock_timeout(run, Duration::from_secs(5)).await?;
        let healed = run.work.client.batch_execute(&sql).await.doing("remove the leftover of a failed try");
        set_lock_timeout(run, run.settings.max_stall).await?;
        match healed {
            Err(error) if error.failure().is_transient() => {
                run.tell(&Event::Note(
                    "what the failed try left behind could not be removed yet; the next run does it"
                        .to_owned(),
                ));
                return Ok(());
            }
            Ok(()) if matches!(job.step.probe, Probe::Rebuilt { .. }) => {}
            result => return result,
        }
    }
    Ok(())
}

enum Leftover {
    None,
    /// An INVALID index, a partition that is half detached, or something that the catalog does not show: this statement removes
    /// or ends it.
    HealedBy(String),
    /// Another backend is at it.
    Building(i32),
}

async fn leftover(run: &Run, probe: &Probe, heal: Option<&str>) -> Result<Leftover, Error> {
    if let Probe::Rebuilt { table, index, known } = probe {
        return twin(run, table, index.as_ref(), known).await;
    }
    let healed = || heal.map_or(Leftover::None, |heal| Leftover::HealedBy(heal.to_owned()));
    if let Probe::Partition { table, partition, .. } = probe {
        let names = [table, partition].map(ToString::to_string);
        let rows = run
            .work
            .client
            .query_typed(HALF_DETACHED, &[(&names[0], Type::TEXT), (&names[1], Type::TEXT)])
            .await
            .doing("look for a partition that is half detached")?;
        return Ok(if rows.is_empty() { Leftover::None } else { healed() });
    }
    let mut names = Vec::new();
    index_names(probe, &mut names);
    if names.is_empty() {
        return Ok(healed());
    }
    let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
    let rows = run
        .work
        .client
        .query_typed(LEFTOVER, &[(&names, Type::TEXT_ARRAY), (&run.work.pid, Type::INT4)])
        .await
        .doing("look for the leftover of a failed try")?;
    Ok(match rows.first() {
        None => Leftover::None,
        Some(row) => row.get::<_, Option<i32>>(0).map_or_else(healed, Leftover::Building),
    })
}

/// A twin of an index that a REINDEX CONCURRENTLY of ours left.
async fn twin(run: &Run, table: &Name, index: Option<&Name>, known: &[Name]) -> Result<Leftover, Error> {
    let (table, index) = (table.to_string(), index.map(ToString::to_string));
    let known: Vec<String> = known.iter().map(ToString::to_string).collect();
    let rows = run
        .work
        .client
        .query_typed(
            TWIN,
            &[
                (&table, Type::TEXT),
                (&index, Type::TEXT),
                (&known, Type::TEXT_ARRAY),
                (&run.work.pid, Type::INT4),
            ],
        )
        .await
        .doing("look for what a failed REINDEX left")?;
    Ok(match rows.first() {
        None => Leftover::None,
        Some(row) => match row.get::<_, Option<i32>>(1) {
            Some(pid) => Leftover::Building(pid),
            None => Leftover::HealedBy(row.get(0)),
        },
    })
}

fn index_names<'p>(probe: &'p Probe, names: &mut Vec<&'p Name>) {
    match probe {
        Probe::Index { name, .. } => names.push(name),
        Probe::All { of } => of.iter().for_each(|probe| index_names(probe, names)),
        _ => {}
    }
}

const HALF_DETACHED: &str = "
SELECT FROM pg_catalog.pg_inherits
WHERE inhparent = to_regclass($1) AND inhrelid = to_regclass($2) AND inhdetachpending";

const LEFTOVER: &str = "
SELECT p.pid FROM pg_catalog.pg_index AS i
LEFT JOIN pg_catalog.pg_stat_progress_create_index AS p ON p.index_relid = i.indexrelid AND p.pid <> $2
WHERE NOT i.indisvalid AND i.indexrelid IN (SELECT to_regclass(name) FROM unnest($1) AS name)
ORDER BY p.pid NULLS LAST LIMIT 1";

/// INVALID, named as PostgreSQL names twins, and but for the name defined as an index beside it whose name that is. Those of the
/// TOAST table count where the whole table is rebuilt. Source: `ReindexRelationConcurrently` in
/// src/backend/commands/indexcmds.c; `makeObjectName` cuts the name of the index, so that it is compared as a prefix.
const TWIN: &str = "
WITH index AS (
    SELECT i.indexrelid AS oid, i.indrelid, i.indisvalid, i.indisunique, c.relname, n.nspname,
           substr(pg_get_indexdef(i.indexrelid),
                  length('CREATE ' || CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END || 'INDEX ' || quote_ident(c.relname)) + 1)
               AS body
    FROM pg_catalog.pg_index AS i
    JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE i.indrelid IN (
        SELECT to_regclass($1)
        UNION ALL SELECT t.reltoastrelid FROM pg_catalog.pg_class AS t WHERE t.oid = to_regclass($1) AND $2 IS NULL)
)
SELECT format('DROP INDEX CONCURRENTLY IF EXISTS %I.%I', twin.nspname, twin.relname), p.pid
FROM index AS twin
LEFT JOIN pg_catalog.pg_stat_progress_create_index AS p ON p.relid = twin.indrelid AND p.pid <> $4
WHERE NOT twin.indisvalid AND twin.relname ~ '_cc(new|old)[0-9]*$'
  AND NOT EXISTS (SELECT FROM unnest($3) AS known WHERE to_regclass(known) = twin.oid)
  AND EXISTS (
      SELECT FROM index AS base
      WHERE base.indrelid = twin.indrelid AND base.oid <> twin.oid AND base.body = twin.body
        AND base.indisunique = twin.indisunique AND ($2 IS NULL OR base.oid = to_regclass($2))
        AND starts_with(base.relname, regexp_replace(twin.relname, '_cc(new|old)[0-9]*$', '')))
ORDER BY p.pid NULLS LAST LIMIT 1";

/// Tells how far an index build is, and for whom it waits.
struct Progress {
    began: Instant,
    told: Instant,
}

impl Progress {
    fn new() -> Self {
        Self { began: Instant::now(), told: Instant::now() }
    }

    async fn tell(&mut self, run: &Run, job: &Job<'_>) {
        if self.told.elapsed() < Duration::from_millis(500) {
            return;
        }
        self.told = Instant::now();
        // What it says is for people only; a look that fails is repeated soon.
        let Ok(rows) = run.control.client.query_typed(PROGRESS, &[(&run.work.pid, Type::INT4)]).await else {
            return;
        };
        let Some(row) = rows.first() else { return };
        let (phase, done, rows): (&str, f64, i64) = (row.get(0), row.get(1), row.get(2));
        if let Some(pid) = row.get::<_, Option<i32>>(3) {
            let (application, state): (Option<&str>, Option<&str>) = (row.get(4), row.get(5));
            let age = row
                .get::<_, Option<f64>>(6)
                .map(|age| format!(", open for {}", seconds(Duration::from_secs_f64(age.max(0.0)))))
                .unwrap_or_default();
            let application = application.filter(|name| !name.is_empty()).map(|name| format!("{name}, "));
            run.tell(&Event::Waiting {
                step: job.number,
                reason: format!(
                    "{phase}: transaction of pid {pid} ({}{}{age})",
                    application.unwrap_or_default(),
                    state.unwrap_or("state not visible to us")
                ),
                since: self.began.elapsed(),
            });
            return;
        }
        let elapsed = self.began.elapsed();
        let rows = u64::try_from(rows).unwrap_or_default();
        let rate = rows as f64 / elapsed.as_secs_f64().max(0.001);
        let eta = (done > 0.05).then(|| elapsed.mul_f64((1.0 - done) / done));
        run.tell(&Event::Progress { step: job.number, rows, done, rate, eta });
    }
}

/// The scan is taken for the first 70 %, its sort and load for the next 15 %, the second scan for the rest. Source:
/// doc/src/sgml/monitoring.sgml, "CREATE INDEX Progress Reporting".
const PROGRESS: &str = "
SELECT p.phase,
       CASE WHEN p.phase LIKE 'building index%' AND p.blocks_total > 0
                 AND p.blocks_done < p.blocks_total THEN 0.7 * p.blocks_done / p.blocks_total
            WHEN p.phase LIKE 'building index%' AND p.tuples_total > 0 THEN 0.7 + 0.15 * p.tuples_done / p.tuples_total
            WHEN p.phase LIKE 'index validation: scanning table' AND p.blocks_total > 0
                 THEN 0.85 + 0.15 * p.blocks_done / p.blocks_total
            WHEN p.phase LIKE 'index validation%' OR p.phase LIKE 'waiting for%validation' THEN 0.85
            WHEN p.phase LIKE 'waiting for old snapshots' THEN 0.99 ELSE 0 END::float8,
       greatest(p.tuples_done, 0)::int8, nullif(p.current_locker_pid, 0)::int4, a.application_name, a.state,
       extract(epoch FROM clock_timestamp() - a.xact_start)::float8
FROM pg_catalog.pg_stat_progress_create_index AS p
LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = nullif(p.current_locker_pid, 0)
WHERE p.pid = $1";
