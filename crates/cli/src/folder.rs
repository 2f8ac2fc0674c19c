//! The migrations folder: `0001_name.sql` or `20261121103000_name.sql`, in order of the number.

use std::fs;
use std::path::{Path, PathBuf};

use concertina_run::state::MigrationFile;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::failure::Failure;

/// Digits from which on a number is taken for a timestamp: `YYYYMMDDHHMM`.
const TIMESTAMP_DIGITS: usize = 12;

/// What the folder holds, in order.
#[derive(Clone, Debug)]
pub struct Folder {
    /// The folder.
    pub path: PathBuf,
    /// Migration files, in the order in which they run.
    pub files: Vec<MigrationFile>,
}

/// The two halves of a migration's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Numbered<'a> {
    /// `0001`, `20261121103000`, `2026-11-21-103000`
    number: &'a str,
    /// What follows the first underscore.
    title: &'a str,
}

impl Folder {
    /// Reads all of it.
    ///
    /// # Errors
    /// When the folder is missing, or a file in it cannot be one of a sequence of migrations. Nothing is skipped silently,
    /// except hidden files and those that do not end in `.sql`.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let entries = fs::read_dir(path).map_err(|error| {
            Failure::file(format!("cannot read the migrations folder {}: {error}", path.display()))
                .hint("`concertina init` makes it; --migrations or concertina.toml name another one.")
        })?;
        let mut names = Vec::new();
        for entry in entries {
            let entry =
                entry.map_err(|error| Failure::file(format!("cannot read {}: {error}", path.display())))?;
            let name = entry.file_name().into_string().map_err(|name| {
                Failure::file(format!("{} is not UTF-8", path.join(name).display())).hint("Rename it.")
            })?;
            if name.ends_with(".sql") && !name.starts_with('.') {
                names.push(name);
            }
        }
        names.sort();
        let names: Vec<&str> = names.iter().filter_map(|name| name.strip_suffix(".sql")).collect();
        check_sequence(path, &names)?;
        let files = names
            .into_iter()
            .map(|name| {
                let text = read_text(&path.join(format!("{name}.sql")))?;
                Ok(MigrationFile { name: name.to_owned(), text })
            })
            .collect::<Result<_, Failure>>()?;
        Ok(Self { path: path.to_owned(), files })
    }

    /// The path of a migration of this folder.
    pub fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}.sql"))
    }

    /// The name of the migration that is meant, if one is wanted.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn only(&self, wanted: Option<&str>) -> Result<Option<&str>, Failure> {
        wanted.map(|wanted| Ok(self.find(wanted)?.name.as_str())).transpose()
    }

    /// The migration that is meant by a name, a file name, a path, a number or a title.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub fn find(&self, wanted: &str) -> Result<&MigrationFile, Failure> {
        let file_name = Path::new(wanted).file_name().and_then(|name| name.to_str()).unwrap_or(wanted);
        let name = file_name.strip_suffix(".sql").unwrap_or(file_name);
        if let Some(file) = self.files.iter().find(|file| file.name == name) {
            return Ok(file);
        }
        let short = |file: &&MigrationFile| {
            numbered(&file.name)
                .is_ok_and(|it| it.title == name || digits(it.number) == digits(name) && is_number(name))
        };
        match self.files.iter().filter(short).collect::<Vec<_>>().as_slice() {
            [one] => Ok(one),
            [] => Err(Failure::file(format!("there is no migration {wanted} in {}", self.path.display()))
                .hint(match self.files.last() {
                    Some(last) => format!("The newest one is {}.", last.name),
                    None => "The folder has no migrations yet; `concertina new NAME` makes one.".to_owned(),
                })),
            several => Err(Failure::file(format!(
                "{wanted} may mean {}",
                several.iter().map(|file| file.name.as_str()).collect::<Vec<_>>().join(" or ")
            ))
            .hint("Give the whole name.")),
        }
    }

    /// The path of a new migration: the next number, or the present time where the folder uses timestamps.
    ///
    /// # Errors
    /// When `title` has no letters or digits, or the numbers of the folder's length are used up.
    pub fn next(&self, title: &str, timestamps: bool, now: Timestamp) -> Result<PathBuf, Failure> {
        let title = slug(title)?;
        let last = self.files.last().and_then(|file| numbered(&file.name).ok()).map(|it| it.number);
        let name = format!("{}_{title}", next_number(last, timestamps, now));
        let mut names: Vec<&str> =
            self.files.iter().map(|file| file.name.as_str()).chain([name.as_str()]).collect();
        names.sort_unstable();
        check_sequence(&self.path, &names)?;
        Ok(self.path_of(&name))
    }
}

