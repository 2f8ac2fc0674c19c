//! Connection service files: `[name]` and lines of `parameter=value`, filling in what the connection string leaves open.
//! Source: `parseServiceInfo` and `parseServiceFile` in src/interfaces/libpq/fe-connect.c.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::Surroundings;
use super::parameters;
use super::params::Params;

/// Where packages keep the system's file when PGSYSCONFDIR does not say: Debian's, Red Hat's, and what `configure` suggests.
const SYSTEM: &[&str] = &["/etc/postgresql-common", "/etc/sysconfig/pgsql", "/etc", "/usr/local/pgsql/etc"];

const FILE: &str = "pg_service.conf";

/// Fills in what `params` leave open from the service that they or PGSERVICE name.
pub(super) fn add(params: &mut Params, around: &Surroundings<'_>) -> Result<(), String> {
    let Some(service) = params.get("service").cloned().or_else(|| around.variable("PGSERVICE")) else {
        return Ok(());
    };
    let named = params.get("servicefile").cloned().or_else(|| around.variable("PGSERVICEFILE"));
    let own = match &named {
        Some(file) => Some(PathBuf::from(file)),
        None => around.home.map(|home| home.join(format!(".{FILE}"))),
    };
    let system: Vec<PathBuf> = match around.variable("PGSYSCONFDIR") {
        Some(directory) => vec![PathBuf::from(directory)],
        None => SYSTEM.iter().map(PathBuf::from).collect(),
    };
    for file in own.into_iter().chain(system.into_iter().map(|directory| directory.join(FILE))) {
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            // Only a file that was asked for must be there.
            Err(error)
                if error.kind() == ErrorKind::NotFound && named.as_deref().map(Path::new) != Some(&file) =>
            {
                continue;
            }
            Err(error) => return Err(format!("service file {}: {error}", file.display())),
        };
        match section(&text, &service).map_err(|wrong| format!("service file {}, {wrong}", file.display()))? {
            Some(found) => {
                for (key, value) in found {
                    params.entry(key).or_insert(value);
                }
                return Ok(());
            }
            None => continue,
        }
    }
    Err(format!("definition of service \"{service}\" not found"))
}

/// The parameters of one section; the first of several wins. Errors name the line and never repeat it.
fn section(text: &str, service: &str) -> Result<Option<Params>, String> {
    let mut found: Option<Params> = None;
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(heading) = line.strip_prefix('[') {
            // A second heading ends the section, whatever it says.
            if found.is_some() {
                break;
            }
            if heading.strip_suffix(']').unwrap_or(heading) == service {
                found = Some(Params::new());
            }
            continue;
        }
        let Some(found) = &mut found else { continue };
        let wrong = |what: &str| format!("line {}: {what}", at + 1);
        if line.starts_with("ldap") && line.contains("://") {
            return Err(wrong("services in LDAP are not supported"));
        }
        let (key, value) = line.split_once('=').ok_or_else(|| wrong("lacks \"=\""))?;
        if matches!(key, "service" | "servicefile") {
            return Err(wrong("a service may not name another"));
        }
        if !parameters::is_known(key) {
            return Err(wrong("not a connection parameter of PostgreSQL"));
        }
        found.entry(key.to_owned()).or_insert_with(|| value.to_owned());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_ends_at_the_next_and_its_first_word_counts() {
        let text = "# all\nhost=nobody\n[a]\nhost=one\n  port=1  \nport=2\n#password=x\n\n[b]\nhost=two\n[a]\nuser=late\n";
        let found = section(text, "a").expect("reads").expect("found");
        assert_eq!(
            found,
            Params::from([("host".to_owned(), "one".to_owned()), ("port".to_owned(), "1".to_owned())])
        );
        assert_eq!(section(text, "c"), Ok(None));
    }

    #[test]
    fn a_wrong_line_is_named_and_not_repeated() {
        for (text, line) in [
            ("[a]\nhost=h\nsecret", "line 3"),
            ("[a]\nservice=secret", "line 2"),
            ("[a]\npasword=secret", "line 2"),
        ] {
            let error = section(text, "a").expect_err(text);
            assert!(error.contains(line) && !error.contains("secret"), "{error}");
        }
    }
}
