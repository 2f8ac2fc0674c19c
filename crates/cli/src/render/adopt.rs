//! What `baseline`, `accept` and `uninstall` say.

use concertina_run::adopt::{Acceptance, Accepted, Baseline};
use concertina_run::uninstall::Removed;

use super::{BAD, GOOD, STRONG, plural};

/// What is recorded now.
pub fn baseline(baseline: &Baseline) -> String {
    let recorded = &baseline.recorded;
    match (recorded.as_slice(), baseline.known.as_slice()) {
        ([], []) => {
            "The ledger is ready. There are no migration files, so the database as it is becomes the start: new files run on top \
             of it.\nNext: concertina new NAME\n"
                .to_owned()
        }
        ([], _) => "Nothing to record: every migration up to there is applied already.\n".to_owned(),
        ([one], _) => format!("{STRONG}{one}{STRONG:#}: {GOOD}recorded as applied{GOOD:#}. Nothing was run.\n"),
        ([first, .., last], _) => format!(
            "{}, {STRONG}{first}{STRONG:#} to {STRONG}{last}{STRONG:#}: {GOOD}recorded as applied{GOOD:#}. Nothing was run.\n",
            plural(recorded.len(), "migration")
        ),
    }
}

/// What was accepted.
pub fn accepted(accepted: &Accepted) -> String {
    let what = match accepted.what {
        Acceptance::Changed => "the file's present text is accepted",
        Acceptance::Gone => "it is accepted that the file is gone",
        Acceptance::Nothing => "nothing to accept; the ledger and the folder agree",
    };
    format!("{STRONG}{}{STRONG:#}: {GOOD}{what}{GOOD:#}.\n", accepted.migration)
}

/// What is asked before archives go.
pub fn archives(archives: &[String]) -> String {
    let list: String = archives.iter().map(|archive| format!("\n  {archive}")).collect();
    format!(
        "{BAD}These archives hold the only copy of what was dropped{BAD:#}, and go with everything else:{list}"
    )
}

/// What is gone.
pub fn removed(removed: &Removed) -> String {
    if removed.schemas.is_empty() {
        return "Nothing to remove: there is nothing of Concertina's in this database.\n".to_owned();
    }
    let mut out = String::new();
    for trigger in &removed.triggers {
        out.push_str(&format!("trigger {trigger}: removed\n"));
    }
    for schema in &removed.schemas {
        let archives = match removed.archives.len() {
            0 => String::new(),
            _ if schema != "concertina_archive" => String::new(),
            count => format!(", with {}", plural(count, "object")),
        };
        out.push_str(&format!("schema {STRONG}{schema}{STRONG:#}: {GOOD}removed{GOOD:#}{archives}\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_baseline_of_none_one_and_many() {
        let said = |recorded: &[&str], known: &[&str]| {
            let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
            let text = baseline(&Baseline { recorded: owned(recorded), known: owned(known) });
            anstream::adapter::strip_str(&text).to_string()
        };
        assert!(said(&[], &[]).starts_with("The ledger is ready."));
        assert!(said(&[], &["0001_a"]).starts_with("Nothing to record"));
        assert_eq!(said(&["0001_a"], &[]), "0001_a: recorded as applied. Nothing was run.\n");
        assert_eq!(
            said(&["0001_a", "0002_b", "0003_c"], &[]),
            "3 migrations, 0001_a to 0003_c: recorded as applied. Nothing was run.\n"
        );
    }
}