/// Reads a migration's text.
///
/// # Errors
/// When it cannot be read or is not UTF-8.
pub fn read_text(path: &Path) -> Result<String, Failure> {
    let bytes =
        fs::read(path).map_err(|error| Failure::file(format!("cannot read {}: {error}", path.display())))?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        Failure::file(format!("{}:{line}: not UTF-8 at byte {at}", path.display()))
            .hint("Convert the file to UTF-8; the server's encoding does not matter for it.")
    })
}

fn numbered(name: &str) -> Result<Numbered<'_>, &'static str> {
    let (number, title) = name.split_once('_').ok_or("it has no underscore after a number")?;
    if !is_number(number) {
        return Err("it does not begin with a number or a timestamp and an underscore");
    }
    if title.contains('.') {
        return Err(
            "it has a second dot: files that undo others (`.down.sql`) are not needed, `concertina undo` knows how",
        );
    }
    if title.is_empty() || !title.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-') {
        return Err("after the number only letters, digits, `_` and `-` may follow");
    }
    Ok(Numbered { number, title })
}

fn is_number(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(|c| c.is_ascii_digit() || c == '-')
}

/// The digits without leading zeros: comparable by length, then as text, without a bound.
fn digits(number: &str) -> (usize, String) {
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.trim_start_matches('0').to_owned();
    (digits.len(), digits)
}

/// `names` are sorted as text, which is the order that the ledger and `ls` show. The numbers must agree with it.
fn check_sequence(folder: &Path, names: &[&str]) -> Result<(), Failure> {
    let mut previous: Option<(&str, Numbered)> = None;
    for name in names {
        let path = folder.join(format!("{name}.sql"));
        let it = numbered(name).map_err(|why| {
            Failure::file(format!("{} is not a migration's name: {why}", path.display()))
                .hint("Call it like 0007_add_users.sql, or move it out of the folder.")
        })?;
        if let Some((before, known)) = previous {
            if digits(known.number) == digits(it.number) {
                return Err(Failure::file(format!("{before} and {name} have the same number"))
                    .hint("Give the one that was not applied yet the next free number."));
            }
            if digits(known.number) > digits(it.number) {
                return Err(Failure::file(format!(
                    "by name {before} comes before {name}, by number after it: the order is not clear"
                ))
                .hint("Fill the numbers up with zeros to one length."));
            }
        }
        previous = Some((name, it));
    }
    Ok(())
}

fn slug(title: &str) -> Result<String, Failure> {
    let title = title.strip_suffix(".sql").unwrap_or(title).to_lowercase();
    let words: Vec<&str> =
        title.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    if words.is_empty() {
        return Err(Failure::usage("a migration's name needs letters or digits")
            .hint("For instance: concertina new add_users_email"));
    }
    Ok(words.join("_"))
}

