//! Who runs the server. PostgreSQL refuses to run as root, so root lends the work to another account.

use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;

use anyhow::{Context, Result, bail};
use tokio::process::Command;

/// The account that owns the data directory and runs the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Account {
    /// The user we are: nothing to switch.
    Ourselves,
    /// We are root: switch to this user.
    Other { uid: u32, gid: u32 },
}

impl Account {
    /// `postgres` when there is such a user, else `nobody`; ourselves when we are not root.
    pub(crate) fn choose() -> Result<Account> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Account::Ourselves);
        }
        let passwd = fs::read_to_string("/etc/passwd").context("reading /etc/passwd")?;
        for name in ["postgres", "nobody"] {
            if let Some((uid, gid)) = lookup(&passwd, name) {
                return Ok(Account::Other { uid, gid });
            }
        }
        bail!("PostgreSQL does not run as root, and there is neither a user `postgres` nor `nobody`")
    }

    /// A command that runs as this account, in a directory it can read.
    pub(crate) fn command(self, program: &Path) -> Command {
        let mut command = Command::new(program);
        if let Account::Other { uid, gid } = self {
            command.uid(uid).gid(gid).env("HOME", "/");
        }
        command.current_dir("/").env("LC_ALL", "C");
        for name in ["PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGDATA", "PGOPTIONS", "PGSERVICE"] {
            command.env_remove(name);
        }
        command
    }

    /// Makes this account the owner of a path.
    pub(crate) fn own(self, path: &Path) -> Result<()> {
        if let Account::Other { uid, gid } = self {
            chown(path, Some(uid), Some(gid))
                .with_context(|| format!("giving {} to uid {uid}", path.display()))?;
        }
        Ok(())
    }

    /// Tells accounts apart in the names of cached directories.
    pub(crate) fn uid(self) -> u32 {
        match self {
            Account::Ourselves => rustix::process::geteuid().as_raw(),
            Account::Other { uid, .. } => uid,
        }
    }
}

fn lookup(passwd: &str, name: &str) -> Option<(u32, u32)> {
    let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::lookup;

    #[test]
    fn reads_uid_and_gid_of_the_exact_name() {
        let passwd = "root:x:0:0::/root:/bin/sh\npostgres2:x:7:8::/:/bin/sh\npostgres:x:101:104::/:/bin/sh\n";
        assert_eq!(lookup(passwd, "postgres"), Some((101, 104)));
        assert_eq!(lookup(passwd, "nobody"), None);
    }
}
