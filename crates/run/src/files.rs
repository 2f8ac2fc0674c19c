//! Compares the migration files with what the ledger knows. Pure.

use concertina_plan::checksum;

use crate::error::Error;
use crate::ledger::MigrationRow;
use crate::state::{MigrationFile, MigrationState};

/// Puts files in the order in which they run, each with its row in the ledger if it ever began.
///
/// # Errors
/// [`Error::File`] for a bad name, two files of one number, a file that was changed or is missing after it began, and a new file
/// that sorts before one that began, unless `out_of_order`.
pub fn in_order<'a>(
    files: &'a [MigrationFile],
    rows: &'a [MigrationRow],
    out_of_order: bool,
) -> Result<Vec<(&'a MigrationFile, Option<&'a MigrationRow>)>, Error> {
    let files = sorted(files)?;
    for row in rows.iter().filter(|row| applied(row)) {
        as_recorded(&files, row)?;
    }
    let known = |file: &MigrationFile| rows.iter().find(|row| row.name == file.name);
    for file in files.iter().filter(|file| !out_of_order && known(file).is_none()) {
        if let Some(last) = overtaken_by(&file.name, rows) {
            return refuse(late(&file.name, last));
        }
    }
    Ok(files.into_iter().map(|file| (file, known(file))).collect())
}

/// The last migration that is applied although it comes after this new one. One that was undone is not late: it had its turn,
/// and taking it back was a decision.
pub fn overtaken_by<'r>(name: &str, rows: &'r [MigrationRow]) -> Option<&'r str> {
    if rows.iter().any(|row| row.name == name) {
        return None;
    }
    let own = number(name)?;
    let later = rows.iter().filter(|row| applied(row)).filter_map(|row| Some((number(&row.name)?, row)));
    later.max_by(|(a, _), (b, _)| a.cmp(b)).filter(|(last, _)| *last > own).map(|(_, row)| row.name.as_str())
}

/// Begun, and not taken back.
fn applied(row: &MigrationRow) -> bool {
    row.state != MigrationState::Undone
}

/// The file of a migration that began is there, with the text that the ledger knows; or is known to be gone.
pub(crate) fn as_recorded(files: &[&MigrationFile], row: &MigrationRow) -> Result<(), Error> {
    match files.iter().find(|file| file.name == row.name) {
        None if row.file_is_gone() => Ok(()),
        None => refuse(missing(row)),
        Some(file) if checksum(&file.text) != row.checksum => refuse(changed(row)),
        Some(_) => Ok(()),
    }
}

/// Orders by number: `0009_x`, `0010_y`, `20261121103000_z`.
///
/// # Errors
/// [`Error::File`] for a bad name and for two files of one number.
pub fn sorted(files: &[MigrationFile]) -> Result<Vec<&MigrationFile>, Error> {
    let mut numbered = Vec::with_capacity(files.len());
    for file in files {
        match number(&file.name) {
            Some(number) => numbered.push((number, file)),
            None => {
                return refuse(format!(
                    "{}.sql is not a migration's name: it is a number or a timestamp, \"_\", and what it does in letters, digits, \
                     \"_\" and \"-\", such as 0042_add_email.sql",
                    file.name
                ));
            }
        }
    }
    numbered.sort_by(|(a, left), (b, right)| (a, &left.name).cmp(&(b, &right.name)));
    if let Some(pair) = numbered.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return refuse(format!(
            "{}.sql and {}.sql have the same number, so which runs first is left open\n  give one of them the next free number",
            pair[0].1.name, pair[1].1.name
        ));
    }
    Ok(numbered.into_iter().map(|(_, file)| file).collect())
}

/// The number in front of a well-formed name, so that numbers of any length compare: how many digits without leading zeros, and
/// which. Dashes may part them, as in `2025-01-31-120000_x`.
fn number(name: &str) -> Option<(usize, String)> {
    let (number, what) = name.split_once('_')?;
    let well = number.starts_with(|c: char| c.is_ascii_digit())
        && number.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    if !well || what.is_empty() || !what.chars().all(word) {
        return None;
    }
    let digits = number.replace('-', "");
    let digits = digits.trim_start_matches('0');
    Some((digits.len(), digits.to_owned()))
}

/// The first migration comes before the second, or is it.
pub(crate) fn not_after(name: &str, other: &str) -> bool {
    number(name) <= number(other)
}

