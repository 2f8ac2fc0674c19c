//! Where a server may be: the hosts of a connection string in their order, each with its port, address and password.
//! Source: `pqConnectOptions2` in src/interfaces/libpq/fe-connect.c.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use super::params::Params;
use super::passfile::PassFile;

const PORT: u16 = 5432;

/// One host of the list.
#[derive(Clone)]
pub(super) struct Place {
    /// As given: a name, an address, a socket directory, or `@name` in the abstract namespace.
    pub(super) host: String,
    /// `hostaddr`: where to go without asking the resolver. The certificate must still carry `host`.
    pub(super) address: Option<IpAddr>,
    pub(super) port: u16,
    /// From the connection string, the environment or the password file.
    pub(super) password: Option<String>,
    /// The password file is where it came from.
    pub(super) from_file: bool,
}

/// Something to open a socket to.
#[derive(Clone, Debug)]
pub(super) enum Address {
    Tcp(SocketAddr),
    /// A path; one that begins with a NUL byte is in the abstract namespace.
    #[cfg(unix)]
    Unix(PathBuf),
}

impl Place {
    /// Never over TCP, and so never with TLS.
    pub(super) fn is_local(&self) -> bool {
        cfg!(unix) && self.address.is_none() && self.host.starts_with(['/', '@'])
    }

    /// What its name stands for now, or why that is unknown.
    pub(super) async fn addresses(&self) -> io::Result<Vec<Address>> {
        if let Some(address) = self.address {
            return Ok(vec![Address::Tcp(SocketAddr::new(address, self.port))]);
        }
        #[cfg(unix)]
        if self.is_local() {
            let path = format!("{}/.s.PGSQL.{}", self.host, self.port);
            let path = path.strip_prefix('@').map_or(path.clone(), |name| format!("\0{name}"));
            return Ok(vec![Address::Unix(PathBuf::from(path))]);
        }
        // Owned, since a future that borrows them cannot be shown to be Send.
        let found = tokio::net::lookup_host((self.host.clone(), self.port)).await?;
        Ok(found.map(Address::Tcp).collect())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Some(address) if address.to_string() != self.host => {
                write!(f, "{} ({address}):{}", self.host, self.port)
            }
            _ => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// The list that `host`, `hostaddr` and `port` make together.
pub(super) fn list(params: &Params) -> Result<Vec<Place>, String> {
    let split = |key: &str| params.get(key).map(|value| value.split(',').map(str::trim).collect::<Vec<_>>());
    let (hosts, addresses, ports) = (split("host"), split("hostaddr"), split("port"));
    let count = addresses.as_ref().or(hosts.as_ref()).map_or(1, Vec::len);
    if let (Some(hosts), Some(addresses)) = (&hosts, &addresses)
        && hosts.len() != addresses.len()
    {
        return Err(format!(
            "host names {} host(s), and hostaddr {} address(es)",
            hosts.len(),
            addresses.len()
        ));
    }
    if let Some(ports) = ports.as_ref().filter(|ports| ports.len() != 1 && ports.len() != count) {
        return Err(format!("port names {} ports for {count} host(s)", ports.len()));
    }
    let at = |list: &Option<Vec<&str>>, index: usize| {
        list.as_ref()
            .and_then(|list| list.get(index).copied())
            .filter(|item| !item.is_empty())
            .map(str::to_owned)
    };
    (0..count)
        .map(|index| {
            let only = ports.as_ref().is_some_and(|ports| ports.len() == 1);
            let port = match at(&ports, if only { 0 } else { index }) {
                Some(text) => match text.parse() {
                    Ok(port) if port > 0 => port,
                    // The text is not repeated: a password with "@" in it can end up here.
                    _ => return Err("port is not a number from 1 to 65535".to_owned()),
                },
                None => PORT,
            };
            let address = match at(&addresses, index) {
                Some(text) => {
                    Some(text.parse::<IpAddr>().map_err(|_| "hostaddr is not an IP address".to_owned())?)
                }
                None => None,
            };
            let host = at(&hosts, index)
                .or_else(|| address.map(|address| address.to_string()))
                .unwrap_or_else(|| default_host(port));
            Ok(Place { host, address, port, password: None, from_file: false })
        })
        .collect()
}

/// The password for each place: of the string or the environment, else of the password file. Returns what the file's state
/// should be told about.
pub(super) fn add_passwords(
    places: &mut [Place],
    params: &Params,
    home: Option<&Path>,
    (user, dbname): (&str, &str),
) -> Option<String> {
    if let Some(password) = params.get("password") {
        for place in places {
            place.password = Some(password.clone());
        }
        return None;
    }
    let file = params.get("passfile").map(PathBuf::from).or_else(|| home.map(|home| home.join(".pgpass")))?;
    let file = PassFile::read(&file);
    for place in places {
        // The socket that is used when nobody names a host goes by the name of localhost.
        let host = match DEFAULT_SOCKETS.contains(&place.host.as_str()) {
            true => "localhost",
            false => &place.host,
        };
        place.password = file.password(host, place.port, dbname, user);
        place.from_file = place.password.is_some();
    }
    match file {
        PassFile::Unusable(note) => note,
        PassFile::Lines(_) => None,
    }
}

/// Where distributions put the Unix socket, and where PostgreSQL's own default is.
const DEFAULT_SOCKETS: [&str; 3] = ["/var/run/postgresql", "/run/postgresql", "/tmp"];

/// The first of them with a socket of this port; else localhost, as libpq without sockets.
fn default_host(port: u16) -> String {
    let socket = |directory: &&str| Path::new(directory).join(format!(".s.PGSQL.{port}")).exists();
    DEFAULT_SOCKETS.into_iter().find(socket).unwrap_or("localhost").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn shown(text: &str) -> Result<Vec<String>, String> {
        let params = super::super::params::parse(text).expect("parses");
        list(&params).map(|places| places.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn hosts_addresses_and_ports_go_together() {
        for (text, expected) in [
            ("host=a", vec!["a:5432"]),
            ("host=a,b port=7", vec!["a:7", "b:7"]),
            ("host=a,b port=,8", vec!["a:5432", "b:8"]),
            ("host=a,b hostaddr=10.0.0.1,", vec!["a (10.0.0.1):5432", "b:5432"]),
            ("hostaddr=10.0.0.1,::1 port=1,2", vec!["10.0.0.1:1", "::1:2"]),
            ("host=/run/pg,@abstract port=6", vec!["/run/pg:6", "@abstract:6"]),
            ("postgresql://[::1]:9,b/x", vec!["::1:9", "b:5432"]),
        ] {
            assert_eq!(shown(text), Ok(expected.into_iter().map(str::to_owned).collect()), "{text}");
        }
        for text in
            ["host=a,b,c port=1,2", "host=a hostaddr=10.0.0.1,10.0.0.2", "host=a port=0", "hostaddr=nonsense"]
        {
            assert!(shown(text).is_err(), "{text}");
        }
    }
}
