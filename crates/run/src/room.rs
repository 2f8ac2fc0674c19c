//! What is free on the server's disk, asked without superuser and without an extension, and what holds WAL back.
//!
//! PostgreSQL has no function that tells the free space of its file systems. So the user says it (`disk.free`), or how to learn it
//! (`disk.free_query`, `disk.free_command`). Only of a server on this machine can the file system be asked directly: where the role may
//! know its data directory, and where what lies there is certainly this server's, because `pg_control` carries the same system
//! identifier. (A port that leads into a container is on this machine too, and its directory is another one.)

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use concertina_plan::estimate::{Elsewhere, Free, Holder, Lacking, StepEstimate, WalKeeping, bytes};
use concertina_plan::sql::ident::Ident;
use serde::Deserialize;
use tokio::time::timeout;
use tokio_postgres::types::Json;

use crate::connect::Session;
use crate::error::{Doing, Error, said};
use crate::ledger;
use crate::settings::{Disk, FreeSpace};

/// How long a query or a command may take to answer.
const ANSWER: Duration = Duration::from_secs(30);

/// While a step runs, an answer counts for so long.
const FRESH: Duration = Duration::from_secs(5);

/// What is known of free space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// This much.
    Free(Free),
    /// Nothing, for this reason.
    Unknown(String),
    /// What the user configured to tell it does not answer, for this reason: a run stops, since a check was asked for.
    Silent(String),
    /// The user does not want it looked at.
    Unchecked,
}

/// Asks.
///
/// # Errors
/// [`Error::Connection`].
pub async fn look(control: &Session, disk: &Disk) -> Result<Known, Error> {
    let told = |name: &str, answer: Result<u64, String>| match answer {
        Ok(data) => Known::Free(Free { data, wal: None, spaces: told_spaces(disk), source: name.to_owned() }),
        Err(why) => Known::Silent(format!("{name} does not tell what is free: {why}")),
    };
    Ok(match (disk.free, &disk.query, &disk.command) {
        (FreeSpace::Unchecked, _, _) => Known::Unchecked,
        (FreeSpace::Given(bytes), _, _) => told("disk.free", Ok(bytes)),
        (FreeSpace::Ask, Some(query), _) => told("disk.free_query", by_query(control, query).await?),
        (FreeSpace::Ask, None, Some(command)) => told("disk.free_command", by_command(command).await),
        (FreeSpace::Ask, None, None) => match on_this_machine(control).await? {
            Ok(free) => Known::Free(with_told(free, disk)),
            Err(why) => Known::Unknown(why),
        },
    })
}

/// What the user says of tablespaces.
fn told_spaces(disk: &Disk) -> Vec<Elsewhere> {
    let one = |(name, free): (&Ident, &u64)| Elsewhere { names: vec![name.clone()], wal: false, free: *free };
    disk.spaces.iter().map(one).collect()
}

/// What the user says counts before what was seen.
fn with_told(mut free: Free, disk: &Disk) -> Free {
    for other in &mut free.spaces {
        other.names.retain(|name| !disk.spaces.contains_key(name));
    }
    free.spaces.retain(|other| !other.names.is_empty());
    free.spaces.extend(told_spaces(disk));
    free
}

async fn by_query(control: &Session, query: &str) -> Result<Result<u64, String>, Error> {
    let wrapped = format!("SELECT ({query}\n)::int8");
    match timeout(ANSWER, control.client.query(wrapped.as_str(), &[])).await {
        Ok(Ok(rows)) => {
            let value = rows.first().and_then(|row| row.try_get::<_, Option<i64>>(0).ok().flatten());
            let value = value.and_then(|value| u64::try_from(value).ok());
            Ok(value.ok_or_else(|| "it returns no number of bytes".to_owned()))
        }
        Ok(Err(error)) if error.code().is_some() => Ok(Err(said(&error))),
        Ok(Err(error)) => Err(Error::sql("ask for free space", &error)),
        Err(_) => {
            // Dropping the future does not end the query.
            let _ = control.cancel().await;
            Ok(Err(format!("no answer within {} s", ANSWER.as_secs())))
        }
    }
}

