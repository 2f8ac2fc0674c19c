//! A throw-away PostgreSQL server: started from binaries, reached by a Unix socket, stopped when dropped.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::account::Account;
use crate::database::quote_literal;
use crate::watchdog::Watchdog;
use crate::{Installation, template};

const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(5);
/// The longest socket path that every system accepts, less the name PostgreSQL appends.
const LONGEST_DIRECTORY: usize = 80;

/// How a server is to be started.
#[derive(Debug, Clone, Default)]
pub struct Options {
    settings: Vec<(String, String)>,
    durable: bool,
    tcp: bool,
    parent: Option<PathBuf>,
}

impl Options {
    /// Unix socket only, not durable, PostgreSQL's own settings.
    pub fn new() -> Options {
        Options::default()
    }

    /// A line of `postgresql.conf`; a later one wins over an earlier one.
    pub fn set(mut self, name: impl Into<String>, value: impl Into<String>) -> Options {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// Keeps `fsync` on: for tests in which the server itself is killed, and for benchmarks.
    pub fn durable(mut self) -> Options {
        self.durable = true;
        self
    }

    /// Listens on 127.0.0.1 as well, on a free port.
    pub fn tcp(mut self) -> Options {
        self.tcp = true;
        self
    }

    /// Where the server's directory is created, for a test that needs a small or a slow disk.
    pub fn directory(mut self, parent: impl Into<PathBuf>) -> Options {
        self.parent = Some(parent.into());
        self
    }
}

/// A running PostgreSQL server with superuser `postgres` and no password. Dropping it stops it, at once, and
/// removes its directory.
#[derive(Debug)]
pub struct Server {
    installation: Installation,
    account: Account,
    port: u16,
    tcp: bool,
    postmaster: Option<Child>,
    watchdog: Watchdog,
    directory: TempDir,
}

impl Server {
    /// Starts a fresh, empty server and waits until it takes connections.
    pub async fn start(installation: &Installation, options: Options) -> Result<Server> {
        let mut server = Server::prepare(installation, &options)?;
        template::copy_to(installation, server.account, &server.data()).await?;
        server.configure(&options)?;
        server.launch().await?;
        Ok(server)
    }

    /// A server with the newest PostgreSQL found and default options.
    pub async fn start_default() -> Result<Server> {
        Server::start(&Installation::find()?, Options::new()).await
    }

    /// A server with a directory and a watchdog, but without data.
    pub(crate) fn prepare(installation: &Installation, options: &Options) -> Result<Server> {
        let account = Account::choose()?;
        let parent = options.parent.clone().unwrap_or_else(|| short_temporary_directory(account));
        let directory = tempfile::Builder::new()
            .prefix("ccl-")
            .tempdir_in(&parent)
            .with_context(|| format!("creating a directory in {}", parent.display()))?;
        ensure!(
            directory.path().as_os_str().len() <= LONGEST_DIRECTORY,
            "{} is too long for a Unix socket",
            directory.path().display()
        );
        account.own(directory.path())?;
        Ok(Server {
            installation: installation.clone(),
            account,
            port: if options.tcp { free_port()? } else { 5432 },
            tcp: options.tcp,
            postmaster: None,
            watchdog: Watchdog::start(account, directory.path())?,
            directory,
        })
    }

    /// Appends our settings to `postgresql.conf`, where `ALTER SYSTEM` may still override them.
    pub(crate) fn configure(&self, options: &Options) -> Result<()> {
        let directory = self.directory.path().to_string_lossy().into_owned();
        let mut lines = vec![
            ("listen_addresses", if self.tcp { "127.0.0.1".to_owned() } else { String::new() }),
            ("port", self.port.to_string()),
            ("unix_socket_directories", directory),
            ("timezone", "UTC".to_owned()),
            ("log_timezone", "UTC".to_owned()),
            ("log_line_prefix", "%m [%p] %q%a ".to_owned()),
        ];
        if !options.durable {
            lines.extend([("fsync", "off".to_owned()), ("full_page_writes", "off".to_owned())]);
            // Compiling a query over the catalog takes longer than running it, and tests run thousands.
            lines.push(("jit", "off".to_owned()));
        }
        lines.extend(options.settings.iter().map(|(name, value)| (name.as_str(), value.clone())));

        let path = self.data().join("postgresql.conf");
        let mut file = OpenOptions::new().append(true).open(&path);
        for (name, value) in lines {
            let line = format!("{name} = {}\n", quote_literal(&value.replace('\\', "\\\\")));
            file = file.and_then(|mut file| file.write_all(line.as_bytes()).map(|()| file));
        }
        file.map(drop).with_context(|| format!("writing {}", path.display()))
    }

