//! How a backfill shares the server: batches sized by time, pauses in proportion, and a stop while anyone suffers.
//!
//! A signal that cannot be read counts as bad: the backfill waits and says what it cannot see.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use crate::error::{Error, said};
use crate::event::Event;
use crate::executor::{Job, Run};
use crate::room::Level;
use crate::settings;

/// How often the signals are read.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How long one signal may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// How long to wait for a signal that this role will never be able to read.
const BLIND_PATIENCE: Duration = Duration::from_secs(60);

/// How many of the latest batches say what a unit costs: their median, because a batch that the machine merely kept waiting
/// says nothing about its size.
const REMEMBERED: usize = 5;

/// Size of the next batch, in whatever the walk counts.
///
/// As large as fits into the target time by what the latest batches cost. It grows slowly after a doubling start, shrinks
/// quickly, and is halved when somebody suffered.
#[derive(Clone, Debug)]
pub(crate) struct Size {
    now: f64,
    min: f64,
    max: f64,
    target: Duration,
    starting: bool,
    /// Seconds per unit, oldest first.
    costs: VecDeque<f64>,
}

impl Size {
    pub(crate) fn new(first: u64, min: u64, max: u64, target: Duration) -> Self {
        let costs = VecDeque::with_capacity(REMEMBERED);
        Self { now: first as f64, min: min as f64, max: max as f64, target, starting: true, costs }
    }

    pub(crate) fn get(&self) -> u64 {
        self.now as u64
    }

    /// A batch of the present size took this long.
    pub(crate) fn took(&mut self, time: Duration) {
        if self.costs.len() == REMEMBERED {
            self.costs.pop_front();
        }
        self.costs.push_back(time.as_secs_f64() / self.now);
        let fits = self.target.as_secs_f64() / median(&self.costs).max(1e-12);
        self.starting &= fits > 2.0 * self.now;
        let most = if self.starting { 2.0 } else { 1.25 };
        self.now = fits.clamp(self.now * 0.25, self.now * most).clamp(self.min, self.max);
    }

    /// Somebody waited for us, or the batch had to be given up.
    pub(crate) fn halve(&mut self) {
        self.starting = false;
        self.now = (self.now / 2.0).max(self.min);
    }
}

