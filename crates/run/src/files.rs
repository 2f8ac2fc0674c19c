//! Compares the migration files with what the ledger knows. Pure.

use concertina_plan::checksum;

use crate::error::Error;
use crate::ledger::MigrationRow;
use crate::state::{MigrationFile, MigrationState};

/// Puts files in the order in which they run, each with its row in the ledger if it ever began.
///
/// # Errors
/// [`Error::File`] for a bad name, two files of one number, a file that was changed or is missing after it began, and a new file
/// that sorts before one that began.
pub fn in_order<'a>(
    files: &'a [MigrationFile],
    rows: &'a [MigrationRow],
) -> Result<Vec<(&'a MigrationFile, Option<&'a MigrationRow>)>, Error> {
    let files = sorted(files)?;
    let applied = |row: &&MigrationRow| row.state != MigrationState::Undone;
    for row in rows.iter().filter(applied) {
        match files.iter().find(|file| file.name == row.name) {
            None => return refuse(missing(row)),
            Some(file) if checksum(&file.text) != row.checksum => return refuse(changed(row)),
            Some(_) => {}
        }
    }
    let known = |file: &MigrationFile| rows.iter().find(|row| row.name == file.name);
    let last = files.iter().rposition(|file| known(file).as_ref().is_some_and(applied));
    // One that was undone is not late: it had its turn, and taking it back was a decision.
    if let Some(last) = last
        && let Some(late) = files[..last].iter().find(|file| known(file).is_none())
    {
        return refuse(format!(
            "{}.sql is new, but sorts before {}, which has run already: databases that run both in order would differ \
             from this one\n  give it a number after {} (or a new timestamp)",
            late.name, files[last].name, files[last].name
        ));
    }
    Ok(files.into_iter().map(|file| (file, known(file))).collect())
}

/// Those of [`in_order`] that have not begun, or were undone.
///
/// # Errors
/// As [`in_order`].
pub fn pending<'a>(
    files: &'a [MigrationFile],
    rows: &'a [MigrationRow],
) -> Result<Vec<&'a MigrationFile>, Error> {
    let open = |row: Option<&MigrationRow>| row.is_none_or(|row| row.state == MigrationState::Undone);
    let files = in_order(files, rows)?;
    Ok(files.into_iter().filter(|(_, row)| open(*row)).map(|(file, _)| file).collect())
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
                    "{}.sql is not a migration's name: it is a number of four digits or a timestamp of fourteen, \"_\", and what \
                     it does in letters, digits, \"_\" and \"-\", such as 0042_add_email.sql",
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

/// The number in front of a well-formed name.
fn number(name: &str) -> Option<u64> {
    let (number, what) = name.split_once('_')?;
    let digits = matches!(number.len(), 4 | 14) && number.bytes().all(|b| b.is_ascii_digit());
    let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    if digits && !what.is_empty() && what.chars().all(word) { number.parse().ok() } else { None }
}

fn missing(row: &MigrationRow) -> String {
    format!(
        "{}.sql is missing, but the migration {}\n  bring the file back from version control{}",
        row.name,
        stands(row.state),
        if row.state == MigrationState::Done {
            ""
        } else {
            ", or take the migration back with `concertina undo`"
        }
    )
}

fn changed(row: &MigrationRow) -> String {
    let way_out = match row.state {
        MigrationState::Done => {
            "bring the file back as it was from version control, and put the change into a new one".to_owned()
        }
        _ => format!(
            "bring the file back as it was, or take the migration back with `concertina undo {}` and run the new text",
            row.name
        ),
    };
    format!("{}.sql was changed after the migration began: it {}\n  {way_out}", row.name, stands(row.state))
}

fn stands(state: MigrationState) -> &'static str {
    match state {
        MigrationState::Done => "has run",
        MigrationState::Expanded => "is expanded and waits for contract",
        MigrationState::Pending | MigrationState::Undone => "has not run",
        MigrationState::Expanding | MigrationState::Contracting | MigrationState::Undoing => "is under way",
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
        match (pending(&files, &rows), expected) {
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
        check(&["12_x"], &[], Err("12_x.sql is not"));
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
        assert!(in_order(std::slice::from_ref(&file), &rows).is_err());
        let rows = [MigrationRow { checksum: checksum("-- 0001_a\n"), ..row("0001_a", Done) }];
        assert!(in_order(std::slice::from_ref(&file), &rows).is_ok());
    }

    #[test]
    fn late_ones_are_refused_and_undone_ones_may_run_again() {
        check(
            &["0001_a", "0002_b"],
            &[("0002_b", Expanded)],
            Err("0001_a.sql is new, but sorts before 0002_b"),
        );
        check(&["0001_a", "0002_b"], &[("0001_a", Undone), ("0002_b", Done)], Ok(&["0001_a"]));
    }
}