async fn by_command(command: &str) -> Result<u64, String> {
    let mut shell = tokio::process::Command::new(if cfg!(windows) { "cmd" } else { "sh" });
    shell.args([if cfg!(windows) { "/C" } else { "-c" }, command]).kill_on_drop(true);
    shell.stdin(std::process::Stdio::null());
    let output = match timeout(ANSWER, shell.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => return Err(error.to_string()),
        Err(_) => return Err(format!("no answer within {} s", ANSWER.as_secs())),
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("it ended with {}: {}", output.status, said.trim()));
    }
    number(&String::from_utf8_lossy(&output.stdout))
}

fn number(text: &str) -> Result<u64, String> {
    text.trim().parse().map_err(|_| {
        let shown: String = text.trim().chars().take(80).collect();
        format!("it must print a number of bytes, and printed {shown:?}")
    })
}

/// The file systems of a server on this machine, or why they cannot be asked.
async fn on_this_machine(control: &Session) -> Result<Result<Free, String>, Error> {
    let row = control.client.query_one(PLACE, &[]).await.doing("ask where the server is")?;
    if !row.get::<_, bool>("near") {
        return Ok(Err("the server is on another machine".to_owned()));
    }
    let Some(directory) = row.get::<_, Option<String>>("data_directory") else {
        let role = Ident::new(row.get::<_, String>("role"));
        return Ok(Err(format!(
            "role {role} may not know the server's data directory (GRANT pg_read_all_settings TO {role})"
        )));
    };
    let Some(identifier) = ledger::system_identifier(&control.client).await? else {
        return Ok(Err("the server does not tell which one it is".to_owned()));
    };
    let rows = control.client.query(SPACES, &[]).await.doing("ask where tablespaces are")?;
    let spaces: Vec<(Ident, String)> =
        rows.iter().map(|row| (Ident::new(row.get::<_, String>(0)), row.get(1))).collect();
    Ok(of_directory(&directory, &identifier, &spaces))
}

#[cfg(unix)]
fn of_directory(directory: &str, identifier: &str, spaces: &[(Ident, String)]) -> Result<Free, String> {
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;

    let path = Path::new(directory);
    let unreadable =
        |what: &Path, error: std::io::Error| format!("{} cannot be read: {error}", what.display());
    // Its first eight bytes are the identifier. Source: ControlFileData in src/include/catalog/pg_control.h.
    let control = path.join("global/pg_control");
    let mut first = [0; 8];
    std::fs::File::open(&control)
        .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut first))
        .map_err(|error| unreadable(&control, error))?;
    if u64::from_ne_bytes(first).to_string() != identifier {
        return Err(format!("{directory} on this machine is another server's"));
    }
    let available = |path: &Path| {
        let stat = rustix::fs::statvfs(path).map_err(|error| unreadable(path, error.into()))?;
        Ok::<u64, String>(stat.f_bavail.saturating_mul(stat.f_frsize))
    };
    let device = |path: &Path| path.metadata().map(|it| it.dev()).map_err(|error| unreadable(path, error));
    let wal = path.join("pg_wal");
    let (data, logs) = (device(path)?, device(&wal)?);
    let mut others: BTreeMap<u64, Elsewhere> = BTreeMap::new();
    for (name, location) in spaces {
        // A place inside of the data directory is given relative to it. One that cannot be looked at counts with it.
        let location = path.join(location);
        let (Ok(device), Ok(free)) = (device(&location), available(&location)) else { continue };
        if device != data {
            let new = || Elsewhere { names: Vec::new(), wal: device == logs, free };
            others.entry(device).or_insert_with(new).names.push(name.clone());
        }
    }
    Ok(Free {
        data: available(path)?,
        wal: if data == logs { None } else { Some(available(&wal)?) },
        spaces: others.into_values().collect(),
        source: format!("the file system of {directory}"),
    })
}