    /// Starts the server process and waits until it takes connections.
    pub(crate) async fn launch(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        while let Err(ended) = self.try_launch(deadline).await {
            // Backends of a killed server may live for a moment and keep its shared memory.
            let passing = ended.to_string().contains("pre-existing shared memory block");
            if !passing || Instant::now() > deadline {
                return Err(ended);
            }
            sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    async fn try_launch(&mut self, deadline: Instant) -> Result<()> {
        // Kept in `self` from the first instant: whoever drops this future still stops the server.
        let postmaster = self.postmaster.insert(self.spawn()?);
        let pid = postmaster.id();
        loop {
            if let Some(status) = self.ended()? {
                self.postmaster = None;
                bail!("the server ended with {status}: {}", self.log_tail());
            }
            if self.is_ready(pid) {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "no server after {START_LIMIT:?}: {}", self.log_tail());
            sleep(POLL).await;
        }
    }

    fn ended(&mut self) -> Result<Option<ExitStatus>> {
        match &mut self.postmaster {
            Some(postmaster) => postmaster.try_wait().context("waiting for the server"),
            None => Ok(None),
        }
    }

    fn spawn(&self) -> Result<Child> {
        let log = self.log();
        let output = File::options().create(true).append(true).open(&log);
        let output = output.with_context(|| format!("opening {}", log.display()))?;
        let errors = output.try_clone().context("sharing the log")?;
        let program = self.installation.program("postgres");
        let mut command = Command::new(&program);
        command.arg("-D").arg(self.data()).current_dir("/").env("LC_ALL", "C").env_remove("PGDATA");
        if let Account::Other { uid, gid } = self.account {
            command.uid(uid).gid(gid);
        }
        command.process_group(0).stdin(Stdio::null()).stdout(output).stderr(errors);
        command.spawn().with_context(|| format!("starting {}", program.display()))
    }

    /// PostgreSQL writes its state into the eighth line of `postmaster.pid`.
    fn is_ready(&self, pid: u32) -> bool {
        let Ok(file) = fs::read_to_string(self.data().join("postmaster.pid")) else { return false };
        let mut lines = file.lines();
        lines.next() == Some(pid.to_string().as_str()) && lines.nth(6).is_some_and(|s| s.trim() == "ready")
    }

    /// Stops the server in order (as `pg_ctl stop -m fast`); it can be started again.
    pub async fn stop(&mut self) -> Result<()> {
        self.end(Signal::INT).await
    }

    /// Kills the postmaster with SIGKILL; its backends end by themselves. It can be started again.
    pub async fn kill(&mut self) -> Result<()> {
        self.end(Signal::KILL).await
    }

    /// Starts the server again: after [`stop`](Server::stop) or [`kill`](Server::kill), or in order when it runs.
    pub async fn restart(&mut self) -> Result<()> {
        self.stop().await?;
        self.launch().await
    }

    /// Reads `postgresql.conf` again.
    pub fn reload(&self) -> Result<()> {
        let postmaster = self.postmaster.as_ref().ok_or_else(|| anyhow!("the server does not run"))?;
        signal(postmaster, Signal::HUP)
    }

    async fn end(&mut self, how: Signal) -> Result<()> {
        let Some(postmaster) = &self.postmaster else { return Ok(()) };
        signal(postmaster, how)?;
        let deadline = Instant::now() + STOP_LIMIT;
        while self.ended()?.is_none() {
            ensure!(Instant::now() < deadline, "still there after {STOP_LIMIT:?}: {}", self.log_tail());
            sleep(POLL).await;
        }
        self.postmaster = None;
        Ok(())
    }

    /// Process id of the postmaster, when it runs.
    pub fn pid(&self) -> Option<u32> {
        self.postmaster.as_ref().map(Child::id)
    }

    /// Where this server's programs are.
    pub fn installation(&self) -> &Installation {
        &self.installation
    }

    /// The server's directory: socket, log and, in `data`, its data directory.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// The server's log file.
    pub fn log(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    /// The port of the Unix socket and, with [`Options::tcp`], of 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A connection string for this database, by the Unix socket.
    pub fn url(&self, database: &str) -> String {
        let host = self.directory.path().to_string_lossy();
        connection_string(&host, self.port, "postgres", database)
    }

    /// A connection string for this database as another role.
    pub fn url_as(&self, role: &str, database: &str) -> String {
        let host = self.directory.path().to_string_lossy();
        connection_string(&host, self.port, role, database)
    }

    /// A connection string for this database by TCP; an error without [`Options::tcp`].
    pub fn tcp_url(&self, database: &str) -> Result<String> {
        ensure!(self.tcp, "this server does not listen on TCP");
        Ok(connection_string("127.0.0.1", self.port, "postgres", database))
    }

    /// The environment that makes `psql` and other clients find this server.
    pub fn env(&self) -> Vec<(&'static str, String)> {
        vec![
            ("PGHOST", self.directory.path().to_string_lossy().into_owned()),
            ("PGPORT", self.port.to_string()),
            ("PGUSER", "postgres".to_owned()),
        ]
    }

    pub(crate) fn account(&self) -> Account {
        self.account
    }

    fn log_tail(&self) -> String {
        let log = fs::read(self.log()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut postmaster) = self.postmaster.take() {
            let _ = signal(&postmaster, Signal::QUIT);
            let deadline = Instant::now() + Duration::from_secs(15);
            while matches!(postmaster.try_wait(), Ok(None)) {
                if Instant::now() > deadline {
                    let _ = postmaster.kill();
                }
                std::thread::sleep(POLL);
            }
        }
        self.watchdog.dismiss();
        // After SIGKILL backends may still write for a moment; `TempDir` itself tries only once.
        for _ in 0..50 {
            match fs::remove_dir_all(self.directory.path()) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                _ => break,
            }
        }
    }
}

fn signal(process: &Child, signal: Signal) -> Result<()> {
    let pid = i32::try_from(process.id()).ok().and_then(Pid::from_raw).context("no process id")?;
    kill_process(pid, signal).context("signalling the server")
}

/// A socket path may have about 100 bytes, and root's server runs as a user who may not see `$TMPDIR`.
fn short_temporary_directory(account: Account) -> PathBuf {
    let usual = std::env::temp_dir();
    let reachable = match account {
        Account::Ourselves => true,
        Account::Other { .. } => {
            usual.metadata().is_ok_and(|found| found.permissions().mode() & 0o1007 == 0o1007)
        }
    };
    if reachable && usual.as_os_str().len() + 16 <= LONGEST_DIRECTORY { usual } else { PathBuf::from("/tmp") }
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("looking for a free port")?;
    Ok(listener.local_addr().context("looking for a free port")?.port())
}

pub(crate) fn connection_string(host: &str, port: u16, user: &str, database: &str) -> String {
    let (host, user, database) = (quote_value(host), quote_value(user), quote_value(database));
    format!("host={host} port={port} user={user} dbname={database}")
}

fn quote_value(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/_-.".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
mod tests {
    use super::connection_string;

    #[test]
    fn odd_names_are_quoted() {
        assert_eq!(
            connection_string("/tmp/x", 5432, "postgres", "it's a \\"),
            "host=/tmp/x port=5432 user=postgres dbname='it\\'s a \\\\'"
        );
    }
}
