//! Estimates for people.

use super::duration::{Basis, Expected};
use super::room::Room;

/// "up to 120.0 MB, of it 40.0 MB only while it runs; writes 340.0 MB of WAL"; nothing where it needs no room.
pub fn room(room: &Room) -> Option<String> {
    let Room { keeps, passing, wal } = *room;
    let disk = match (keeps, passing) {
        (0, 0) if wal == 0 => return None,
        (0, 0) => None,
        (0, passing) => Some(format!("up to {} while it runs", bytes(passing))),
        (keeps, 0) => Some(format!("up to {}", bytes(keeps))),
        (keeps, passing) => Some(format!("up to {}, and {} while it runs", bytes(keeps), bytes(passing))),
    };
    let wal = (wal > 0).then(|| format!("up to {} of WAL written", bytes(wal)));
    Some(disk.into_iter().chain(wal).collect::<Vec<_>>().join("; "))
}

/// "4 s to 2 min (nothing measured on this server yet)"
pub fn span(expected: &Expected) -> String {
    let basis = match expected.basis {
        Basis::Unmeasured => "nothing measured on this server yet".to_owned(),
        Basis::Measured(1) => "as an earlier step on this server".to_owned(),
        Basis::Measured(count) => format!("as {count} earlier steps on this server"),
    };
    let (low, high) = (seconds(expected.low), seconds(expected.high));
    let range = match (low, high) {
        (None, None) => "under 1 s".to_owned(),
        (None, Some(high)) => format!("up to {high}"),
        (Some(low), Some(high)) if low == high => format!("about {low}"),
        (Some(low), high) => format!("{low} to {}", high.unwrap_or_default()),
    };
    format!("{range} ({basis})")
}

/// One or two digits; nothing below a second.
fn seconds(seconds: f64) -> Option<String> {
    const UNITS: [(f64, &str); 4] = [(86_400.0, "days"), (3_600.0, "h"), (60.0, "min"), (1.0, "s")];
    // A range that was rounded down to nothing is no less than a second in its own words.
    let (unit, name) = UNITS.into_iter().find(|(unit, _)| seconds >= unit * 2.0).unwrap_or((1.0, "s"));
    let number = (seconds / unit).ceil();
    (seconds >= 1.0 && number.is_finite()).then(|| format!("{number:.0} {name}"))
}

/// `3.4 MB`, in powers of 1024 as `pg_size_pretty` counts.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    let mut size = bytes as f64;
    let mut unit = "bytes";
    for next in UNITS {
        if size < 1024.0 {
            break;
        }
        (size, unit) = (size / 1024.0, next);
    }
    if unit == "bytes" { format!("{bytes} bytes") } else { format!("{size:.1} {unit}") }
}
