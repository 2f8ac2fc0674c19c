//! What `check` found, a line a migration.

use concertina_run::check::Checked;
use concertina_run::dump::Skipped;

use super::{BAD, GOOD, STRONG, WARN, plural};
use crate::exit_code::ExitCode;
use crate::failure::Failure;

/// The dump, what was taken as it is, then each migration.
pub fn text(checked: &Checked, origin: Option<&str>) -> String {
    let mut out = String::new();
    if let (Some(loaded), Some(origin)) = (&checked.loaded, origin) {
        out.push_str(&format!("{origin}: {} loaded\n", plural(loaded.statements, "statement")));
        for (why, lines) in by_reason(&loaded.skipped) {
            let how_often = match lines.as_slice() {
                [_] => String::new(),
                more => format!(", and {} for the same reason", plural(more.len() - 1, "other")),
            };
            let first = lines.first().copied().unwrap_or_default();
            out.push_str(&format!("{origin}:{first}: {WARN}left out{WARN:#}: {why}{how_often}\n"));
        }
    }
    let how = if checked.loaded.is_some() { "taken as applied" } else { "run as written, not planned" };
    match checked.taken.as_slice() {
        [] => {}
        [one] => out.push_str(&format!("{STRONG}{one}{STRONG:#}: {how}\n")),
        [first, .., last] => out.push_str(&format!(
            "{}, {STRONG}{first}{STRONG:#} to {STRONG}{last}{STRONG:#}: {how}\n",
            plural(checked.taken.len(), "migration")
        )),
    }
    for file in &checked.files {
        let found = match &file.plan {
            Ok(plan) => format!("{GOOD}plans{GOOD:#}, {}", plural(plan.steps.len(), "step")),
            Err(why) => format!("{BAD}refused{BAD:#}, {}", plural(why.len(), "reason")),
        };
        out.push_str(&format!("{STRONG}{}{STRONG:#}: {found}\n", file.name));
    }
    if checked.files.is_empty() && checked.failed.is_none() {
        out.push_str("There is nothing to plan.\n");
    }
    out
}

/// Lines by what the server said: a dump has an owner for each of hundreds of tables.
fn by_reason(skipped: &[Skipped]) -> Vec<(&str, Vec<usize>)> {
    let mut reasons: Vec<(&str, Vec<usize>)> = Vec::new();
    for skipped in skipped {
        let why = skipped.why.lines().next().unwrap_or_default();
        match reasons.iter_mut().find(|(known, _)| *known == why) {
            Some((_, lines)) => lines.push(skipped.line),
            None => reasons.push((why, vec![skipped.line])),
        }
    }
    reasons
}

/// The last word, where something is wrong.
pub(crate) fn failure(checked: &Checked, refused: usize, code: ExitCode) -> Option<Failure> {
    let Some(failed) = &checked.failed else {
        let message = format!("{refused} of {} cannot be planned", plural(checked.files.len(), "migration"));
        return (refused > 0).then(|| Failure::new(code, message));
    };
    let failure = Failure {
        sqlstate: failed.sqlstate.as_deref().map(Into::into),
        ..Failure::new(code, format!("{} fails as written: {}", failed.migration, failed.message))
    };
    Some(match checked.not_checked.as_slice() {
        [] => failure,
        later => failure.hint(format!("Not looked at, because they come after it: {}.", later.join(", "))),
    })
}

#[cfg(test)]
mod tests {
    use concertina_run::dump::Loaded;

    use super::*;

    #[test]
    fn what_was_left_out_is_said_once_a_reason() {
        let skipped = |line, why: &str| Skipped { line, why: why.to_owned() };
        let skipped =
            vec![skipped(3, "no app\nhint"), skipped(7, "no app"), skipped(9, "no x"), skipped(11, "no app")];
        let loaded = Some(Loaded { statements: 40, skipped });
        let text =
            text(&Checked { loaded, taken: vec!["0001_a".into()], ..Checked::default() }, Some("p.sql"));
        assert_eq!(
            anstream::adapter::strip_str(&text).to_string(),
            "p.sql: 40 statements loaded\np.sql:3: left out: no app, and 2 others for the same reason\np.sql:9: left out: no x\n\
             0001_a: taken as applied\nThere is nothing to plan.\n"
        );
    }
}
