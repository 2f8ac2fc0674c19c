//! A pgbouncer in front of a server, as applications have it.

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tokio::time::sleep;

use crate::Server;
use crate::account::Account;
use crate::server::connection_string;

const START_LIMIT: Duration = Duration::from_secs(30);
const PORT: u16 = 6432;

/// Ends the pooler when our end of the pipe closes, however we end. See the watchdog of servers.
const SCRIPT: &str = r#"
"$1" -q "$2" </dev/null &
read -r word
kill -KILL $!
wait
"#;

/// A running pgbouncer; it ends when this is dropped, or this process ends.
#[derive(Debug)]
pub struct Pooler {
    shell: Child,
    directory: PathBuf,
}

impl Pooler {
    /// Starts one in this pool mode (`session`, `transaction`, `statement`) with at most `pool` server connections a role and database,
    /// for roles without a password.
    ///
    /// `None`, and a line that says so, where pgbouncer is not installed. Where `CONCERTINA_CI` is set that is an error, so that no
    /// test passes there for want of it.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(server: &Server, mode: &str, pool: u32, roles: &[&str]) -> Result<Option<Pooler>> {
        let places = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"];
        let Some(program) = places.into_iter().find(|path| Path::new(path).exists()) else {
            let missing = "pgbouncer is not installed; `./dev setup` installs it";
            ensure!(std::env::var_os("CONCERTINA_CI").is_none(), "{missing}");
            eprintln!("skipped: {missing}");
            return Ok(None);
        };
        let directory = server.directory().join("pooler");
        fs::create_dir_all(&directory).with_context(|| format!("creating {}", directory.display()))?;
        let path = |name: &str| directory.join(name);
        let users: String = roles.iter().map(|role| format!("\"{role}\" \"\"\n")).collect();
        let config = format!(
            "[databases]\n* = host={} port={}\n[pgbouncer]\nlisten_addr =\nlisten_port = {PORT}\nunix_socket_dir = {}\n\
             auth_type = trust\nauth_file = {}\nlogfile = {}\npool_mode = {mode}\ndefault_pool_size = {pool}\n\
             max_client_conn = 100\nignore_startup_parameters = extra_float_digits\n",
            server.directory().display(),
            server.port(),
            directory.display(),
            path("users").display(),
            path("log").display(),
        );
        fs::write(path("users"), users).context("writing the pooler's users")?;
        fs::write(path("config"), config).context("writing the pooler's configuration")?;
        server.account().own(&directory)?;
        let mut command = Command::new("/bin/sh");
        command.args(["-c", SCRIPT, "concertina-lab-pooler", program]).arg(path("config")).current_dir("/");
        if let Account::Other { uid, gid } = server.account() {
            command.uid(uid).gid(gid);
        }
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let pooler = Pooler { shell: command.spawn().context("starting pgbouncer")?, directory };
        let deadline = Instant::now() + START_LIMIT;
        // The socket is there a moment before anybody listens.
        while UnixStream::connect(pooler.directory.join(format!(".s.PGSQL.{PORT}"))).is_err() {
            if Instant::now() > deadline {
                let log = fs::read_to_string(pooler.directory.join("log")).unwrap_or_default();
                bail!("pgbouncer does not listen after {START_LIMIT:?}: {log}");
            }
            sleep(Duration::from_millis(10)).await;
        }
        Ok(Some(pooler))
    }

    /// A connection string through it.
    pub fn url_as(&self, role: &str, database: &str) -> String {
        connection_string(&self.directory.to_string_lossy(), PORT, role, database)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        if let Some(mut stdin) = self.shell.stdin.take() {
            // A shell that somebody killed needs no message.
            let _ = stdin.write_all(b"\n");
        }
        let _ = self.shell.wait();
    }
}
