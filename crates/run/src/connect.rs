//! Where and how to connect, and what every session of ours is set to.
//!
//! ```text
//! params, service, parameters   connection string, service file, PG* environment; what of it we take
//! place, passfile               the hosts to try, with their passwords       tls    sslmode as libpq has it, on rustls
//! open, dial, guard             goes through them; sockets; require_auth
//! session                       a connection that names itself, with its settings, its cancel handle and its checks
//! ```

mod dial;
mod guard;
mod open;
mod parameters;
mod params;
mod passfile;
mod place;
mod service;
mod session;
mod tls;
mod tls_key;

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{ChannelBinding, SslNegotiation};

use crate::error::Error;
pub use open::Canceller;
use params::Params;
use place::Place;
pub use session::Session;
use tls::{Mode, Tls};

/// A parsed connection target, TLS included. Its `Debug` and every error leave the password out.
#[derive(Clone)]
pub struct Target {
    /// User, database, options: what is the same on every host.
    config: Config,
    places: Vec<Place>,
    tls: Tls,
    options: dial::Options,
    allowed: guard::Allowed,
    wanted: Wanted,
    /// `load_balance_hosts=random`
    shuffle: bool,
    /// `connect_timeout`, where it was given; inside, `None` is no limit.
    timeout: Option<Option<Duration>>,
    /// `application_name`: ours names the purpose, and carries this in brackets.
    application: Option<String>,
    notes: Vec<String>,
}

/// `target_session_attrs`, as far as it can lead to a server that migrations run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Any,
    ReadWrite,
    Primary,
}

/// What libpq looks at outside of the connection string.
struct Surroundings<'a> {
    variables: &'a dyn Fn(&str) -> Option<String>,
    home: Option<&'a Path>,
    /// Name of the operating system's user.
    user: Option<String>,
}

impl<'a> Surroundings<'a> {
    fn new(
        variables: &'a dyn Fn(&str) -> Option<String>,
        home: Option<&'a Path>,
        user: Option<String>,
    ) -> Self {
        Self { variables, home, user }
    }

    /// A variable that is set, and not to nothing.
    fn variable(&self, name: &str) -> Option<String> {
        (self.variables)(name).filter(|value| !value.is_empty())
    }
}

impl Target {
    /// From a URL, a keyword string or a database's name, or from DATABASE_URL when `None`. What it leaves open is filled in from the
    /// service that it names, then from PG* variables, then from libpq's defaults.
    ///
    /// # Errors
    /// [`crate::Error::Connection`] when it cannot be parsed, or asks for what we cannot do.
    pub fn resolve(url: Option<&str>) -> Result<Self, Error> {
        let home = env::var_os("HOME").map(PathBuf::from);
        let variables = |name: &str| env::var(name).ok();
        Self::resolve_in(url, &Surroundings::new(&variables, home.as_deref(), whoami::username().ok()))
            .map_err(|message| Error::Connection { message })
    }

    fn resolve_in(url: Option<&str>, around: &Surroundings<'_>) -> Result<Self, String> {
        let (source, text) = match url {
            Some(url) => ("the connection string", url.to_owned()),
            None => ("DATABASE_URL", around.variable("DATABASE_URL").unwrap_or_default()),
        };
        let mut params = params::parse(&text).map_err(|wrong| format!("{source}: {wrong}"))?;
        // In libpq too an empty value is none.
        params.retain(|_, value| !value.is_empty());
        service::add(&mut params, around)?;
        params.retain(|_, value| !value.is_empty());
        params::add_environment(&mut params, around);
        let mut notes = parameters::check(&params)?;

        let user = params.get("user").cloned().or_else(|| around.user.clone());
        let user = user.ok_or("nobody says which user: give one with PGUSER or in the connection string")?;
        let dbname = params.get("dbname").cloned().unwrap_or_else(|| user.clone());
        let mut places = place::list(&params)?;
        notes.extend(place::add_passwords(&mut places, &params, around.home, (&user, &dbname)));
        let tls = Tls::from_params(&params, around.home, places.iter().all(Place::is_local))?;
        let mut config = Config::new();
        config.user(user).dbname(dbname);
        if let Some(options) = params.get("options") {
            config.options(options);
        }
        config.channel_binding(one_of(
            &params,
            "channel_binding",
            ChannelBinding::Prefer,
            &[
                ("disable", ChannelBinding::Disable),
                ("prefer", ChannelBinding::Prefer),
                ("require", ChannelBinding::Require),
            ],
        )?);
        let negotiation = one_of(
            &params,
            "sslnegotiation",
            SslNegotiation::Postgres,
            &[("postgres", SslNegotiation::Postgres), ("direct", SslNegotiation::Direct)],
        )?;
        if negotiation == SslNegotiation::Direct && tls.mode < Mode::Require {
            return Err("sslnegotiation=direct needs sslmode=require, verify-ca or verify-full".to_owned());
        }
        config.ssl_negotiation(negotiation);
        let allowed = match params.get("require_auth") {
            Some(methods) => guard::allowed(methods)?,
            None => None,
        };
        Ok(Self {
            config,
            places,
            tls,
            options: dial::Options::from_params(&params)?,
            allowed,
            wanted: wanted(&params)?,
            shuffle: one_of(&params, "load_balance_hosts", false, &[("disable", false), ("random", true)])?,
            timeout: timeout(&params)?,
            application: params.get("application_name").cloned(),
            notes,
        })
    }
}

