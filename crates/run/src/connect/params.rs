//! Connection strings as libpq reads them: URLs and `key=value` pairs, with PG* variables for what they leave out.
//! Source: doc/src/sgml/libpq.sgml, "Connection Strings" and "Environment Variables".

use std::collections::BTreeMap;

/// libpq's parameters by keyword. Several hosts are one comma-separated value, as in libpq.
pub(super) type Params = BTreeMap<String, String>;

/// What a connection string says. The error never repeats the string: it may hold a password.
pub(super) fn parse(text: &str) -> Result<Params, String> {
    let text = text.trim();
    let rest = text.strip_prefix("postgresql://").or_else(|| text.strip_prefix("postgres://"));
    let params = match rest {
        Some(rest) => url(rest)?,
        None if text.contains("://") => {
            return Err("the URL must begin with postgresql:// or postgres://".to_owned());
        }
        None => keywords(text)?,
    };
    if let Some(unknown) = params.keys().find(|key| !known(key)) {
        return Err(format!("\"{unknown}\" is not a connection parameter of PostgreSQL"));
    }
    Ok(params)
}

/// Fills in what `params` leave open from the environment.
pub(super) fn add_environment(params: &mut Params, environment: &dyn Fn(&str) -> Option<String>) {
    // PGHOSTADDR belongs to PGHOST: with a host of its own, the string does not want somebody else's address.
    let own_host = params.contains_key("host") || params.contains_key("hostaddr");
    for (key, variable) in VARIABLES {
        if own_host && matches!(*key, "host" | "hostaddr") {
            continue;
        }
        if let Some(value) = environment(variable).filter(|value| !value.is_empty()) {
            params.entry((*key).to_owned()).or_insert(value);
        }
    }
}

const VARIABLES: &[(&str, &str)] = &[
    ("host", "PGHOST"),
    ("hostaddr", "PGHOSTADDR"),
    ("port", "PGPORT"),
    ("dbname", "PGDATABASE"),
    ("user", "PGUSER"),
    ("password", "PGPASSWORD"),
    ("options", "PGOPTIONS"),
    ("sslmode", "PGSSLMODE"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("sslcert", "PGSSLCERT"),
    ("sslkey", "PGSSLKEY"),
    ("sslnegotiation", "PGSSLNEGOTIATION"),
    ("channel_binding", "PGCHANNELBINDING"),
    ("connect_timeout", "PGCONNECT_TIMEOUT"),
    ("target_session_attrs", "PGTARGETSESSIONATTRS"),
    ("load_balance_hosts", "PGLOADBALANCEHOSTS"),
];

/// Understood by us or by the driver.
pub(super) const PASSED_ON: &[&str] = &[
    "user",
    "password",
    "dbname",
    "options",
    "host",
    "hostaddr",
    "port",
    "connect_timeout",
    "tcp_user_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "target_session_attrs",
    "channel_binding",
    "load_balance_hosts",
    "sslnegotiation",
];

const OURS: &[&str] = &["sslmode", "sslrootcert", "sslcert", "sslkey"];

/// Valid in libpq, and without meaning here: our sessions name themselves, speak UTF-8, and know no GSSAPI.
const IGNORED: &[&str] = &[
    "application_name",
    "fallback_application_name",
    "client_encoding",
    "gssencmode",
    "gsslib",
    "gssdelegation",
    "krbsrvname",
    "sslcompression",
    "sslsni",
    "sslcertmode",
];

fn known(key: &str) -> bool {
    PASSED_ON.contains(&key) || OURS.contains(&key) || IGNORED.contains(&key)
}

/// `user:password@host:port,host:port/dbname?key=value&…`, without the scheme.
fn url(rest: &str) -> Result<Params, String> {
    let mut params = Params::new();
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, dbname) = rest.split_once('/').unwrap_or((rest, ""));
    // A password may contain "@" by mistake; the last one ends it, as browsers have it.
    let (account, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = account.split_once(':').unwrap_or((account, ""));
    let mut put = |key: &str, value: &str| -> Result<(), String> {
        if !value.is_empty() {
            params.insert(key.to_owned(), decode(value)?);
        }
        Ok(())
    };
    put("user", user)?;
    put("password", password)?;
    put("dbname", dbname)?;
    if !hosts.is_empty() {
        let (hosts, ports): (Vec<&str>, Vec<&str>) = hosts.split(',').map(host_and_port).unzip();
        put("host", &hosts.join(","))?;
        if ports.iter().any(|port| !port.is_empty()) {
            put("port", &ports.join(","))?;
        }
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').ok_or("a URL parameter lacks \"=\"")?;
        match (key, value) {
            // JDBC's spelling, which libpq accepts too.
            ("ssl", "true") => put("sslmode", "require")?,
            _ => put(&decode(key)?, value)?,
        }
    }
    Ok(params)
}

fn host_and_port(text: &str) -> (&str, &str) {
    match text.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        Some((address, port)) => (address, port.strip_prefix(':').unwrap_or("")),
        None => text.split_once(':').unwrap_or((text, "")),
    }
}