#[cfg(not(unix))]
fn of_directory(_directory: &str, _identifier: &str, _spaces: &[(Ident, String)]) -> Result<Free, String> {
    Err("file systems are asked on Unix only".to_owned())
}

/// The directory is a setting that only members of `pg_read_all_settings` see.
const PLACE: &str = "
SELECT coalesce(inet_server_addr() <<= '127.0.0.0/8' OR inet_server_addr() <<= '::1/128', true) AS near,
       (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'data_directory') AS data_directory,
       session_user::text AS role";

const SPACES: &str = "
SELECT spcname::text, pg_tablespace_location(oid) FROM pg_catalog.pg_tablespace
WHERE spcname NOT IN ('pg_default', 'pg_global') ORDER BY spcname";

/// What keeps WAL on the server's disk. A server that does not say is taken to keep all of it.
///
/// # Errors
/// [`Error::Connection`].
pub async fn wal_keeping(control: &Session) -> Result<WalKeeping, Error> {
    let rows = match control.client.query(include_str!("sql/wal_keeping.sql"), &[]).await {
        Err(error) if error.code().is_some() => {
            let what = format!("the server, which does not say how it keeps WAL ({})", said(&error));
            return Ok(WalKeeping { holders: vec![Holder { what, limit: None }], ..WalKeeping::default() });
        }
        rows => rows.doing("ask how WAL is kept")?,
    };
    let Some(row) = rows.first() else { return Ok(WalKeeping::default()) };
    let Json(row): Json<WalRow> = row.try_get(0).doing("ask how WAL is kept")?;
    Ok(row.keeping())
}

#[derive(Deserialize)]
struct WalRow {
    max_wal_size: u64,
    keep_size: u64,
    slots: Vec<SlotRow>,
    archiver_fails: bool,
}

#[derive(Deserialize)]
struct SlotRow {
    name: Ident,
    active: bool,
    held: u64,
    limit: Option<i64>,
}

impl WalRow {
    fn keeping(self) -> WalKeeping {
        let slot = |slot: SlotRow| Holder {
            what: format!(
                "replication slot {}, which {} and holds {} now",
                slot.name,
                if slot.active { "is far behind" } else { "nobody reads" },
                bytes(slot.held)
            ),
            limit: slot.limit.map(|limit| u64::try_from(limit).unwrap_or_default()),
        };
        let mut holders: Vec<Holder> = self.slots.into_iter().map(slot).collect();
        if self.archiver_fails {
            let what = "the archiver, whose last try failed (pg_stat_archiver)".to_owned();
            holders.push(Holder { what, limit: None });
        }
        WalKeeping { max_wal_size: self.max_wal_size, keep_size: self.keep_size, holders }
    }
}

/// Looks now and then while steps run.
#[derive(Debug, Default)]
pub(crate) struct Watch(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    looked: Option<(Instant, Level)>,
    /// Tablespaces that the step under way fills.
    fills: BTreeSet<Ident>,
    /// A long statement was ended for this.
    stopped: Option<Level>,
}

/// How free space compares with the reserve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// There is more, or nobody can say.
    Enough,
    /// There is less.
    Below {
        /// Bytes free.
        have: u64,
        /// In words.
        reason: String,
    },
    /// What the user configured does not answer.
    Blind(String),
}

impl Watch {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose tablespaces are looked at from now on, beside the data directory and WAL.
    pub(crate) fn begin(&self, estimate: Option<&StepEstimate>) {
        let fills = estimate.map(|estimate| estimate.elsewhere.keys().cloned().collect());
        let mut state = self.state();
        state.fills = fills.unwrap_or_default();
        state.looked = None;
    }

    /// The level now, or a moment ago.
    pub(crate) async fn level(&self, control: &Session, disk: &Disk) -> Result<Level, Error> {
        // A number that the user gave for the beginning says nothing of now.
        if disk.free != FreeSpace::Ask {
            return Ok(Level::Enough);
        }
        if let Some((when, level)) = &self.state().looked
            && when.elapsed() < FRESH
        {
            return Ok(level.clone());
        }
        let level = match look(control, disk).await? {
            Known::Free(free) => level(&free, disk, &self.state().fills),
            Known::Unknown(_) | Known::Unchecked => Level::Enough,
            Known::Silent(why) => Level::Blind(why),
        };
        self.state().looked = Some((Instant::now(), level.clone()));
        Ok(level)
    }

