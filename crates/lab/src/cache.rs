//! Where downloaded PostgreSQL versions and initdb templates are kept between runs.

use std::path::PathBuf;

/// The cache directory: `$CONCERTINA_CACHE`, else `$XDG_CACHE_HOME/concertina`, else `~/.cache/concertina`.
///
/// Root uses `/var/cache/concertina`: the server then runs as another user, who cannot read root's home.
pub fn dir() -> PathBuf {
    if let Some(dir) = variable("CONCERTINA_CACHE") {
        return dir;
    }
    if rustix::process::geteuid().is_root() {
        return PathBuf::from("/var/cache/concertina");
    }
    variable("XDG_CACHE_HOME")
        .or_else(|| variable("HOME").map(|home| home.join(".cache")))
        .unwrap_or_else(std::env::temp_dir)
        .join("concertina")
}

/// Downloaded PostgreSQL versions, one directory a major: `$CONCERTINA_PG_CACHE`, else `postgres` in [`dir`].
pub fn postgres() -> PathBuf {
    variable("CONCERTINA_PG_CACHE").unwrap_or_else(|| dir().join("postgres"))
}

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}