/// Where it leads, without user's secrets: `postgresql://app@db1:5432,db2:5432/shop`.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "postgresql://{}@", self.config.get_user().unwrap_or_default())?;
        for (at, place) in self.places.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{place}")?;
        }
        write!(f, "/{}", self.config.get_dbname().unwrap_or_default())
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self}, sslmode {:?})", self.tls.mode)
    }
}

fn one_of<T: Copy>(params: &Params, key: &str, default: T, values: &[(&str, T)]) -> Result<T, String> {
    let Some(value) = params.get(key) else { return Ok(default) };
    values.iter().find(|(name, _)| name == value).map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<&str> = values.iter().map(|(name, _)| *name).collect();
        format!("{key} is one of {}", names.join(", "))
    })
}

fn wanted(params: &Params) -> Result<Wanted, String> {
    match params.get("target_session_attrs").map(String::as_str) {
        None | Some("any") => Ok(Wanted::Any),
        Some("read-write") => Ok(Wanted::ReadWrite),
        Some("primary") => Ok(Wanted::Primary),
        Some(standby @ ("standby" | "prefer-standby" | "read-only")) => Err(format!(
            "target_session_attrs={standby} leads to a standby; migrations run on the primary (read-write)"
        )),
        Some(_) => Err("target_session_attrs is one of any, read-write, primary".to_owned()),
    }
}

