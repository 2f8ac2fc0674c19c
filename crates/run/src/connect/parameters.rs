//! Every connection parameter of libpq: its environment variable, and whether we take it.
//!
//! What we cannot do is refused by name, with the reason: an option that protects somebody must not vanish in silence.
//! Source: `PQconninfoOptions` and `EnvironmentOptions` in src/interfaces/libpq/fe-connect.c, through version 18.

use concertina_plan::sql::similar::nearest;

use super::params::Params;

/// A parameter of libpq.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    /// The environment variable that fills it in.
    pub(super) variable: Option<&'static str>,
    taken: Taken,
}

/// Whether a parameter is understood.
enum Taken {
    Yes,
    /// Only these values, in any case; of the others, the reason says why not.
    Only(&'static [&'static str], &'static str),
    /// It concerns something that we do not do, and changes nothing else.
    Idle(&'static str),
    No(&'static str),
}
use Taken::{Idle, No, Only, Yes};

const fn parameter(name: &'static str, variable: &'static str, taken: Taken) -> Parameter {
    Parameter { name, variable: Some(variable), taken }
}

const fn unnamed(name: &'static str, taken: Taken) -> Parameter {
    Parameter { name, variable: None, taken }
}

const NO_GSSAPI: &str = "GSSAPI is not built in";
const NO_CRL: &str = "revocation lists are not read; verify-full checks issuer, dates and name";
const NO_SCRAM_KEYS: &str = "give the password itself, for instance in .pgpass";
const NO_OAUTH: &str = "OAuth is not built in";

/// All of them, in libpq's order.
pub(super) const ALL: &[Parameter] = &[
    parameter("service", "PGSERVICE", Yes),
    parameter("servicefile", "PGSERVICEFILE", Yes),
    parameter("user", "PGUSER", Yes),
    parameter("password", "PGPASSWORD", Yes),
    parameter("passfile", "PGPASSFILE", Yes),
    parameter("channel_binding", "PGCHANNELBINDING", Yes),
    parameter("connect_timeout", "PGCONNECT_TIMEOUT", Yes),
    parameter("dbname", "PGDATABASE", Yes),
    parameter("host", "PGHOST", Yes),
    parameter("hostaddr", "PGHOSTADDR", Yes),
    parameter("port", "PGPORT", Yes),
    parameter(
        "client_encoding",
        "PGCLIENTENCODING",
        Only(&["utf8", "utf-8", "unicode", "auto"], "migration files are UTF-8, and so is all we send"),
    ),
    parameter("options", "PGOPTIONS", Yes),
    parameter("application_name", "PGAPPNAME", Yes),
    // libpq itself looks at it only where there is no name; our sessions always have one.
    unnamed("fallback_application_name", Yes),
    unnamed("keepalives", Yes),
    unnamed("keepalives_idle", Yes),
    unnamed("keepalives_interval", Yes),
    unnamed("keepalives_count", Yes),
    unnamed("tcp_user_timeout", Yes),
    parameter("sslmode", "PGSSLMODE", Yes),
    parameter("sslnegotiation", "PGSSLNEGOTIATION", Yes),
    parameter(
        "sslcompression",
        "PGSSLCOMPRESSION",
        Only(&["0"], "TLS compression is insecure and gone from TLS 1.3"),
    ),
    parameter("sslcert", "PGSSLCERT", Yes),
    parameter("sslkey", "PGSSLKEY", Yes),
    parameter(
        "sslcertmode",
        "PGSSLCERTMODE",
        Only(&["disable", "allow"], "whether the server asks for the certificate is not seen"),
    ),
    unnamed(
        "sslpassword",
        No(
            "encrypted private keys are not read; give a key without a passphrase, readable by its owner only",
        ),
    ),
    parameter("sslrootcert", "PGSSLROOTCERT", Yes),
    parameter("sslcrl", "PGSSLCRL", No(NO_CRL)),
    parameter("sslcrldir", "PGSSLCRLDIR", No(NO_CRL)),
    parameter("sslsni", "PGSSLSNI", Yes),
    parameter(
        "requirepeer",
        "PGREQUIREPEER",
        No(
            "the server's account is not looked up; use TLS with sslmode=verify-full to be sure of the server",
        ),
    ),
    parameter("require_auth", "PGREQUIREAUTH", Yes),
    parameter(
        "min_protocol_version",
        "PGMINPROTOCOLVERSION",
        Only(&["3.0"], "we speak version 3.0 of the protocol"),
    ),
    parameter(
        "max_protocol_version",
        "PGMAXPROTOCOLVERSION",
        Only(&["3.0", "3.2", "latest"], "it is 3.0, 3.2 or latest"),
    ),
    parameter("ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION", Yes),
    parameter("ssl_max_protocol_version", "PGSSLMAXPROTOCOLVERSION", Yes),
    parameter("gssencmode", "PGGSSENCMODE", Only(&["disable", "prefer"], NO_GSSAPI)),
    parameter("krbsrvname", "PGKRBSRVNAME", Idle(NO_GSSAPI)),
    parameter("gsslib", "PGGSSLIB", Idle(NO_GSSAPI)),
    parameter("gssdelegation", "PGGSSDELEGATION", Only(&["0"], NO_GSSAPI)),
    unnamed("replication", Only(&["0", "false", "off", "no"], "migrations need an ordinary session")),
    parameter("target_session_attrs", "PGTARGETSESSIONATTRS", Yes),
    parameter("load_balance_hosts", "PGLOADBALANCEHOSTS", Yes),
    unnamed("scram_client_key", No(NO_SCRAM_KEYS)),
    unnamed("scram_server_key", No(NO_SCRAM_KEYS)),
    unnamed("oauth_issuer", No(NO_OAUTH)),
    unnamed("oauth_client_id", No(NO_OAUTH)),
    unnamed("oauth_client_secret", No(NO_OAUTH)),
    unnamed("oauth_scope", No(NO_OAUTH)),
    unnamed("sslkeylogfile", No("session keys are written nowhere")),
];

/// Settings of the server that libpq sends along, which the session's own `options` do not override.
pub(super) const SETTINGS: &[(&str, &str)] =
    &[("PGDATESTYLE", "datestyle"), ("PGTZ", "timezone"), ("PGGEQO", "geqo")];

/// What other drivers put into the same URLs.
const OTHERS: [&str; 9] = [
    "connection_limit",
    "pgbouncer",
    "pool_timeout",
    "prepare_threshold",
    "prepared_statements",
    "socket_timeout",
    "sslaccept",
    "statement_cache_size",
    "timeout",
];

/// Whether libpq knows it.
pub(super) fn is_known(name: &str) -> bool {
    ALL.iter().any(|parameter| parameter.name == name)
}

/// What to say of a name that libpq does not know. A password that was not escaped can end up as one, so that only what we know
/// ourselves is ever repeated.
pub(super) fn unknown(name: &str) -> String {
    if matches!(name, "schema" | "currentSchema" | "search_path") {
        return format!(
            "\"{name}\" is not a connection parameter of PostgreSQL; set database.search_path in concertina.toml, or options=-csearch_path=…"
        );
    }
    if let Some(other) = OTHERS.into_iter().find(|other| *other == name) {
        return format!(
            "\"{other}\" is not a connection parameter of PostgreSQL but of some driver: leave it out"
        );
    }
    match nearest(name, ALL.iter().map(|parameter| parameter.name.to_owned())) {
        Some(known) => format!("a parameter is not one of PostgreSQL's; did you mean {known}?"),
        None => "a parameter is not one of PostgreSQL's (its name is not repeated: it may be part of a password that was not \
                 escaped)"
            .to_owned(),
    }
}

/// Refuses what we do not take, by name and with the reason; notes what has no effect. Never repeats a value.
pub(super) fn check(params: &Params) -> Result<Vec<String>, String> {
    let mut notes = Vec::new();
    for parameter in ALL {
        let Some(value) = params.get(parameter.name) else { continue };
        let name = match parameter.variable {
            Some(variable) => format!("{} ({variable})", parameter.name),
            None => parameter.name.to_owned(),
        };
        match parameter.taken {
            Yes => {}
            Only(values, why) if !values.iter().any(|taken| taken.eq_ignore_ascii_case(value)) => {
                let values = values.join(", ");
                return Err(format!("{name}: this value is not supported, only {values}: {why}"));
            }
            Only(..) => {}
            Idle(why) => notes.push(format!("{name} has no effect: {why}")),
            No(why) => return Err(format!("{name} is not supported: {why}")),
        }
    }
    Ok(notes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_and_variable_is_documented() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
        let page = std::fs::read_to_string(page).expect("the page is there");
        let named = ALL.iter().flat_map(|parameter| [Some(parameter.name), parameter.variable]).flatten();
        for name in named.chain(SETTINGS.iter().map(|(variable, _)| *variable)) {
            assert!(page.contains(&format!("`{name}`")), "{name} is not in docs/configuration.md");
        }
    }
}