fn next_number(last: Option<&str>, timestamps: bool, now: Timestamp) -> String {
    let like = last.unwrap_or("");
    let stamped = digits(like).0 >= TIMESTAMP_DIGITS;
    if stamped || timestamps {
        let format = if like.contains('-') { "%Y-%m-%d-%H%M%S" } else { "%Y%m%d%H%M%S" };
        let stamp = now.to_zoned(TimeZone::UTC).strftime(format).to_string();
        if digits(&stamp) > digits(like) {
            return stamp;
        }
    }
    let next = digits(like).1.parse::<u128>().unwrap_or(0) + 1;
    // A timestamp from the future is followed by the next number: order is what matters.
    let width = if like.contains('-') || like.is_empty() { 4 } else { like.len() };
    format!("{next:0width$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> (tempfile::TempDir, Result<Folder, Failure>) {
        let directory = tempfile::tempdir().unwrap();
        for file in files {
            fs::write(directory.path().join(file), "SELECT 1;\n").unwrap();
        }
        let folder = Folder::read(directory.path());
        (directory, folder)
    }

    #[test]
    fn files_come_in_order_and_others_are_left_alone() {
        let (_keep, read) =
            folder(&["0002_b.sql", "0001_a.sql", "README.md", ".0003_swap.sql", "0010_ü-x.sql"]);
        let names: Vec<String> = read.unwrap().files.into_iter().map(|file| file.name).collect();
        assert_eq!(names, ["0001_a", "0002_b", "0010_ü-x"]);
    }

    #[test]
    fn what_cannot_be_put_in_order_is_an_error_that_names_it() {
        for (files, said) in [
            (&["0001_a.sql", "seed.sql"][..], "seed.sql"),
            (&["0001_a.down.sql"], "0001_a.down.sql"),
            (&["0001_a.sql", "0001_b.sql"], "0001_a and 0001_b"),
            (&["9_a.sql", "10_b.sql"], "10_b"),
            (&["0001_a b.sql"], "0001_a b.sql"),
        ] {
            let (_keep, read) = folder(files);
            let failure = read.unwrap_err();
            assert!(failure.message.contains(said), "{files:?}: {}", failure.message);
            assert!(failure.hint.is_some());
        }
    }

    #[test]
    fn a_migration_is_found_by_whatever_names_it() {
        let (_keep, read) = folder(&["0001_users.sql", "0002_orders.sql", "0003_users.sql"]);
        let read = read.unwrap();
        for wanted in ["0002_orders", "0002_orders.sql", "migrations/0002_orders.sql", "0002", "2", "orders"]
        {
            assert_eq!(read.find(wanted).unwrap().name, "0002_orders", "{wanted}");
        }
        assert!(read.find("users").unwrap_err().message.contains("0001_users or 0003_users"));
        assert!(read.find("0004").unwrap_err().hint.unwrap().contains("0003_users"));
    }

    #[test]
    fn a_new_file_follows_the_folder_s_own_way() {
        let now: Timestamp = "2026-11-21T10:30:00Z".parse().unwrap();
        let next = |last: Option<&str>, timestamps| next_number(last, timestamps, now);
        assert_eq!(next(None, false), "0001");
        assert_eq!(next(None, true), "20261121103000");
        assert_eq!(next(Some("0041"), false), "0042");
        assert_eq!(next(Some("99"), false), "100");
        assert_eq!(next(Some("20250101000000"), false), "20261121103000");
        assert_eq!(next(Some("2025-01-01-000000"), false), "2026-11-21-103000");
        assert_eq!(next(Some("20270101000000"), false), "20270101000001");
        assert_eq!(slug("Add users' E-Mail.sql").unwrap(), "add_users_e_mail");
        assert!(slug("--").is_err());
    }

    #[test]
    fn text_that_is_not_utf_8_is_an_error_with_its_line() {
        let (keep, _) = folder(&[]);
        fs::write(keep.path().join("0001_a.sql"), b"SELECT 1;\nSELECT '\xff';\n").unwrap();
        let failure = Folder::read(keep.path()).unwrap_err();
        assert!(failure.message.contains("0001_a.sql:2:"), "{}", failure.message);
    }
}