/// In seconds, for each address; zero or less is no limit. Below two seconds libpq waits for two.
fn timeout(params: &Params) -> Result<Option<Option<Duration>>, String> {
    let Some(text) = params.get("connect_timeout") else { return Ok(None) };
    let seconds: i64 = text.trim().parse().map_err(|_| "connect_timeout is not a whole number".to_owned())?;
    Ok(Some(
        u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(|s| Duration::from_secs(s.max(2))),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(url: Option<&str>, environment: &[(&str, &str)]) -> Result<Target, String> {
        let lookup = |name: &str| {
            environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        Target::resolve_in(url, &Surroundings::new(&lookup, None, Some("me".to_owned())))
    }

    #[test]
    fn the_string_wins_over_database_url_over_pg_variables() {
        let environment =
            [("DATABASE_URL", "postgresql://env@envhost/envdb"), ("PGPASSWORD", "pw"), ("PGPORT", "7")];
        let target = resolve(None, &environment).expect("resolves");
        assert_eq!(target.to_string(), "postgresql://env@envhost:7/envdb");
        assert_eq!(target.places[0].password.as_deref(), Some("pw"));
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
            ("host=h", Mode::Prefer),
            ("host=h sslmode=allow", Mode::Allow),
            ("host=h sslmode=disable", Mode::Disable),
            ("host=h sslmode=require", Mode::Require),
            ("host=h sslrootcert=system", Mode::VerifyFull),
            // TLS does not exist on a Unix socket.
            ("host=/run/pg sslmode=verify-full", Mode::Disable),
        ] {
            assert_eq!(resolve(Some(url), &[]).expect(url).tls.mode, expected, "{url}");
        }
        for (url, named) in [
            ("host=h sslmode=verify-full sslrootcert=/no/such/file", "/no/such/file"),
            // Without roots there is nothing to verify with, and the system's are not asked without being named.
            ("host=h sslmode=verify-full", "sslrootcert=system"),
            ("host=h sslmode=require sslrootcert=system", "verify-full"),
            ("host=h sslnegotiation=direct", "sslmode=require"),
            (
                "host=h ssl_min_protocol_version=TLSv1.3 ssl_max_protocol_version=TLSv1.2",
                "ssl_min_protocol_version",
            ),
            ("host=h sslcert=/some/file", "sslkey"),
        ] {
            let error = resolve(Some(url), &[]).expect_err(url);
            assert!(error.contains(named), "{url}: {error}");
        }
    }

    #[test]
    fn what_is_not_taken_is_named_with_its_reason() {
        for (text, named) in [
            ("sslcrl=/f", "sslcrl (PGSSLCRL) is not supported: revocation"),
            ("sslpassword=hunter2", "sslpassword is not supported: encrypted"),
            ("requirepeer=postgres", "requirepeer (PGREQUIREPEER)"),
            ("gssencmode=require", "gssencmode"),
            ("replication=database", "replication"),
            ("client_encoding=latin1", "client_encoding"),
            ("min_protocol_version=3.2", "min_protocol_version"),
            ("scram_client_key=hunter2", "scram_client_key"),
            ("target_session_attrs=standby", "standby"),
            ("target_session_attrs=best", "target_session_attrs"),
            ("connect_timeout=soon", "connect_timeout"),
            ("load_balance_hosts=yes", "load_balance_hosts"),
            ("channel_binding=maybe", "channel_binding"),
            ("require_auth=trust", "require_auth"),
        ] {
            let error = resolve(Some(text), &[]).expect_err(text);
            assert!(error.contains(named) && !error.contains("hunter2"), "{text}: {error}");
        }
        let error = resolve(None, &[("PGSSLCRLDIR", "/d")]).expect_err("refused");
        assert!(error.contains("PGSSLCRLDIR"), "{error}");
        let target = resolve(None, &[("PGKRBSRVNAME", "pg"), ("PGGSSENCMODE", "prefer")]).expect("resolves");
        assert!(target.notes.iter().any(|note| note.contains("PGKRBSRVNAME")), "{:?}", target.notes);
    }

    #[test]
    fn defaults_are_libpqs() {
        let target = resolve(Some("host=h"), &[]).expect("resolves");
        assert_eq!(target.to_string(), "postgresql://me@h:5432/me");
        assert_eq!(target.timeout, None);
        let target = resolve(Some("host=h user=you connect_timeout=1"), &[]).expect("resolves");
        assert_eq!(target.to_string(), "postgresql://you@h:5432/you");
        assert_eq!(target.timeout, Some(Some(Duration::from_secs(2))));
        assert_eq!(resolve(Some("connect_timeout=0"), &[]).expect("resolves").timeout, Some(None));
        let target = resolve(Some("host=h"), &[("PGHOSTADDR", "10.0.0.1")]).expect("resolves");
        assert_eq!(target.to_string(), "postgresql://me@h (10.0.0.1):5432/me");
    }

    #[test]
    fn a_service_fills_in_before_the_environment() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("services.conf");
        std::fs::write(&file, "[shop]\nhost=inside\nport=7\nuser=service\npassword=hunter2\n")
            .expect("writes");
        let file = file.display().to_string();
        let environment = [("PGSERVICEFILE", file.as_str()), ("PGUSER", "env"), ("PGDATABASE", "d")];
        let target = resolve(Some("service=shop port=8"), &environment).expect("resolves");
        assert_eq!(target.to_string(), "postgresql://service@inside:8/d");
        assert_eq!(target.places[0].password.as_deref(), Some("hunter2"));
        let named = [environment[0], ("PGSERVICE", "shop")];
        assert_eq!(
            resolve(None, &named).expect("resolves").to_string(),
            "postgresql://service@inside:7/service"
        );
        let system = directory.path().display().to_string();
        std::fs::write(directory.path().join("pg_service.conf"), "[other]\nhost=wide\n").expect("writes");
        let system = [("PGSYSCONFDIR", system.as_str()), environment[0]];
        let target = resolve(Some("postgresql:///d?service=other"), &system).expect("resolves");
        assert_eq!(target.to_string(), "postgresql://me@wide:5432/d");
        for (text, environment) in
            [("service=none", &environment[..1]), ("service=shop servicefile=/no/such", &[])]
        {
            let error = resolve(Some(text), environment).expect_err(text);
            assert!(error.contains("service") && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn the_password_file_is_used_when_only_its_owner_can_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("pass");
        std::fs::write(&file, "h1:*:*:*:one\nh2:*:*:*:two\nlocalhost:*:*:*:here\n").expect("writes");
        let mode =
            |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("chmod");
        mode(0o600);
        let path = file.display().to_string();
        let environment = [("PGPASSFILE", path.as_str())];
        let passwords = |target: &Target| -> Vec<Option<String>> {
            target.places.iter().map(|place| place.password.clone()).collect()
        };
        let text = "host=h1,h2,h3,/var/run/postgresql";
        let target = resolve(Some(text), &environment).expect("resolves");
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(passwords(&target), [some("one"), some("two"), None, some("here")]);
        let target = resolve(Some("host=h1 password=own"), &environment).expect("resolves");
        assert_eq!(passwords(&target), [some("own")]);
        mode(0o640);
        let target = resolve(Some("host=h1"), &environment).expect("resolves");
        assert_eq!(passwords(&target), [None]);
        assert!(target.notes[0].contains("chmod 0600"), "{:?}", target.notes);
    }
}
