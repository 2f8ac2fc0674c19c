//! Goes through the hosts until one takes us: what is tried, in which order, and which failure ends the search.
//!
//! A host that cannot be reached, is starting up, or is of the wrong sort is passed over. One that answers "no" (password, rights,
//! certificate) ends the search, as in libpq: the next would not be the server that was meant.
//! Source: `PQconnectPoll` in src/interfaces/libpq/fe-connect.c.

use std::fmt;
use std::io;
use std::time::Duration;

use rand::seq::SliceRandom;
use tokio::task::JoinHandle;
use tokio_postgres::config::{SslMode, SslNegotiation};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{CancelToken, Client, Config, SimpleQueryMessage};

use super::dial::Options;
use super::guard::{Await, Guarded, GuardedTls, Line};
use super::place::{Address, Place};
use super::tls::{Mode, Tls};
use super::{Target, Wanted};
use crate::error::{Doing, Error, said};

/// How long one address may take to accept a connection when the string does not say.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// How long the handshakes after that may take then, TLS and authentication together.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);

/// A connection, driven by a task of its own.
pub(super) struct Opened {
    pub(super) client: Client,
    pub(super) connection: JoinHandle<()>,
    pub(super) canceller: Canceller,
}

/// Cancels what a session runs, from anywhere, over a connection of its own to the same address.
#[derive(Clone)]
pub struct Canceller {
    token: CancelToken,
    host: String,
    address: Address,
    options: Options,
    tls: Tls,
    limit: Option<Duration>,
}

impl Canceller {
    /// Asks the server to cancel the session's statement. It may end normally all the same, and a request that arrives late
    /// hits whatever the session runs then: `pg_cancel_backend` from a control session, whose answer means that the signal
    /// was sent, leaves less room for that.
    ///
    /// # Errors
    /// [`Error::Connection`] when the server cannot be reached.
    pub async fn cancel(&self) -> Result<(), Error> {
        let doing = "cancel a statement of ours";
        let failed = |error: io::Error| Error::Connection { message: format!("{doing}: {error}") };
        let sent = async {
            let wire = self.options.dial(&self.address).await.map_err(failed)?;
            let line = Guarded::new(wire, None, Await::Nothing);
            self.token.cancel_query_raw(line, self.tls.connect(&self.host, None)).await.doing(doing)
        };
        Box::pin(within(self.limit, sent))
            .await
            .unwrap_or_else(|| Err(failed(io::ErrorKind::TimedOut.into())))
    }
}

impl fmt::Debug for Canceller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Canceller")
    }
}

impl Tls {
    fn connect(&self, host: &str, allowed: super::guard::Allowed) -> GuardedTls {
        let Ok(inner) = MakeTlsConnect::<Line>::make_tls_connect(&mut self.connector.clone(), host);
        GuardedTls { inner, allowed }
    }
}

