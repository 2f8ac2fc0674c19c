//! What lies in the archive, as a table.

use concertina_run::archive::{ArchivedObject, Contents, Loaded};

use super::{bytes, count, plural, table, table_text, time};

/// Oldest first.
pub fn text(objects: &[ArchivedObject]) -> String {
    if objects.is_empty() {
        return "The archive is empty.\n".to_owned();
    }
    let mut out = table(&["WHAT", "SIZE", "SINCE", "MIGRATION", "ARCHIVED AS"]);
    for object in objects {
        let size = object.bytes.map_or_else(|| "-".to_owned(), bytes);
        let name = object.archived.name.to_string();
        out.add_row([&object.archived.of, &size, &time(&object.since), &object.migration, &name]);
    }
    let total: u64 = objects.iter().filter_map(|object| object.bytes).sum();
    format!("{}{} in all\n", table_text(&out), bytes(total))
}

/// What a purge removed.
pub fn purged(gone: &[ArchivedObject], kept: usize) -> String {
    let freed: u64 = gone.iter().filter_map(|object| object.bytes).sum();
    let rest = format!("{} left in the archive", plural(kept, "object"));
    if gone.is_empty() {
        return format!("Nothing to remove; {rest}.\n");
    }
    let lines: String =
        gone.iter().map(|object| format!("  {} ({})\n", object.archived.of, saved(object))).collect();
    format!("Removed for good, {}:\n{lines}{rest}.\n", bytes(freed))
}

/// Whether there is a file of it, as far as the ledger knows.
pub fn saved(object: &ArchivedObject) -> String {
    match &object.saved {
        Some((file, at)) => format!("saved in {file}, {}", time(at)),
        None => "not saved in a file".to_owned(),
    }
}

/// What a file holds.
pub fn file(headline: &str, contents: &Contents) -> String {
    let mut out = table(&["WHAT", "ROWS", "SHA-256"]);
    for (definition, rows) in &contents.objects {
        let (number, sha256) = match rows {
            Some(rows) => (count(rows.rows), rows.sha256.as_str()),
            None => ("-".to_owned(), "-"),
        };
        out.add_row([&definition.archived.of, &number, sha256]);
    }
    let header = &contents.header;
    format!(
        "{}{headline}: {}, {} of migration {}, from database {}, {}\n",
        table_text(&out),
        plural(contents.objects.len(), "object"),
        rows(contents),
        header.migration,
        header.database,
        time(&header.saved_at)
    )
}

fn rows(contents: &Contents) -> String {
    let rows = contents.rows();
    format!("{} {}", count(rows), if rows == 1 { "row" } else { "rows" })
}

/// What a file brought back.
pub fn loaded(loaded: &Loaded) -> String {
    let migration = &loaded.contents.header.migration;
    if loaded.made.is_empty() {
        return format!(
            "Everything that the file holds is still in the archive; nothing was done. `concertina undo {migration}` works.\n"
        );
    }
    let lines: String = loaded
        .contents
        .objects
        .iter()
        .filter(|(definition, _)| loaded.made.contains(&definition.archived.name.to_string()))
        .map(|(definition, _)| format!("  {}\n", definition.archived.of))
        .collect();
    format!(
        "Brought back into the archive, and compared with the file:\n{lines}`concertina undo {migration}` works again.\n"
    )
}
