//! Where and how to connect, and what every session of ours is set to.
//!
//! ```text
//! params   connection string and PG* environment      tls      sslmode as libpq has it, on rustls
//! session  a connection that names itself, with its settings, its cancel handle and its checks
//! ```

mod params;
mod session;
mod tls;

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Connection, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::{Error, said};
use params::Params;
pub use session::{Canceller, Session};
use tls::{Mode, Tls};

/// How long one host may take to accept a connection when the string does not say.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// How long the handshakes after that may take, DNS, TLS and authentication together.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);

/// After this long without any sign of life the network counts as broken, when the string does not say.
const SILENCE: Duration = Duration::from_secs(60);

/// A parsed connection target, TLS included. Its `Debug` and every error leave the password out.
#[derive(Clone)]
pub struct Target {
    config: Config,
    tls: Tls,
}

impl Target {
    /// From a URL or keyword string, or from DATABASE_URL / PG* environment variables when `None`. PG* variables also fill in
    /// what a string leaves open, as in libpq.
    ///
    /// # Errors
    /// [`crate::Error::Connection`] when it cannot be parsed.
    pub fn resolve(url: Option<&str>) -> Result<Self, Error> {
        let home = env::var_os("HOME").map(PathBuf::from);
        Self::resolve_in(url, &|name| env::var(name).ok(), home.as_deref())
            .map_err(|message| Error::Connection { message })
    }

    fn resolve_in(
        url: Option<&str>,
        environment: &dyn Fn(&str) -> Option<String>,
        home: Option<&Path>,
    ) -> Result<Self, String> {
        let (source, text) = match url {
            Some(url) => ("the connection string", url.to_owned()),
            None => ("DATABASE_URL", environment("DATABASE_URL").unwrap_or_default()),
        };
        let mut params = params::parse(&text).map_err(|wrong| format!("{source}: {wrong}"))?;
        params::add_environment(&mut params, environment);
        normalize(&mut params)?;
        let tls = Tls::from_params(&params, home)?;
        let mut config: Config = params::to_keywords(&params).parse().map_err(|error| said(&error))?;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        if !params.keys().any(|key| key.starts_with("keepalives")) {
            config.keepalives_idle(SILENCE / 2).keepalives_interval(SILENCE / 6).keepalives_retries(3);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(SILENCE);
        }
        // TLS does not exist on a Unix socket, and libpq then ignores sslmode.
        #[cfg(unix)]
        let local = config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)));
        #[cfg(not(unix))]
        let local = false;
        config.ssl_mode(match tls.mode {
            _ if local => SslMode::Disable,
            Mode::Disable => SslMode::Disable,
            Mode::Prefer => SslMode::Prefer,
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => SslMode::Require,
        });
        Ok(Self { config, tls })
    }

    /// Opens a bare connection.
    async fn open(&self, application_name: &str) -> Result<Opened, Error> {
        let mut config = self.config.clone();
        config.application_name(application_name);
        match self.attempt(&config).await {
            // libpq goes on without TLS under `prefer`, both when the handshake fails and when pg_hba.conf refuses TLS.
            Err(error) if config.get_ssl_mode() == SslMode::Prefer && error.blames_tls() => {
                config.ssl_mode(SslMode::Disable);
                self.attempt(&config).await
            }
            result => result,
        }
        .map_err(|error| Error::Connection { message: format!("{self}: {error}") })
    }

    async fn attempt(&self, config: &Config) -> Result<Opened, Failed> {
        let hosts = u32::try_from(config.get_hosts().len()).unwrap_or(u32::MAX);
        let limit = config.get_connect_timeout().copied().unwrap_or(CONNECT_TIMEOUT).saturating_mul(hosts);
        let connect = config.connect(self.tls.connector.clone());
        match tokio::time::timeout(limit + HANDSHAKE_TIMEOUT, connect).await {
            Ok(result) => result.map_err(Failed::Said),
            Err(_) => Err(Failed::Silent),
        }
    }
}

/// Why there is no connection.
enum Failed {
    Said(tokio_postgres::Error),
    /// Somebody took the connection and then said nothing.
    Silent,
}

impl Failed {
    /// The handshake failed, or the server has no pg_hba.conf line for connections with TLS.
    fn blames_tls(&self) -> bool {
        match self {
            Self::Silent => false,
            Self::Said(error) => match error.code() {
                Some(code) => code.code() == "28000",
                None => error.to_string().contains("TLS"),
            },
        }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Said(error) = self else { return f.write_str("no answer from the server") };
        let text = said(error);
        f.write_str(&text)?;
        if let Some(code) = error.code() {
            write!(f, " ({})", code.code())?;
        }
        if text.contains("NotValidForName") {
            f.write_str(
                "\n  the certificate's subject alternative names do not include the host (a bare CN does not count)",
            )?;
        }
        Ok(())
    }
}