fn late(name: &str, last: &str) -> String {
    format!(
        "{name}.sql is new, but sorts before {last}, which has run already: databases that run both in order would differ \
         from this one\n  give it a number after {last} (or a new timestamp), or run it all the same with --allow-out-of-order"
    )
}

fn missing(row: &MigrationRow) -> String {
    let way_out = match row.state {
        MigrationState::Done => format!(
            "bring the file back from version control; if it is gone on purpose: concertina accept {} --reason \"…\"",
            row.name
        ),
        _ => "bring the file back from version control, or take the migration back with `concertina undo`"
            .to_owned(),
    };
    format!("{}.sql is missing, but the migration {}\n  {way_out}", row.name, stands(row))
}

fn changed(row: &MigrationRow) -> String {
    let way_out = match row.state {
        MigrationState::Done => format!(
            "bring the file back as it was from version control, and put the change into a new one; if the database is as it \
             should be and only the text differs: concertina accept {} --reason \"…\"",
            row.name
        ),
        _ => format!(
            "bring the file back as it was, or take the migration back with `concertina undo {}` and run the new text",
            row.name
        ),
    };
    let what = if row.file_is_gone() {
        "is there again, although its absence was accepted"
    } else {
        "was changed after the migration began"
    };
    format!("{}.sql {what}: it {}\n  {way_out}", row.name, stands(row))
}

fn stands(row: &MigrationRow) -> &'static str {
    match row.state {
        MigrationState::Done if row.is_baseline() => "is part of the baseline",
        MigrationState::Done => "has run",
        MigrationState::Expanded | MigrationState::Switched => "is expanded and waits for contract",
        MigrationState::Pending | MigrationState::Undone => "has not run",
        MigrationState::Expanding | MigrationState::Contracting | MigrationState::Undoing => "is under way",
    }
}

/// What finishes a migration that is in flight, or takes it back.
pub(crate) fn ways_on(row: &MigrationRow) -> String {
    let name = &row.name;
    match row.state {
        MigrationState::Expanding if row.simple => {
            format!("finish {name} with `concertina apply --simple`")
        }
        MigrationState::Expanding => {
            format!(
                "finish {name} with `concertina expand` and `concertina contract`, or take it back with `concertina undo {name}`"
            )
        }
        MigrationState::Undoing => format!("finish taking {name} back with `concertina undo {name}`"),
        _ => format!(
            "finish {name} with `concertina contract {name}`, or take it back with `concertina undo {name}`"
        ),
    }
}

