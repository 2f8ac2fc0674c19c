//! Finds PostgreSQL installations: directories with `postgres` and `initdb`.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, ensure};

use crate::cache;

/// A PostgreSQL installation that can start servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// The directory that holds `postgres` and `initdb`.
    pub bin: PathBuf,
    /// The major version, such as 17.
    pub major: u32,
    /// The full version, such as `17.10`.
    pub version: String,
}

impl Installation {
    /// `$CONCERTINA_PG_BIN` when it is set, else the newest one installed on this machine, else the newest
    /// one in the cache.
    pub fn find() -> Result<Installation> {
        if let Some(bin) = std::env::var_os("CONCERTINA_PG_BIN") {
            return Installation::at(bin).context("CONCERTINA_PG_BIN");
        }
        newest(system()).or_else(|| newest(cached())).ok_or_else(|| {
            anyhow!("no PostgreSQL server found; `./dev setup` installs one, or set CONCERTINA_PG_BIN")
        })
    }

    /// The installation in this directory (the one that holds `postgres`, or its parent).
    pub fn at(bin: impl AsRef<Path>) -> Result<Installation> {
        let mut bin = bin.as_ref().to_path_buf();
        if !bin.join("postgres").is_file() && bin.join("bin/postgres").is_file() {
            bin.push("bin");
        }
        ensure!(bin.join("initdb").is_file(), "{} has no initdb", bin.display());
        let version = version_of(bin.join("postgres"))?;
        let major = major_of(&version)?;
        Ok(Installation { bin, major, version })
    }

    /// An installation of this major version: `$CONCERTINA_PG_BIN`, this machine, then the cache.
    pub fn major(major: u32) -> Result<Installation> {
        let configured = std::env::var_os("CONCERTINA_PG_BIN").map(PathBuf::from);
        configured
            .into_iter()
            .chain(system())
            .chain(cached())
            .filter_map(|bin| Installation::at(bin).ok())
            .find(|found| found.major == major)
            .ok_or_else(|| {
                anyhow!("PostgreSQL {major} is not installed; `cargo run -p xtask -- install-postgres {major}` fetches it")
            })
    }

    /// Every major version that can be started here, oldest first, one installation each.
    pub fn all() -> Vec<Installation> {
        let mut found: Vec<Installation> = Vec::new();
        for bin in system().into_iter().chain(cached()) {
            if let Ok(installation) = Installation::at(bin)
                && found.iter().all(|known| known.major != installation.major)
            {
                found.push(installation);
            }
        }
        found.sort_by_key(|installation| installation.major);
        found
    }

    /// The path of one of its programs.
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }
}

/// Directories on this machine that hold `postgres`, in the order in which they are preferred for a major.
fn system() -> Vec<PathBuf> {
    let mut dirs = Vec::new();
    // Debian and Ubuntu; Red Hat and SUSE; Homebrew on Apple and Intel; Postgres.app.
    dirs.extend(versioned("/usr/lib/postgresql", "", "bin"));
    dirs.extend(versioned("/usr", "pgsql-", "bin"));
    dirs.extend(versioned("/opt/homebrew/opt", "postgresql@", "bin"));
    dirs.extend(versioned("/usr/local/opt", "postgresql@", "bin"));
    dirs.extend(versioned("/Applications/Postgres.app/Contents/Versions", "", "bin"));
    dirs.push(PathBuf::from("/usr/local/pgsql/bin"));
    if let Some(path) = std::env::var_os("PATH") {
        dirs.extend(std::env::split_paths(&path));
    }
    dirs.retain(|dir| dir.join("postgres").is_file() && dir.join("initdb").is_file());
    dirs
}

fn cached() -> Vec<PathBuf> {
    let mut dirs = versioned(cache::postgres(), "", "bin");
    dirs.retain(|dir| dir.join("postgres").is_file());
    dirs
}

fn newest(dirs: Vec<PathBuf>) -> Option<Installation> {
    let found = dirs.into_iter().filter_map(|dir| Installation::at(dir).ok());
    // `max_by_key` keeps the last of equals; the first is the preferred one.
    found.fold(None, |best: Option<Installation>, next| match best {
        Some(best) if best.major >= next.major => Some(best),
        _ => Some(next),
    })
}

/// `parent/<prefix><number>/<child>` for every number that exists, newest first.
pub(crate) fn versioned(parent: impl AsRef<Path>, prefix: &str, child: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(parent) else { return Vec::new() };
    let numbered: BTreeSet<(u32, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.strip_prefix(prefix)?.parse().ok()?;
            Some((number, entry.path().join(child)))
        })
        .collect();
    numbered.into_iter().rev().map(|(_, path)| path).collect()
}

/// What a PostgreSQL program says its version is, such as `17.10`. Fails when it cannot run.
pub(crate) fn version_of(program: impl AsRef<OsStr>) -> Result<String> {
    let program = program.as_ref();
    let output = Command::new(program)
        .arg("--version")
        .output()
        .with_context(|| format!("running {}", Path::new(program).display()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let version = said.split_once("(PostgreSQL)").and_then(|(_, rest)| rest.split_whitespace().next());
    version.map(str::to_owned).ok_or_else(|| {
        let complaint = String::from_utf8_lossy(&output.stderr);
        anyhow!("{} --version said {said:?} {complaint:?}", Path::new(program).display())
    })
}

pub(crate) fn major_of(version: &str) -> Result<u32> {
    let digits = version.find(|c: char| !c.is_ascii_digit()).map_or(version, |end| &version[..end]);
    digits.parse().with_context(|| format!("not a PostgreSQL version: {version}"))
}

#[cfg(test)]
mod tests {
    use super::major_of;

    #[test]
    fn majors() {
        assert_eq!(major_of("15.18").ok(), Some(15));
        assert_eq!(major_of("19beta1").ok(), Some(19));
        assert!(major_of("devel").is_err());
    }
}