type Opened = (Client, Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>);

/// Where it leads, without user's secrets: `postgresql://app@db1:5432,db2:5432/shop`.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "postgresql://")?;
        if let Some(user) = self.config.get_user() {
            write!(f, "{user}@")?;
        }
        let ports = self.config.get_ports();
        for (at, host) in self.config.get_hosts().iter().enumerate() {
            let port = ports.get(at).or(ports.first()).copied().unwrap_or(5432);
            let comma = if at == 0 { "" } else { "," };
            match host {
                Host::Tcp(host) => write!(f, "{comma}{host}:{port}")?,
                #[cfg(unix)]
                Host::Unix(path) => write!(f, "{comma}{}:{port}", path.display())?,
            }
        }
        write!(f, "/{}", self.config.get_dbname().unwrap_or_default())
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self}, sslmode {:?})", self.tls.mode)
    }
}

/// What libpq does with its parameters before it connects.
fn normalize(params: &mut Params) -> Result<(), String> {
    params.retain(|_, value| !value.is_empty());
    if !params.contains_key("host") {
        let host = match params.get("hostaddr") {
            // The driver wants a name for TLS; an address is one, and certificates may carry it.
            Some(address) => address.clone(),
            None => default_host(params.get("port").map_or("5432", String::as_str)),
        };
        params.insert("host".to_owned(), host);
    }
    match params.get_mut("target_session_attrs").map(|value| (value.clone(), value)) {
        Some((wanted, value)) if wanted == "primary" => "read-write".clone_into(value),
        Some((wanted, _)) if matches!(wanted.as_str(), "standby" | "prefer-standby" | "read-only") => {
            return Err(format!(
                "target_session_attrs={wanted} leads to a standby; migrations run on the primary (read-write)"
            ));
        }
        _ => {}
    }
    Ok(())
}

/// Where distributions put the Unix socket, the first that is there; else localhost, as libpq without sockets.
fn default_host(port: &str) -> String {
    let socket = |directory: &&str| Path::new(directory).join(format!(".s.PGSQL.{port}")).exists();
    ["/var/run/postgresql", "/tmp"].iter().find(|d| socket(d)).map_or("localhost", |d| d).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(url: Option<&str>, environment: &[(&str, &str)]) -> Result<Target, String> {
        let lookup = |name: &str| {
            environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        Target::resolve_in(url, &lookup, None)
    }

    #[test]
    fn the_string_wins_over_database_url_over_pg_variables() {
        let environment =
            [("DATABASE_URL", "postgresql://env@envhost/envdb"), ("PGPASSWORD", "pw"), ("PGPORT", "7")];
        let target = resolve(None, &environment).expect("resolves");
        assert_eq!(target.to_string(), "postgresql://env@envhost:7/envdb");
        assert_eq!(target.config.get_password(), Some(b"pw".as_slice()));
        let target = resolve(Some("host=h dbname=d user=u"), &environment).expect("resolves");
        assert_eq!(target.to_string(), "postgresql://u@h:7/d");
        let target =
            resolve(None, &[("PGHOST", "a,b"), ("PGPORT", "1,2"), ("PGDATABASE", "d"), ("PGUSER", "u")]);
        assert_eq!(target.expect("resolves").to_string(), "postgresql://u@a:1,b:2/d");
    }

    #[test]
    fn the_password_is_never_shown() {
        let target = resolve(Some("postgresql://me:hunter2@h/db"), &[]).expect("resolves");
        assert!(!format!("{target:?} {target}").contains("hunter2"));
        let error = resolve(Some("postgresql://me:hunter2@h/db?sslmode=nonsense"), &[]).expect_err("refused");
        assert!(error.contains("sslmode") && !error.contains("hunter2"), "{error}");
        let error = resolve(Some("postgresql://me:hunter2@h:port/db"), &[]).expect_err("refused");
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn sslmode_is_libpqs() {
        for (url, expected) in [
            ("host=h", SslMode::Prefer),
            ("host=h sslmode=allow", SslMode::Prefer),
            ("host=h sslmode=disable", SslMode::Disable),
            ("host=h sslmode=require", SslMode::Require),
            // TLS does not exist on a Unix socket.
            ("host=/run/pg sslmode=require", SslMode::Disable),
        ] {
            assert_eq!(resolve(Some(url), &[]).expect(url).config.get_ssl_mode(), expected, "{url}");
        }
        assert!(resolve(Some("host=h sslmode=verify-full sslrootcert=/no/such/file"), &[]).is_err());
        assert!(resolve(Some("host=h sslmode=require sslrootcert=system"), &[]).is_err());
        assert!(resolve(Some("host=h target_session_attrs=standby"), &[]).is_err());
    }
}
