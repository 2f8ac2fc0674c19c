//! Finds client programs (`pg_dump`, `psql`, `pg_basebackup`, `pgbench`) that fit a server.
//!
//! They are looked up apart from the server: a downloaded server carries none, and `pg_dump` must be at least
//! as new as the server that it reads.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};

use crate::Installation;
use crate::binaries::{major_of, version_of, versioned};
use crate::cache;

/// A directory with client programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tools {
    /// The directory that holds `pg_dump` and `psql`.
    pub bin: PathBuf,
    /// The major version of these programs.
    pub major: u32,
}

impl Tools {
    /// Programs for this server: of its own major where there are any, else the oldest that is newer.
    pub fn for_server(server: &Installation) -> Result<Tools> {
        // Those beside a server are of its version, and need not be started to be asked: tests dump a thousand times.
        if has_both(&server.bin) {
            return Ok(Tools { bin: server.bin.clone(), major: server.major });
        }
        candidates()
            .into_iter()
            .filter_map(Tools::at)
            .filter(|tools| tools.major >= server.major)
            .min_by_key(|tools| tools.major)
            .ok_or_else(|| {
                anyhow!(
                    "no pg_dump of version {} or newer found; `cargo run -p xtask -- install-postgres` fetches one",
                    server.major
                )
            })
    }

    /// The path of one program.
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    fn at(bin: PathBuf) -> Option<Tools> {
        if !has_both(&bin) {
            return None;
        }
        let major = major_of(&version_of(bin.join("pg_dump")).ok()?).ok()?;
        Some(Tools { bin, major })
    }
}

fn has_both(bin: &Path) -> bool {
    bin.join("pg_dump").is_file() && bin.join("psql").is_file()
}

fn candidates() -> Vec<PathBuf> {
    let mut dirs = versioned("/usr/lib/postgresql", "", "bin");
    dirs.extend(versioned("/usr", "pgsql-", "bin"));
    for homebrew in ["/opt/homebrew/opt", "/usr/local/opt"] {
        dirs.extend(versioned(homebrew, "postgresql@", "bin"));
        dirs.push(Path::new(homebrew).join("libpq/bin"));
    }
    dirs.push(PathBuf::from("/usr/local/pgsql/bin"));
    if let Some(path) = std::env::var_os("PATH") {
        // Debian's wrappers in /usr/bin choose a version by themselves; the real ones are listed above.
        dirs.extend(std::env::split_paths(&path).filter(|dir| dir != Path::new("/usr/bin")));
        dirs.push(PathBuf::from("/usr/bin"));
    }
    dirs.push(cache::postgres().join("client/bin"));
    dirs
}
