//! Stops a server when its owner is gone, even by SIGKILL.
//!
//! `Drop` does not run in a killed process, and a parent-death signal follows the *thread* that started the
//! child. A pipe does neither: the kernel closes our end however we end. The watchdog is started before the
//! server, so there is no instant at which a server runs unwatched.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use crate::account::Account;

/// Waits for the end of standard input. The second round catches a server that had not yet written its pid.
const SCRIPT: &str = r#"
read -r word
[ "$word" = done ] && exit 0
for round in 1 2; do
  if read -r pid < "$1/data/postmaster.pid"; then
    kill -QUIT "$pid"
    for tenth in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do
      kill -0 "$pid" || break
      sleep 0.1
    done
    kill -KILL "$pid"
  fi
  rm -rf "$1"
  [ $round = 1 ] && sleep 1
done
"#;

/// A shell that waits for us to end.
#[derive(Debug)]
pub(crate) struct Watchdog {
    shell: Child,
}

impl Watchdog {
    /// Watches over the server in this directory (its data is in `data` below it).
    pub(crate) fn start(account: Account, directory: &Path) -> Result<Watchdog> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", SCRIPT, "concertina-lab-watchdog"]).arg(directory).current_dir("/");
        if let Account::Other { uid, gid } = account {
            command.uid(uid).gid(gid);
        }
        // Its own process group: Ctrl-C in a terminal is for us, and the server is to be stopped in order.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Watchdog { shell: command.spawn().context("starting the watchdog")? })
    }

    /// The server is stopped and nothing is left to do.
    pub(crate) fn dismiss(&mut self) {
        if let Some(mut stdin) = self.shell.stdin.take() {
            // A watchdog that somebody killed needs no message.
            let _ = stdin.write_all(b"done\n");
        }
        let _ = self.shell.wait();
    }
}
