//! Opens sockets: TCP with keepalives, Unix sockets in the file system and in the abstract namespace.
//!
//! The driver can do most of this itself. We do it to have libpq's rules for what is tried next, its abstract sockets, and
//! its milliseconds in `tcp_user_timeout`.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

use super::params::Params;
use super::place::Address;

/// After this long without any sign of life the network counts as broken, when the string does not say.
const SILENCE: Duration = Duration::from_secs(60);

/// An open socket.
pub(super) enum Wire {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

/// Calls the same method of whichever it is.
macro_rules! either {
    ($wire:expr, $stream:ident => $call:expr) => {
        match $wire.get_mut() {
            Wire::Tcp($stream) => $call,
            #[cfg(unix)]
            Wire::Unix($stream) => $call,
        }
    };
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        either!(self, stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}

/// What a TCP connection is set to, so that a server that vanished is noticed.
#[derive(Clone)]
pub(super) struct Options {
    keepalive: Option<TcpKeepalive>,
    user_timeout: Option<Duration>,
}

impl Options {
    /// `keepalives*` and `tcp_user_timeout`. Where they say nothing a dead server is noticed within a minute; in libpq that takes
    /// the system's two hours.
    pub(super) fn from_params(params: &Params) -> Result<Self, String> {
        let number = |key: &str| match params.get(key).map(|value| value.trim().parse::<i64>()) {
            None => Ok(None),
            Some(Ok(value)) => Ok(Some(u64::try_from(value).unwrap_or_default())),
            Some(Err(_)) => Err(format!("{key} is not a whole number")),
        };
        let (on, idle) = (number("keepalives")?, number("keepalives_idle")?);
        let (interval, count) = (number("keepalives_interval")?, number("keepalives_count")?);
        let silent = idle.is_none() && interval.is_none() && count.is_none();
        let mut keepalive = TcpKeepalive::new();
        if silent {
            keepalive = keepalive.with_time(SILENCE / 2).with_interval(SILENCE / 6).with_retries(3);
        }
        // Zero leaves it to the system.
        if let Some(idle) = idle.filter(|idle| *idle > 0) {
            keepalive = keepalive.with_time(Duration::from_secs(idle));
        }
        if let Some(interval) = interval.filter(|interval| *interval > 0) {
            keepalive = keepalive.with_interval(Duration::from_secs(interval));
        }
        if let Some(count) = count.filter(|count| *count > 0) {
            keepalive = keepalive.with_retries(u32::try_from(count).unwrap_or(u32::MAX));
        }
        let user_timeout = match number("tcp_user_timeout")? {
            None => Some(SILENCE),
            Some(0) => None,
            Some(milliseconds) => Some(Duration::from_millis(milliseconds)),
        };
        Ok(Self { keepalive: (on != Some(0)).then_some(keepalive), user_timeout })
    }

    /// Connects.
    pub(super) async fn dial(&self, address: &Address) -> io::Result<Wire> {
        match address {
            Address::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                let socket = SockRef::from(&stream);
                if let Some(keepalive) = &self.keepalive {
                    socket.set_tcp_keepalive(keepalive)?;
                }
                #[cfg(target_os = "linux")]
                socket.set_tcp_user_timeout(self.user_timeout)?;
                Ok(Wire::Tcp(stream))
            }
            #[cfg(unix)]
            Address::Unix(path) => Ok(Wire::Unix(UnixStream::connect(path).await?)),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Options(keepalive {:?}, user timeout {:?})", self.keepalive, self.user_timeout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Result<String, String> {
        let params = super::super::params::parse(text).expect("parses");
        Options::from_params(&params).map(|options| format!("{options:?}"))
    }

    #[test]
    fn units_are_libpqs() {
        assert!(shown("").expect("reads").contains("30s"));
        assert!(shown("tcp_user_timeout=1500").expect("reads").contains("1.5s"));
        assert!(shown("tcp_user_timeout=0").expect("reads").contains("user timeout None"));
        assert!(shown("keepalives=0").expect("reads").contains("keepalive None"));
        assert!(shown("keepalives_idle=7 keepalives_count=2").expect("reads").contains("7s"));
        assert!(shown("keepalives_idle=soon").is_err_and(|error| error.contains("keepalives_idle")));
    }
}
