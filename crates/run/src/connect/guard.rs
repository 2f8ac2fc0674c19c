//! `require_auth`: looks at the first thing the server says, and ends the connection before a password is sent to a server
//! that asks for it in a way that was not allowed.
//!
//! The driver answers whatever it is asked, so this stands between it and the wire: on the socket itself, or above TLS.
//! Source: `check_expected_areq` in src/interfaces/libpq/fe-auth.c; doc/src/sgml/protocol.sgml, "Message Formats".

use std::collections::BTreeSet;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::dial::Wire;

/// What libpq can name.
const METHODS: [&str; 7] = ["password", "md5", "gss", "sspi", "scram-sha-256", "oauth", "none"];

/// The methods that a server may ask for; `None` allows all.
pub(super) type Allowed = Option<Arc<BTreeSet<&'static str>>>;

/// Reads `require_auth`.
pub(super) fn allowed(text: &str) -> Result<Allowed, String> {
    let (mut named, mut denied) = (BTreeSet::new(), BTreeSet::new());
    for item in text.split(',').map(str::trim) {
        let (set, name) = match item.strip_prefix('!') {
            Some(name) => (&mut denied, name),
            None => (&mut named, item),
        };
        let Some(method) = METHODS.into_iter().find(|method| *method == name) else {
            return Err(format!(
                "require_auth is a list of {}, all or none of them with \"!\"",
                METHODS.join(", ")
            ));
        };
        if !set.insert(method) {
            return Err(format!("require_auth names {method} twice"));
        }
    }
    match (named.is_empty(), denied.is_empty()) {
        (false, false) => Err("require_auth mixes methods with and without \"!\"".to_owned()),
        (false, true) => Ok(Some(Arc::new(named))),
        _ => Ok(Some(Arc::new(METHODS.into_iter().filter(|method| !denied.contains(method)).collect()))),
    }
}

/// What is awaited from the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Await {
    /// One byte that says whether TLS follows; if it does, nothing here is readable.
    TlsOrNot,
    /// The first message.
    Message,
    /// Nothing any more.
    Nothing,
}

/// A stream whose first message is checked.
pub(super) struct Guarded<S> {
    inner: S,
    allowed: Allowed,
    awaits: Await,
    head: Vec<u8>,
}

impl<S> Guarded<S> {
    pub(super) fn new(inner: S, allowed: Allowed, awaits: Await) -> Self {
        let awaits = if allowed.is_none() { Await::Nothing } else { awaits };
        Self { inner, allowed, awaits, head: Vec::new() }
    }

    /// Looks at what came in.
    fn look(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.head.extend_from_slice(bytes);
        if self.awaits == Await::TlsOrNot && !self.head.is_empty() {
            self.awaits = if self.head.remove(0) == b'S' { Await::Nothing } else { Await::Message };
        }
        while self.awaits == Await::Message && self.head.len() >= 5 {
            let length =
                u32::from_be_bytes([self.head[1], self.head[2], self.head[3], self.head[4]]) as usize + 1;
            match self.head[0] {
                // Says which version of the protocol it speaks, before anything else.
                b'v' if self.head.len() >= length => drop(self.head.drain(..length)),
                b'v' => break,
                b'R' if self.head.len() < 9 => break,
                b'R' => {
                    let code = u32::from_be_bytes([self.head[5], self.head[6], self.head[7], self.head[8]]);
                    self.judge(code)?;
                    self.awaits = Await::Nothing;
                }
                // An error: the driver will say it.
                _ => self.awaits = Await::Nothing,
            }
        }
        if self.awaits == Await::Nothing {
            self.head = Vec::new();
        }
        Ok(())
    }

    fn judge(&self, code: u32) -> io::Result<()> {
        let method = match code {
            0 => "none",
            3 => "password",
            5 => "md5",
            7 | 8 => "gss",
            9 => "sspi",
            10 => "scram-sha-256",
            _ => "an unknown method",
        };
        let Some(allowed) = &self.allowed else { return Ok(()) };
        if allowed.contains(method) {
            return Ok(());
        }
        let allowed: Vec<&str> = allowed.iter().copied().collect();
        Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!(
                "the server asks for authentication by {method}; require_auth allows {}",
                allowed.join(", ")
            ),
        ))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        if self.awaits != Await::Nothing {
            let came = buf.filled()[before..].to_vec();
            self.look(&came)?;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl<S: TlsStream + Unpin> TlsStream for Guarded<S> {
    fn channel_binding(&self) -> ChannelBinding {
        self.inner.channel_binding()
    }
}

/// A wire as the driver gets it.
pub(super) type Line = Guarded<Wire>;

type Inner = <MakeRustlsConnect as MakeTlsConnect<Line>>::TlsConnect;

/// A TLS stream as the driver gets it.
pub(super) type Secure = Guarded<<Inner as TlsConnect<Line>>::Stream>;

/// Begins TLS, and guards what is said inside.
pub(super) struct GuardedTls {
    pub(super) inner: Inner,
    pub(super) allowed: Allowed,
}

impl TlsConnect<Line> for GuardedTls {
    type Stream = Secure;
    type Error = <Inner as TlsConnect<Line>>::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Secure, Self::Error>> + Send>>;

    fn connect(self, stream: Line) -> Self::Future {
        let (handshake, allowed) = (self.inner.connect(stream), self.allowed);
        Box::pin(async move { Ok(Guarded::new(handshake.await?, allowed, Await::Message)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_libpqs() {
        let methods =
            |text: &str| allowed(text).map(|set| set.expect("a set").iter().copied().collect::<Vec<_>>());
        assert_eq!(methods("scram-sha-256, none"), Ok(vec!["none", "scram-sha-256"]));
        assert_eq!(methods("!password,!md5").map(|left| left.len()), Ok(5));
        for wrong in ["", "kerberos", "md5,!none", "md5,md5"] {
            assert!(methods(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_first_message_decides_however_it_arrives() {
        let said = |awaits, bytes: &[u8]| {
            let mut guarded = Guarded::new((), allowed("scram-sha-256").expect("reads"), awaits);
            bytes.iter().try_for_each(|byte| guarded.look(&[*byte])).map_err(|error| error.to_string())
        };
        let sasl = b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0";
        let clear = b"R\0\0\0\x08\0\0\0\x03";
        assert_eq!(said(Await::Message, sasl), Ok(()));
        assert!(said(Await::Message, clear).is_err_and(|error| error.contains("by password")));
        assert!(said(Await::TlsOrNot, &[b"N".as_slice(), clear].concat()).is_err());
        assert_eq!(said(Await::TlsOrNot, &[b"S".as_slice(), clear].concat()), Ok(()));
        let negotiated = [b"v\0\0\0\x0c\0\x03\0\0\0\0\0\0".as_slice(), clear].concat();
        assert!(said(Await::Message, &negotiated).is_err());
        assert_eq!(said(Await::Message, b"E\0\0\0\x05\0R\0\0\0\x08\0\0\0\x03"), Ok(()));
    }
}