fn decode(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err("the URL has a \"%\" that is not followed by two hexadecimal digits".to_owned());
        };
        // Two hexadecimal digits always fit.
        bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
    }
    String::from_utf8(bytes).map_err(|_| "the URL is not UTF-8 once it is percent-decoded".to_owned())
}

/// `key = value key='va\'lue'`
fn keywords(text: &str) -> Result<Params, String> {
    let mut params = Params::new();
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        if chars.peek().is_none() {
            return Ok(params);
        }
        let mut key = String::new();
        while let Some(c) = chars.next_if(|c| !c.is_whitespace() && *c != '=') {
            key.push(c);
        }
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        if chars.next() != Some('=') {
            return Err("neither a URL (postgresql://…) nor key=value pairs".to_owned());
        }
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        let quoted = chars.next_if_eq(&'\'').is_some();
        let mut value = String::new();
        loop {
            match chars.next() {
                Some('\'') if quoted => break,
                Some('\\') => value.extend(chars.next()),
                Some(c) if quoted || !c.is_whitespace() => value.push(c),
                None if quoted => return Err("a quoted value has no end".to_owned()),
                _ => break,
            }
        }
        params.insert(key, value);
    }
}

/// The same parameters as `key='value'` pairs for the driver.
pub(super) fn to_keywords(params: &Params) -> String {
    let pairs = params.iter().filter(|(key, _)| PASSED_ON.contains(&key.as_str()));
    let pairs = pairs.map(|(key, value)| {
        // The driver's own name for it.
        let key = if key == "keepalives_count" { "keepalives_retries" } else { key };
        format!("{key}='{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
    });
    pairs.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str)]) {
        let expected: Params = expected.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        assert_eq!(parse(text), Ok(expected), "{text}");
    }

    #[test]
    fn urls() {
        check("postgresql://", &[]);
        check("postgres:///shop", &[("dbname", "shop")]);
        check(
            "postgresql://me:s%40c%3Aret@db.example:5433/my%20db?sslmode=verify-full&connect_timeout=3",
            &[
                ("user", "me"),
                ("password", "s@c:ret"),
                ("host", "db.example"),
                ("port", "5433"),
                ("dbname", "my db"),
                ("sslmode", "verify-full"),
                ("connect_timeout", "3"),
            ],
        );
        check(
            "postgresql://a,b:2,[::1]:3/x?target_session_attrs=read-write",
            &[("host", "a,b,::1"), ("port", ",2,3"), ("dbname", "x"), ("target_session_attrs", "read-write")],
        );
        check(
            "postgresql:///x?host=/run/pg&user=me",
            &[("host", "/run/pg"), ("dbname", "x"), ("user", "me")],
        );
        check("postgresql://%2Frun%2Fpg/x", &[("host", "/run/pg"), ("dbname", "x")]);
        check("postgresql://h/x?ssl=true", &[("host", "h"), ("dbname", "x"), ("sslmode", "require")]);
    }

    #[test]
    fn keyword_strings() {
        check(
            r"host=h  port = 5433 password='it\'s \\ here' dbname=x",
            &[("host", "h"), ("port", "5433"), ("password", r"it's \ here"), ("dbname", "x")],
        );
        check("user=me options='-c work_mem=1MB'", &[("user", "me"), ("options", "-c work_mem=1MB")]);
    }

    #[test]
    fn what_is_wrong_is_said_without_the_string() {
        for text in
            ["me:secret@host/db", "postgresql://me:secret%4/x", "password='secret", "mysql://me:secret@h/x"]
        {
            let error = parse(text).expect_err(text);
            assert!(!error.contains("secret"), "{error}");
        }
        assert!(parse("postgresql://h/x?schema=app").is_err_and(|e| e.contains("\"schema\"")));
    }

    #[test]
    fn the_environment_fills_gaps_only() {
        let environment = |name: &str| {
            [("PGHOST", "envhost"), ("PGHOSTADDR", "10.0.0.1"), ("PGUSER", "envuser"), ("PGPORT", "")]
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        };
        let mut params = Params::from([("host".to_owned(), "own".to_owned())]);
        add_environment(&mut params, &environment);
        assert_eq!(
            params,
            Params::from([("host".to_owned(), "own".to_owned()), ("user".to_owned(), "envuser".to_owned())])
        );
    }

    #[test]
    fn the_driver_reads_back_what_we_print() {
        let params = Params::from([
            ("password".to_owned(), r"it's \ here".to_owned()),
            ("host".to_owned(), "/run,h".to_owned()),
            ("sslmode".to_owned(), "verify-full".to_owned()),
            ("keepalives_count".to_owned(), "3".to_owned()),
        ]);
        let config: tokio_postgres::Config = to_keywords(&params).parse().expect("parses");
        assert_eq!(config.get_password(), Some(r"it's \ here".as_bytes()));
        assert_eq!(config.get_hosts().len(), 2);
        assert_eq!(config.get_keepalives_retries(), Some(3));
    }
}
