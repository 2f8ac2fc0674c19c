//! The password file: `host:port:database:user:password`, the first line that matches.
//! Source: `passwordFromFile` and `pwdfMatchesString` in src/interfaces/libpq/fe-connect.c.

use std::fs;
use std::path::Path;

/// A read password file, or why it was left alone.
pub(super) enum PassFile {
    Lines(String),
    /// There is none, or it may not be used; the note says which.
    Unusable(Option<String>),
}

impl PassFile {
    /// Reads it, unless others may read it too: then libpq warns and goes without, and so do we.
    pub(super) fn read(file: &Path) -> Self {
        let Ok(metadata) = fs::metadata(file) else { return Self::Unusable(None) };
        if !metadata.is_file() {
            return Self::Unusable(Some(format!("password file {} is not a plain file", file.display())));
        }
        #[cfg(unix)]
        if std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o077 != 0 {
            return Self::Unusable(Some(format!(
                "password file {} was not used: it has group or world access; run: chmod 0600 {}",
                file.display(),
                file.display()
            )));
        }
        match fs::read_to_string(file) {
            Ok(text) => Self::Lines(text),
            Err(error) => {
                Self::Unusable(Some(format!("password file {} was not used: {error}", file.display())))
            }
        }
    }

    /// The password for this connection.
    pub(super) fn password(&self, host: &str, port: u16, dbname: &str, user: &str) -> Option<String> {
        let Self::Lines(text) = self else { return None };
        let port = port.to_string();
        let found = text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
            let rest = [host, &port, dbname, user].iter().try_fold(line, |line, field| after(line, field))?;
            Some(unescape(rest, false).0)
        });
        found.filter(|password| !password.is_empty())
    }
}

/// What comes after the first field, if that field is `*` or says this.
fn after<'l>(line: &'l str, field: &str) -> Option<&'l str> {
    if let Some(rest) = line.strip_prefix("*:") {
        return Some(rest);
    }
    let (said, rest) = unescape(line, true);
    (said == field).then_some(rest?)
}

/// Up to the next unescaped colon, and what comes after it. `\:` and `\\` stand for themselves.
fn unescape(line: &str, needs_colon: bool) -> (String, Option<&str>) {
    let mut text = String::new();
    let mut chars = line.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            ':' => return (text, Some(&line[at + 1..])),
            '\\' => text.extend(chars.next().map(|(_, escaped)| escaped)),
            c => text.push(c),
        }
    }
    // A line that ends within its fields says nothing.
    (text, (!needs_colon).then_some(""))
}

#[cfg(test)]
mod tests {
    use super::PassFile;

    #[test]
    fn the_first_matching_line_wins() {
        let file = PassFile::Lines(
            "# *:*:*:*:comment\nshort:line\nh:5432:d:u:first\nh:5432:d:u:second\nh:*:d\\:x:u:esc\\:aped\\\\:rest\n\
             *:*:*:other:any\nlocalhost:5433:*:*:local\nempty:*:*:*:\nempty:*:*:*:later"
                .to_owned(),
        );
        let of = |host: &str, port, dbname: &str, user: &str| file.password(host, port, dbname, user);
        assert_eq!(of("h", 5432, "d", "u").as_deref(), Some("first"));
        assert_eq!(of("h", 1, "d:x", "u").as_deref(), Some("esc:aped\\"));
        assert_eq!(of("elsewhere", 1, "d", "other").as_deref(), Some("any"));
        assert_eq!(of("localhost", 5433, "d", "u").as_deref(), Some("local"));
        assert_eq!(of("empty", 1, "d", "u"), None);
        assert_eq!(of("h", 5433, "d", "u"), None);
    }
}