impl Target {
    /// Opens a bare connection to the first host that suits.
    pub(super) async fn open(&self, purpose: &str) -> Result<Opened, Error> {
        let mut config = self.config.clone();
        config.application_name(match &self.application {
            Some(own) => format!("concertina: {purpose} ({own})"),
            None => format!("concertina: {purpose}"),
        });
        let mut places: Vec<&Place> = self.places.iter().collect();
        if self.shuffle {
            places.shuffle(&mut rand::rng());
        }
        let mut tried: Vec<String> = Vec::new();
        'search: for place in &places {
            let addresses = within(self.limit(), place.addresses()).await;
            let mut addresses = match addresses.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into())) {
                Ok(addresses) => addresses,
                Err(error) => {
                    tried.push(format!("{place}: cannot look up the name: {error}"));
                    continue;
                }
            };
            if self.shuffle {
                addresses.shuffle(&mut rand::rng());
            }
            for address in addresses {
                let failed = match self.open_at(&mut config, place, address).await {
                    Ok(opened) => match self.wanted.unlike(&opened.client).await {
                        None => return Ok(opened),
                        // The same server at another of its addresses would not be another sort of server.
                        Some(why) => {
                            tried.push(format!("{place}: {why}"));
                            continue 'search;
                        }
                    },
                    Err(failed) => failed,
                };
                tried.push(format!("{place}: {failed}{}", self.about_password(place, &failed)));
                match failed.next() {
                    Next::Address => {}
                    Next::Host => continue 'search,
                    Next::Nothing => break 'search,
                }
            }
        }
        let tried = if tried.is_empty() { "no address to connect to".to_owned() } else { tried.join("\n  ") };
        Err(Error::Connection { message: format!("{self}: {tried}") })
    }

    /// What helps with a refused or a missing password.
    fn about_password(&self, place: &Place, failed: &Failed) -> String {
        let wrong = failed.code() == Some("28P01");
        let missing = matches!(failed, Failed::Said(error) if error.code().is_none() && said(error).contains("password missing"));
        let mut more = String::new();
        if wrong && place.from_file {
            more.push_str("\n  the password came from the password file");
        }
        if missing {
            more.push_str("\n  give one with .pgpass, PGPASSWORD, a service file or the URL");
        }
        if wrong || missing {
            for note in &self.notes {
                more.push_str(&format!("\n  {note}"));
            }
        }
        more
    }

    async fn open_at(&self, config: &mut Config, place: &Place, address: Address) -> Result<Opened, Failed> {
        if let Some(password) = &place.password {
            config.password(password);
        }
        let (first, second) = match self.tls.mode {
            _ if place.is_local() => (SslMode::Disable, None),
            Mode::Disable => (SslMode::Disable, None),
            Mode::Allow => (SslMode::Disable, Some(SslMode::Require)),
            Mode::Prefer => (SslMode::Prefer, Some(SslMode::Disable)),
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => (SslMode::Require, None),
        };
        config.ssl_mode(first);
        match (self.attempt(config, place, &address).await, second) {
            // pg_hba.conf wants the other one or, under `prefer`, the TLS handshake failed.
            (Err(failed), Some(second)) if failed.blames_encryption(first) => {
                config.ssl_mode(second);
                // The first answer tells more than "server does not support TLS".
                self.attempt(config, place, &address).await.map_err(|again| match again.code() {
                    Some(_) => again,
                    None => failed,
                })
            }
            (result, _) => result,
        }
    }

    async fn attempt(&self, config: &Config, place: &Place, address: &Address) -> Result<Opened, Failed> {
        let own = self.timeout.flatten();
        let connecting = match self.timeout {
            Some(_) => own,
            None => Some(CONNECT_TIMEOUT),
        };
        let shaking = match self.timeout {
            Some(_) => None,
            None => Some(HANDSHAKE_TIMEOUT),
        };
        // A timeout of the user's covers both.
        let whole = async {
            let wire = within(connecting, self.options.dial(address)).await.ok_or(Failed::Silent)?;
            let wire = wire.map_err(Failed::Unreachable)?;
            let awaits = match (config.get_ssl_mode(), config.get_ssl_negotiation()) {
                (SslMode::Disable, _) => Await::Message,
                (_, SslNegotiation::Direct) => Await::Nothing,
                _ => Await::TlsOrNot,
            };
            let line = Guarded::new(wire, self.allowed.clone(), awaits);
            let tls = self.tls.connect(&place.host, self.allowed.clone());
            let shaken = within(shaking, config.connect_raw(line, tls)).await.ok_or(Failed::Silent)?;
            shaken.map_err(Failed::Said)
        };
        let (client, connection) = within(own, whole).await.unwrap_or(Err(Failed::Silent))?;
        let canceller = Canceller {
            token: client.cancel_token(),
            host: place.host.clone(),
            address: address.clone(),
            options: self.options.clone(),
            tls: self.tls.clone(),
            limit: self.limit(),
        };
        let connection = tokio::spawn(async move {
            if let Err(error) = connection.await {
                // Whoever waits for an answer hears of it too.
                tracing::debug!(%error, "connection ended");
            }
        });
        Ok(Opened { client, connection, canceller })
    }

    fn limit(&self) -> Option<Duration> {
        self.timeout.unwrap_or(Some(CONNECT_TIMEOUT))
    }
}

impl Wanted {
    /// Why this is not the server that was asked for.
    async fn unlike(self, client: &Client) -> Option<String> {
        if self == Self::Any {
            return None;
        }
        let answer = match client.simple_query(READ_ONLY).await {
            Ok(answer) => answer,
            Err(error) => return Some(said(&error)),
        };
        let row = answer.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some((row.get(0) == Some("t"), row.get(1) == Some("on"))),
            _ => None,
        });
        match row {
            Some((true, _)) => Some("the server is a standby".to_owned()),
            Some((false, true)) if self == Self::ReadWrite => Some("the server is read-only".to_owned()),
            Some(_) => None,
            None => Some("the server sent no answer".to_owned()),
        }
    }
}

const READ_ONLY: &str =
    "SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('default_transaction_read_only')";

/// Why there is no connection.
enum Failed {
    Unreachable(io::Error),
    Said(tokio_postgres::Error),
    /// Somebody was there, or not, and said nothing for too long.
    Silent,
}

/// Where to go on.
enum Next {
    Address,
    Host,
    Nothing,
}

impl Failed {
    fn code(&self) -> Option<&str> {
        match self {
            Self::Said(error) => error.code().map(tokio_postgres::error::SqlState::code),
            Self::Unreachable(_) | Self::Silent => None,
        }
    }

    fn next(&self) -> Next {
        match self {
            Self::Unreachable(_) | Self::Silent => Next::Address,
            // Starting up, shutting down, or a hot standby that takes no connections.
            Self::Said(_) if self.code() == Some("57P03") => Next::Host,
            Self::Said(_) => Next::Nothing,
        }
    }

    /// The handshake failed, or pg_hba.conf has no line for connections with TLS (or without, whichever was tried).
    fn blames_encryption(&self, tried: SslMode) -> bool {
        match self {
            Self::Said(error) => match error.code() {
                Some(code) => code.code() == "28000",
                None => tried == SslMode::Prefer && error.to_string().contains("TLS"),
            },
            Self::Unreachable(_) | Self::Silent => false,
        }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = match self {
            Self::Silent => return f.write_str("no answer from the server"),
            Self::Unreachable(error) => return write!(f, "{error}"),
            Self::Said(error) => error,
        };
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

/// `None` when it took longer.
async fn within<T>(limit: Option<Duration>, work: impl Future<Output = T>) -> Option<T> {
    match limit {
        Some(limit) => tokio::time::timeout(limit, work).await.ok(),
        None => Some(work.await),
    }
}
