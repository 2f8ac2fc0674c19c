//! What lies in the archive, as a table.

use concertina_run::archive::ArchivedObject;

use super::{bytes, plural, table, table_text, time};

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
    let lines: String = gone.iter().map(|object| format!("  {}\n", object.archived.of)).collect();
    format!("Removed for good, {}:\n{lines}{rest}.\n", bytes(freed))
}
