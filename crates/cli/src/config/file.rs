//! `concertina.toml` itself: sections, defaults, and errors with a position.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use concertina_plan::policy::Policy;
use concertina_plan::sql::ident::Ident;
use concertina_run::settings::{Disk, FreeSpace, Settings, Throttle};
use serde::Deserialize;

use super::value;

/// The variable that is read when the file names no other.
pub(super) const DATABASE_URL: &str = "DATABASE_URL";

/// The file's contents. Unknown keys are errors: a misspelt limit must not be a missing one.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    /// Folder, from the file's directory.
    pub migrations: PathBuf,
    /// `[database]`
    pub database: Database,
    /// `[stall]`
    pub stall: Stall,
    /// `[throttle]`
    pub throttle: ThrottleSection,
    /// `[disk]`
    pub disk: DiskSection,
    /// `[policy]`
    pub policy: Policy,
}

/// `[database]`
#[derive(Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Database {
    /// Variable that holds the URL.
    pub url_env: String,
    /// The URL itself.
    pub url: Option<String>,
    /// Role for everything that is made.
    pub role: Option<String>,
    /// Schemas for unqualified names.
    pub search_path: Option<Vec<String>>,
}

/// `[stall]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Stall {
    /// Longest wait of one session.
    #[serde(deserialize_with = "value::duration")]
    pub max: Duration,
    /// Sum of all waits.
    #[serde(deserialize_with = "value::duration")]
    pub total: Duration,
    /// How long to try for one lock.
    #[serde(deserialize_with = "value::duration")]
    pub patience: Duration,
    /// How long to wait for another runner.
    #[serde(deserialize_with = "value::duration")]
    pub runner_patience: Duration,
}

/// `[throttle]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ThrottleSection {
    /// Share of the time spent working.
    #[serde(deserialize_with = "value::load")]
    pub load: f64,
    /// Time for one batch.
    #[serde(deserialize_with = "value::duration")]
    pub batch: Duration,
    /// Bound for a standby's lag.
    #[serde(deserialize_with = "value::size_or_false")]
    pub max_lag: Option<u64>,
    /// Query of the user's own bound.
    pub slo_query: Option<String>,
    /// The bound.
    pub slo_max: f64,
}

/// `[disk]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiskSection {
    /// What is free, or that it is not looked at.
    #[serde(deserialize_with = "value::free_space")]
    pub free: FreeSpace,
    /// Query of the free bytes.
    pub free_query: Option<String>,
    /// Command that prints the free bytes.
    pub free_command: Option<String>,
    /// What is free in tablespaces.
    #[serde(deserialize_with = "value::sizes")]
    pub tablespaces: BTreeMap<Ident, u64>,
    /// What is left alone.
    #[serde(deserialize_with = "value::size")]
    pub reserve: u64,
}