/// Of an even number the upper one of the two in the middle.
fn median(values: &VecDeque<f64>) -> f64 {
    let mut sorted: Vec<f64> = values.iter().copied().collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// The state of a backfill's manners.
#[derive(Debug)]
pub(crate) struct Throttle {
    looked: Option<Instant>,
}

impl Throttle {
    pub(crate) fn new() -> Self {
        Self { looked: None }
    }

    /// Pauses after a batch that took `worked`, and goes on waiting while a signal says so. Safe to stop in.
    pub(crate) async fn rest(&mut self, run: &Run, job: &Job<'_>, worked: Duration) -> Result<(), Error> {
        let load = run.settings.throttle.load.clamp(0.001, 1.0);
        run.pause(worked.mul_f64((1.0 - load) / load).min(Duration::from_secs(60))).await?;
        if self.looked.is_some_and(|looked| looked.elapsed() < LOOK_EVERY) {
            return Ok(());
        }
        let (began, mut told) = (Instant::now(), None::<Instant>);
        loop {
            run.check_stop()?;
            let signal = look(run).await?;
            self.looked = Some(Instant::now());
            let (reason, blind) = match signal {
                Signal::Good => {
                    run.journal.waited();
                    return Ok(());
                }
                Signal::Bad(reason) => (reason, None),
                // Others may use the disk too, and what is held back may be let go: it waits, but not for ever.
                Signal::Full { have, reason } if began.elapsed() > run.settings.lock_patience => {
                    return Err(run.no_room(job, have, reason));
                }
                Signal::Full { reason, .. } => (reason, None),
                Signal::Blind { reason, grant } => (reason, Some(grant)),
            };
            if let Some(grant) = blind
                && began.elapsed() > BLIND_PATIENCE
            {
                return Err(Error::Privilege { what: reason, grant });
            }
            if told.is_none_or(|told| told.elapsed() >= Duration::from_secs(1)) {
                run.tell(&Event::Waiting { step: job.number, reason, since: began.elapsed() });
                told = Some(Instant::now());
            }
            run.pause(LOOK_EVERY).await?;
        }
    }
}

enum Signal {
    Good,
    /// Work pauses, for this reason.
    Bad(String),
    /// The server's disk fills up.
    Full {
        have: u64,
        reason: String,
    },
    /// The signal cannot be read by this role.
    Blind {
        reason: String,
        grant: String,
    },
}

async fn look(run: &Run) -> Result<Signal, Error> {
    let settings = &run.settings.throttle;
    if let Some(max) = settings.max_lag_bytes {
        match answered(run, run.control.client.query(LAG, &[])).await? {
            Err(reason) => return Ok(Signal::Bad(format!("the lag of standbys cannot be read: {reason}"))),
            Ok(rows) => {
                for row in &rows {
                    let (name, lag): (Option<&str>, Option<i64>) = (row.get(0), row.get(1));
                    if let Some(signal) = lag_signal(name, lag, max, row.get(2)) {
                        return Ok(signal);
                    }
                }
            }
        }
    }
    match run.room.level(&run.control, &run.settings.disk).await? {
        Level::Enough => {}
        Level::Below { have, reason } => return Ok(Signal::Full { have, reason }),
        Level::Blind(reason) => return Ok(Signal::Bad(reason)),
    }
    match &settings.slo_query {
        Some(query) => slo(run, query, settings).await,
        None => Ok(Signal::Good),
    }
}

fn lag_signal(name: Option<&str>, lag: Option<i64>, max: u64, role: &str) -> Option<Signal> {
    let name = name.filter(|name| !name.is_empty()).unwrap_or("a standby");
    let Some(lag) = lag else {
        return Some(Signal::Blind {
            reason: format!(
                "role {role} cannot read how far {name} is behind, and the backfill does not run blind \
                 (max_lag_bytes = none ignores standbys)"
            ),
            grant: format!("GRANT pg_monitor TO {role}"),
        });
    };
    let lag = u64::try_from(lag).unwrap_or_default();
    (lag > max).then(|| {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        Signal::Bad(format!("standby {name} is {:.1} MiB behind (at most {:.1})", mib(lag), mib(max)))
    })
}

async fn slo(run: &Run, query: &str, settings: &settings::Throttle) -> Result<Signal, Error> {
    let wrapped = format!("SELECT ({query}\n)::float8");
    let rows = match answered(run, run.control.client.query(wrapped.as_str(), &[])).await? {
        Ok(rows) => rows,
        Err(reason) => return Ok(Signal::Bad(format!("slo_query cannot be read: {reason}"))),
    };
    let value = rows.first().and_then(|row| row.try_get::<_, Option<f64>>(0).ok().flatten());
    Ok(match value {
        Some(value) if value <= settings.slo_max => Signal::Good,
        Some(value) => Signal::Bad(format!("slo_query says {value} (at most {})", settings.slo_max)),
        None => Signal::Bad("slo_query returns no number".to_owned()),
    })
}

/// The rows, or why there are none. A lost connection is an error; one that hangs or a query that fails is a reason.
async fn answered<T>(
    run: &Run,
    query: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<Result<T, String>, Error> {
    match timeout(ANSWER, query).await {
        Ok(Ok(rows)) => Ok(Ok(rows)),
        Ok(Err(error)) if error.code().is_some() => Ok(Err(said(&error))),
        Ok(Err(error)) => Err(Error::sql("read the throttle's signals", &error)),
        Err(_) => {
            // Dropping the future does not end the query.
            let _ = run.control.cancel().await;
            Ok(Err(format!("no answer within {} s", ANSWER.as_secs())))
        }
    }
}

/// Physical standbys that stream or catch up. The lag is NULL where our role may not see it.
/// Source: doc/src/sgml/monitoring.sgml, "pg_stat_replication".
const LAG: &str = "
SELECT r.application_name, pg_wal_lsn_diff(pg_current_wal_lsn(), r.replay_lsn)::int8, current_user::text
FROM pg_catalog.pg_stat_replication AS r
LEFT JOIN pg_catalog.pg_replication_slots AS s ON s.active_pid = r.pid
WHERE r.state IS DISTINCT FROM 'backup' AND s.slot_type IS DISTINCT FROM 'logical'
ORDER BY 2 DESC NULLS FIRST";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_fit_the_target_and_a_single_slow_one_does_not_count() {
        let target = Duration::from_millis(60);
        let mut size = Size::new(100, 10, 100_000, target);
        // A server that does one unit in 30 µs: 2,000 fit.
        for _ in 0..40 {
            let time = Duration::from_micros(30 * size.get());
            size.took(time);
        }
        assert!((1_900..=2_100).contains(&size.get()), "{}", size.get());
        size.took(target * 30);
        assert!((1_900..=2_100).contains(&size.get()), "{}", size.get());
        // Work has become ten times as dear.
        for _ in 0..6 {
            let time = Duration::from_micros(300 * size.get());
            size.took(time);
        }
        assert!((180..=220).contains(&size.get()), "{}", size.get());
        size.halve();
        assert!(size.get() <= 110, "{}", size.get());
        for _ in 0..20 {
            size.halve();
        }
        assert_eq!(size.get(), 10);
    }

    #[test]
    fn a_lag_that_cannot_be_read_is_not_a_lag_of_zero() {
        assert!(lag_signal(Some("s1"), Some(10), 64, "app").is_none());
        assert!(
            matches!(lag_signal(Some("s1"), Some(65), 64, "app"), Some(Signal::Bad(reason)) if reason.contains("s1"))
        );
        assert!(
            matches!(lag_signal(None, None, 64, "app"), Some(Signal::Blind { grant, .. }) if grant.contains("pg_monitor"))
        );
    }
}