fn refuse<T>(message: String) -> Result<T, Error> {
    Err(Error::File { message })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> MigrationFile {
        MigrationFile { name: name.to_owned(), text: format!("-- {name}") }
    }

    fn row(name: &str, state: MigrationState) -> MigrationRow {
        MigrationRow {
            id: 1,
            name: name.to_owned(),
            checksum: checksum(&file(name).text),
            state,
            simple: false,
            plan: None,
            started_at: String::new(),
            changed_at: String::new(),
            by: String::new(),
            error: None,
        }
    }

    #[track_caller]
    fn check(files: &[&str], rows: &[(&str, MigrationState)], expected: Result<&[&str], &str>) {
        let files: Vec<_> = files.iter().map(|name| file(name)).collect();
        let rows: Vec<_> = rows.iter().map(|(name, state)| row(name, *state)).collect();
        let found = in_order(&files, &rows, false).map(|all| {
            let open = |row: Option<&MigrationRow>| row.is_none_or(|row| row.state == Undone);
            all.into_iter().filter(|(_, row)| open(*row)).map(|(file, _)| file).collect::<Vec<_>>()
        });
        match (found, expected) {
            (Ok(found), Ok(expected)) => {
                assert_eq!(found.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(), expected);
            }
            (Err(Error::File { message }), Err(expected)) => {
                assert!(message.contains(expected), "{message}");
            }
            (found, expected) => panic!("{found:?} is not {expected:?}"),
        }
    }

    use MigrationState::{Done, Expanded, Undone};

    #[test]
    fn pending_ones_in_order_of_number() {
        check(
            &["20261121103000_c", "0002_b", "0001_a", "0010_d"],
            &[("0001_a", Done)],
            Ok(&["0002_b", "0010_d", "20261121103000_c"]),
        );
        check(&[], &[], Ok(&[]));
    }

    #[test]
    fn names_and_numbers() {
        check(&["add_email"], &[], Err("add_email.sql is not"));
        check(&["x12_x"], &[], Err("x12_x.sql is not"));
        check(&["-12_x"], &[], Err("-12_x.sql is not"));
        check(
            &["2025-01-31-120000_b", "2025-01-30-120000_a"],
            &[],
            Ok(&["2025-01-30-120000_a", "2025-01-31-120000_b"]),
        );
        check(&["10_b", "009_a"], &[], Ok(&["009_a", "10_b"]));
        check(&["0010_b", "10_a"], &[], Err("have the same number"));
        check(&["0001_"], &[], Err("0001_.sql is not"));
        check(&["0001_a b"], &[], Err("0001_a b.sql is not"));
        check(&["0001_a", "0001_b"], &[], Err("0001_a.sql and 0001_b.sql have the same number"));
        check(&["0001_größe-2"], &[], Ok(&["0001_größe-2"]));
    }

    #[test]
    fn what_began_must_be_there_unchanged() {
        check(&["0002_b"], &[("0001_a", Done)], Err("0001_a.sql is missing"));
        check(&["0002_b"], &[("0001_a", Expanded)], Err("concertina undo"));
        check(&["0002_b"], &[("0001_a", Undone)], Ok(&["0002_b"]));

        let mut file = file("0001_a");
        let rows = [row("0001_a", Done)];
        file.text.push_str("\r\n");
        assert!(in_order(std::slice::from_ref(&file), &rows, false).is_err());
        let rows = [MigrationRow { checksum: checksum("-- 0001_a\n"), ..row("0001_a", Done) }];
        assert!(in_order(std::slice::from_ref(&file), &rows, false).is_ok());
    }

    #[test]
    fn late_ones_are_refused_and_undone_ones_may_run_again() {
        check(
            &["0001_a", "0002_b"],
            &[("0002_b", Expanded)],
            Err("0001_a.sql is new, but sorts before 0002_b"),
        );
        check(&["0001_a", "0002_b"], &[("0002_b", Done)], Err("--allow-out-of-order"));
        check(&["0001_a", "0002_b"], &[("0001_a", Undone), ("0002_b", Done)], Ok(&["0001_a"]));
    }

    #[test]
    fn late_ones_may_be_allowed_and_are_known_as_such() {
        let files = [file("0001_a"), file("0002_b"), file("0003_c")];
        let rows = [row("0002_b", Done)];
        let names: Vec<_> =
            in_order(&files, &rows, true).unwrap().into_iter().map(|(file, _)| file.name.as_str()).collect();
        assert_eq!(names, ["0001_a", "0002_b", "0003_c"]);
        assert_eq!(overtaken_by("0001_a", &rows), Some("0002_b"));
        assert_eq!(overtaken_by("0002_b", &rows), None);
        assert_eq!(overtaken_by("0003_c", &rows), None);
        // What was taken back is overtaken by nobody, and overtakes nobody.
        assert_eq!(overtaken_by("0001_a", &[row("0002_b", Undone)]), None);
        assert_eq!(overtaken_by("0001_a", &[row("0001_a", Undone), row("0002_b", Done)]), None);
        // It has run whether or not its file is still there.
        let gone = [MigrationRow { checksum: String::new(), ..row("0002_b", Done) }];
        assert!(in_order(&files[..1], &gone, false).is_err());
    }

    #[test]
    fn a_finished_one_may_be_accepted_and_the_messages_say_how() {
        check(&[], &[("0001_a", Done)], Err("concertina accept 0001_a --reason"));
        let gone = [MigrationRow { checksum: String::new(), ..row("0001_a", Done) }];
        assert!(in_order(&[], &gone, false).unwrap().is_empty());
        let again = in_order(&[file("0001_a")], &gone, false).unwrap_err().to_string();
        assert!(again.contains("is there again") && again.contains("accept 0001_a"), "{again}");
        let other = [MigrationRow { checksum: "00".to_owned(), ..row("0001_a", Done) }];
        let changed = in_order(&[file("0001_a")], &other, false).unwrap_err().to_string();
        assert!(changed.contains("concertina accept 0001_a --reason"), "{changed}");
        let flying = [MigrationRow { checksum: "00".to_owned(), ..row("0001_a", Expanded) }];
        let changed = in_order(&[file("0001_a")], &flying, false).unwrap_err().to_string();
        assert!(changed.contains("undo 0001_a") && !changed.contains("accept"), "{changed}");
    }
}