/// A mistake in the file: `12:3: unknown field …`. The line itself is left out, since it may hold a password.
#[derive(Debug, PartialEq, Eq)]
pub struct Mistake {
    line: usize,
    column: usize,
    message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

impl File {
    /// Reads the text.
    ///
    /// # Errors
    /// With the position of the first mistake.
    pub fn parse(text: &str) -> Result<Self, Mistake> {
        toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start).min(text.len());
            let before = text.get(..at).unwrap_or(text);
            Mistake {
                line: before.matches('\n').count() + 1,
                column: before.rsplit('\n').next().unwrap_or("").chars().count() + 1,
                message: error.message().trim_end().to_owned(),
            }
        })
    }

    /// What it asks of a run.
    pub(super) fn settings(&self) -> Settings {
        Settings {
            max_stall: self.stall.max,
            total_stall: self.stall.total,
            lock_patience: self.stall.patience,
            lease_patience: self.stall.runner_patience,
            throttle: Throttle {
                load: self.throttle.load,
                batch: self.throttle.batch,
                max_lag_bytes: self.throttle.max_lag,
                slo_query: self.throttle.slo_query.clone(),
                slo_max: self.throttle.slo_max,
            },
            disk: Disk {
                free: self.disk.free,
                query: self.disk.free_query.clone(),
                command: self.disk.free_command.clone(),
                spaces: self.disk.tablespaces.clone(),
                reserve: self.disk.reserve,
            },
            role: self.database.role.clone(),
            search_path: self.database.search_path.clone(),
            ..Settings::default()
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("url_env", &self.url_env)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

impl Default for File {
    fn default() -> Self {
        Self {
            migrations: "migrations".into(),
            database: Database::default(),
            stall: Stall::default(),
            throttle: ThrottleSection::default(),
            disk: DiskSection::default(),
            policy: Policy::default(),
        }
    }
}

impl Default for Database {
    fn default() -> Self {
        Self { url_env: DATABASE_URL.to_owned(), url: None, role: None, search_path: None }
    }
}

impl Default for Stall {
    fn default() -> Self {
        let Settings { max_stall, total_stall, lock_patience, lease_patience, .. } = Settings::default();
        Self { max: max_stall, total: total_stall, patience: lock_patience, runner_patience: lease_patience }
    }
}

impl Default for ThrottleSection {
    fn default() -> Self {
        let Throttle { load, batch, max_lag_bytes, slo_query, slo_max } = Throttle::default();
        Self { load, batch, max_lag: max_lag_bytes, slo_query, slo_max }
    }
}

impl Default for DiskSection {
    fn default() -> Self {
        let Disk { free, query, command, spaces, reserve } = Disk::default();
        Self { free, free_query: query, free_command: command, tablespaces: spaces, reserve }
    }
}

#[cfg(test)]
mod tests {
    use super::super::DEFAULT_FILE;
    use super::*;

    #[test]
    fn the_file_that_init_writes_shows_the_defaults() {
        assert_eq!(File::parse(DEFAULT_FILE).unwrap(), File::default());
        // "#key" is a default commented out, "# text" is prose.
        let uncommented: String = DEFAULT_FILE
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(setting) if !setting.starts_with(' ') => format!("{setting}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        assert_ne!(uncommented, DEFAULT_FILE);
        assert_eq!(File::parse(&uncommented).unwrap(), File::default());
        // Each default is written out: none is missing from the file.
        let written: toml::Table = toml::from_str(&uncommented).unwrap();
        let keys = |section: &str| written[section].as_table().unwrap().len();
        let keys = ["stall", "throttle", "disk", "policy"].map(keys);
        assert_eq!(keys, [4, 4, 1, 2]);
    }

    #[test]
    fn mistakes_have_a_position_and_never_show_the_line() {
        let mistake = |text: &str| File::parse(text).unwrap_err().to_string();
        let unknown = mistake("[stall]\nmaks = \"1s\"\n");
        assert!(unknown.starts_with("2:1: ") && unknown.contains("maks"), "{unknown}");
        let bad = mistake("[stall]\nmax = \"soon\"\n");
        assert!(bad.starts_with("2:7: ") && bad.contains("250ms"), "{bad}");
        let secret = mistake("[database]\nurl = \"postgres://u:geheim@h/db\" x\n");
        assert!(!secret.contains("geheim"), "{secret}");
        let policy = mistake("[policy]\nstrides = 3\n");
        assert!(policy.starts_with("2:1: "), "{policy}");
        let stride = mistake("[policy]\nstride = 12\n");
        assert!(stride.starts_with("2:10: ") && stride.contains("power of two"), "{stride}");
    }

    #[test]
    fn free_space_is_given_or_not_looked_at() {
        let free = |text: &str| {
            File::parse(&format!("[disk]\nfree = {text}\n")).map(|file| file.settings().disk.free)
        };
        assert_eq!(free("\"200GB\"").unwrap(), FreeSpace::Given(200 << 30));
        assert_eq!(free("123").unwrap(), FreeSpace::Given(123));
        assert_eq!(free("false").unwrap(), FreeSpace::Unchecked);
        assert!(free("true").is_err() && free("\"much\"").is_err());
        assert!(File::parse("[disk]\nreserve = false\n").is_err());
        let spaces = File::parse("[disk.tablespaces]\n\"Fast Disk\" = \"2GB\"\nslow = 7\n").unwrap();
        let expected = [(Ident::new("Fast Disk"), 2 << 30), (Ident::new("slow"), 7)];
        assert_eq!(spaces.settings().disk.spaces, expected.into());
        assert!(File::parse("[disk.tablespaces]\nfast = \"much\"\n").is_err());
    }

    #[test]
    fn standbys_can_be_ignored() {
        let file = File::parse("[throttle]\nmax_lag = false\n").unwrap();
        assert_eq!(file.settings().throttle.max_lag_bytes, None);
        assert!(File::parse("[throttle]\nmax_lag = true\n").is_err());
    }
}