    /// Returns once a long statement has to be ended. Only a number ends one.
    pub(crate) async fn ran_out(&self, control: &Session, disk: &Disk) {
        while !self.must_stop(control, disk).await {
            tokio::time::sleep(FRESH).await;
        }
    }

    async fn must_stop(&self, control: &Session, disk: &Disk) -> bool {
        let Ok(level @ Level::Below { .. }) = self.level(control, disk).await else { return false };
        self.state().stopped = Some(level);
        true
    }

    /// A long statement was ended for it.
    pub(crate) fn is_stopped(&self) -> bool {
        self.state().stopped.is_some()
    }

    /// What a long statement was ended for, once.
    pub(crate) fn take_stopped(&self) -> Option<Level> {
        self.state().stopped.take()
    }
}

fn level(free: &Free, disk: &Disk, fills: &BTreeSet<Ident>) -> Level {
    // What the user said of a tablespace was true of the beginning.
    let filled = |name: &&Ident| fills.contains(*name) && !disk.spaces.contains_key(*name);
    let others = free.spaces.iter().filter_map(|other| {
        let names: Vec<Ident> = other.names.iter().filter(filled).cloned().collect();
        (!names.is_empty()).then_some((other.free, Lacking::Spaces(names)))
    });
    let main = [(free.data, Lacking::Data)].into_iter().chain(free.wal.map(|wal| (wal, Lacking::Wal)));
    let Some((lowest, place)) = main.chain(others).min_by_key(|(free, _)| *free) else {
        return Level::Enough;
    };
    if lowest >= disk.reserve {
        return Level::Enough;
    }
    Level::Below {
        have: lowest,
        reason: format!(
            "{} are free {}, less than the reserve of {} (disk.reserve; by {})",
            bytes(lowest),
            place.place(),
            bytes(disk.reserve),
            free.source
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_prints_a_number_of_bytes() {
        assert_eq!(number(" 1234\n"), Ok(1234));
        for bad in ["", "12 GB", "-1", "1.5"] {
            assert!(number(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn below_the_reserve_on_either_file_system_is_below() {
        let free = |data, wal| Free { data, wal, spaces: Vec::new(), source: "test".into() };
        let disk = Disk { reserve: 10, ..Disk::default() };
        let level = |free: &Free, fills: &[Ident]| level(free, &disk, &fills.iter().cloned().collect());
        assert_eq!(level(&free(10, None), &[]), Level::Enough);
        assert!(matches!(level(&free(9, None), &[]), Level::Below { have: 9, .. }));
        assert!(matches!(level(&free(90, Some(9)), &[]), Level::Below { have: 9, .. }));
        // A tablespace matters to the step that fills it.
        let fast = Ident::new("fast");
        let full = Elsewhere { names: vec![fast.clone()], wal: false, free: 9 };
        let spaces = Free { spaces: vec![full], ..free(90, None) };
        assert_eq!(level(&spaces, &[]), Level::Enough);
        let Level::Below { have: 9, reason } = level(&spaces, &[fast]) else { panic!("{spaces:?}") };
        assert!(reason.contains("free in tablespace fast, less"), "{reason}");
    }

    #[test]
    fn slots_that_hold_wal_are_named_with_their_limit() {
        let row = WalRow {
            max_wal_size: 1,
            keep_size: 2,
            slots: vec![SlotRow { name: Ident::new("Old"), active: false, held: 5 << 20, limit: Some(-7) }],
            archiver_fails: true,
        };
        let keeping = row.keeping();
        assert_eq!(keeping.holders[0].limit, Some(0));
        assert!(keeping.holders[0].what.contains("\"Old\", which nobody reads and holds 5.0 MB"));
        assert_eq!(keeping.holders[1].limit, None);
    }
}
