//! Connection strings as libpq reads them: URLs and `key=value` pairs, with PG* variables for what they leave out.
//! Source: doc/src/sgml/libpq.sgml, "Connection Strings" and "Environment Variables".

use std::collections::BTreeMap;

use super::Surroundings;
use super::parameters;

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
        // As `psql NAME`. Anything that could be a URL gone wrong, with a password inside, is not taken for a name.
        None if !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || "_-.$".contains(c)) => {
            Params::from([("dbname".to_owned(), text.to_owned())])
        }
        None => keywords(text)?,
    };
    if let Some(unknown) = params.keys().find(|key| !parameters::is_known(key)) {
        return Err(parameters::unknown(unknown));
    }
    Ok(params)
}

/// Fills in what `params` leave open from the environment.
pub(super) fn add_environment(params: &mut Params, around: &Surroundings<'_>) {
    for parameter in parameters::ALL {
        // The service has been read already, by whoever named it.
        let Some(variable) = parameter.variable.filter(|_| !parameter.name.starts_with("service")) else {
            continue;
        };
        if let Some(value) = around.variable(variable) {
            params.entry(parameter.name.to_owned()).or_insert(value);
        }
    }
    if around.variable("PGREQUIRESSL").is_some_and(|value| value.starts_with('1')) {
        params.entry("sslmode".to_owned()).or_insert_with(|| "require".to_owned());
    }
    // libpq sends these as settings of their own, which win over `options`; so does the last of several `-c`.
    for (variable, setting) in parameters::SETTINGS {
        if let Some(value) = around.variable(variable).filter(|value| !value.eq_ignore_ascii_case("default"))
        {
            let options = params.entry("options".to_owned()).or_default();
            let value = value.replace('\\', "\\\\").replace(' ', "\\ ");
            options.push_str(&format!(" -c {setting}={value}"));
        }
    }
}

/// `user:password@host:port,host:port/dbname?key=value&…`, without the scheme.
fn url(rest: &str) -> Result<Params, String> {
    let mut params = Params::new();
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, dbname) = rest.split_once('/').unwrap_or((rest, ""));
    // Otherwise the end of such a password would become a database's name, and that is shown.
    if dbname.contains('@') {
        return Err(
            "the URL has an \"@\" behind its first \"/\": write a \"/\" in user name or password as %2F"
                .to_owned(),
        );
    }
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
        for (text, said) in [
            ("postgresql://h/x?schema=app", "database.search_path"),
            ("postgresql://h/x?pgbouncer=true", "leave it out"),
            ("postgresql://h/x?sslmod=require", "did you mean sslmode?"),
            ("postgresql://me:12/secret@h/x", "%2F"),
            ("postgresql://me:a?secret=b@h/x", "not repeated"),
            ("password=my secret=x", "not repeated"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(said) && !error.contains("secret"), "{text}: {error}");
        }
    }

    #[test]
    fn a_bare_word_is_a_database() {
        check("shop", &[("dbname", "shop")]);
        check("", &[]);
    }

    #[test]
    fn the_environment_fills_gaps_only() {
        let lookup = |name: &str| {
            [
                ("PGHOST", "envhost"),
                ("PGUSER", "envuser"),
                ("PGPORT", ""),
                ("PGTZ", "a b"),
                ("PGREQUIRESSL", "1"),
            ]
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| (*value).to_owned())
        };
        let mut params = parse("host=own options='-c geqo=off'").expect("parses");
        add_environment(&mut params, &Surroundings::new(&lookup, None, None));
        let expected = [
            ("host", "own"),
            ("user", "envuser"),
            ("options", "-c geqo=off -c timezone=a\\ b"),
            ("sslmode", "require"),
        ];
        let expected: Params = expected.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        assert_eq!(params, expected);
    }
}
