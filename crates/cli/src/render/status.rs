//! Where every migration stands: a table, then what stands out about the ones under way.

use std::time::Duration;

use concertina_plan::estimate::span;
use concertina_plan::plan::Blocks;
use concertina_run::state::{MigrationState, MigrationStatus, StepState};

use super::{BAD, FAINT, STRONG, WARN, count, duration, plural, table, table_text, time};

/// How many claims are named one by one.
const CLAIMS: usize = 6;

/// The table, then details.
pub fn text(migrations: &[MigrationStatus]) -> String {
    if migrations.is_empty() {
        return "There are no migrations yet; `concertina new NAME` makes one.\n".to_owned();
    }
    let mut rows = table(&["MIGRATION", "STATE", "STEPS", "SINCE", "BY"]);
    for migration in migrations {
        let since = migration.changed_at.as_deref().map_or_else(|| "-".to_owned(), time);
        rows.add_row([
            migration.name.as_str(),
            state(migration),
            &steps(migration),
            &since,
            migration.by.as_deref().unwrap_or("-"),
        ]);
    }
    let mut out = table_text(&rows);
    for migration in migrations {
        out.push_str(&details(migration));
    }
    if let Some(next) = next(migrations) {
        out.push_str(&format!("\nNext: {next}\n"));
    }
    out
}

/// One word, two where the way matters.
fn state(migration: &MigrationStatus) -> &'static str {
    match migration.state {
        MigrationState::Pending => "pending",
        MigrationState::Expanding => "expanding",
        MigrationState::Expanded => "expanded",
        MigrationState::Switched => "switched",
        MigrationState::Contracting => "contracting",
        MigrationState::Done if migration.baseline => "done (baseline)",
        MigrationState::Done if migration.simple => "done (as written)",
        MigrationState::Done => "done",
        MigrationState::Undoing => "undoing",
        MigrationState::Undone => "undone",
    }
}

fn steps(migration: &MigrationStatus) -> String {
    if migration.steps.is_empty() {
        return "-".to_owned();
    }
    let done = migration.steps.iter().filter(|step| step.state == StepState::Done).count();
    format!("{done}/{}", migration.steps.len())
}

fn details(migration: &MigrationStatus) -> String {
    let mut lines = Vec::new();
    let current =
        migration.steps.iter().find(|step| matches!(step.state, StepState::Running | StepState::Failed));
    if let Some(step) = current {
        let rows = step.rows.map(|rows| format!(", {} rows", count(rows))).unwrap_or_default();
        lines.push(format!("step {} ({}): {}{rows}", step.step, step.phase.as_str(), step.title));
        if let (Some(estimate), Some(seconds)) = (&step.estimate, step.seconds) {
            let so_far = duration(Duration::from_secs_f64(seconds.max(0.0)));
            lines.push(format!("begun {so_far} ago, expected to take {}", span(&estimate.expected)));
        }
        if step.attempts > 1 {
            lines.push(format!("tried {} times", step.attempts));
        }
    }
    lines.extend(took(migration));
    let waited: f64 = migration.steps.iter().map(|step| step.victim_ms).sum();
    if waited >= 1.0 && migration.state != MigrationState::Done {
        lines.push(format!("other sessions waited {waited:.0} ms because of it, all together"));
    }
    let error = migration.error.as_deref().or_else(|| current.and_then(|step| step.error.as_deref()));
    if let Some(error) = error {
        lines.push(format!("{BAD}stopped with{BAD:#}: {}", error.replace('\n', "\n    ")));
    }
    let changed: Vec<String> =
        migration.claims.iter().filter(|claim| claim.write).map(|claim| claim.object()).collect();
    if !changed.is_empty() {
        let more = changed.len().saturating_sub(CLAIMS);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        let named = changed.iter().take(CLAIMS).cloned().collect::<Vec<_>>().join(", ");
        lines.push(format!("claims {named}{more}"));
    }
    for counted in migration.double_writes.iter().filter(|counted| counted.count > 0) {
        lines.push(format!(
            "{WARN}look{WARN:#}: {} of {} gave {} and {} different values; {} was kept",
            plural(usize::try_from(counted.count).unwrap_or(usize::MAX), "row update"),
            counted.table,
            counted.old,
            counted.new,
            counted.new
        ));
    }
    for waiting in &migration.quarantine {
        let rows = plural(waiting.rows, "row");
        let (table, column) = (&waiting.table, &waiting.column);
        lines.push(format!(
            "{WARN}look{WARN:#}: {rows} of {table} in quarantine, without a value of {column}"
        ));
        lines.extend(waiting.examples.iter().map(|example| format!("  {example}")));
        if waiting.blocks == Blocks::Undo {
            lines.push("  undo waits for them (`concertina quarantine list`)".to_owned());
        }
    }
    for why in &migration.blocked_by {
        lines.push(format!("{WARN}blocked{WARN:#}: {why}"));
    }
    if lines.is_empty() {
        return String::new();
    }
    let lines: String = lines.into_iter().map(|line| format!("  {line}\n")).collect();
    format!("\n{STRONG}{}{STRONG:#}\n{lines}", migration.name)
}

/// What the finished steps of a migration under way took, beside what was expected of them.
fn took(migration: &MigrationStatus) -> Option<String> {
    if migration.state == MigrationState::Done {
        return None;
    }
    let done = migration.steps.iter().filter_map(|step| {
        let estimate = step.estimate.as_ref().filter(|_| step.state == StepState::Done)?;
        Some((estimate.took?, estimate.expected))
    });
    let (took, expected) = done.reduce(|(a, x), (b, y)| (a + b, x.plus(y)))?;
    let took = duration(Duration::from_secs_f64(took.max(0.0)));
    Some(format!("finished steps took {took}, expected were {}", span(&expected)))
}

/// The command that moves things on.
fn next(migrations: &[MigrationStatus]) -> Option<String> {
    let count = |states: &[MigrationState]| migrations.iter().filter(|it| states.contains(&it.state)).count();
    let interrupted = migrations.iter().find_map(|migration| match migration.state {
        MigrationState::Expanding => Some(format!("concertina expand {}", migration.name)),
        MigrationState::Contracting => Some(format!("concertina contract {}", migration.name)),
        MigrationState::Undoing => Some(format!("concertina undo {}", migration.name)),
        _ => None,
    });
    if let Some(command) = interrupted {
        return Some(format!("{command}   {FAINT}# unless it is running now{FAINT:#}"));
    }
    if let Some(migration) = migrations.iter().find(|migration| migration.waits_for_switch()) {
        return Some(format!(
            "concertina switch {}   {FAINT}# once all code that runs can do with the new type{FAINT:#}",
            migration.name
        ));
    }
    let expanded = count(&[MigrationState::Expanded, MigrationState::Switched]);
    let pending = count(&[MigrationState::Pending, MigrationState::Undone]);
    match (expanded, pending) {
        (0, 0) => None,
        (0, _) => Some(format!("concertina plan, then expand   {FAINT}# {} pending{FAINT:#}", pending)),
        _ => Some(format!(
            "deploy the code that uses {}, then concertina contract",
            if expanded == 1 { "it".to_owned() } else { plural(expanded, "migration") }
        )),
    }
}

#[cfg(test)]
mod tests {
    use concertina_plan::estimate::{Basis, Expected, Room};
    use concertina_plan::plan::{Claim, Phase};
    use concertina_plan::sql::ident::{Ident, Name};
    use concertina_run::ledger::EstimateRow;
    use concertina_run::quarantine::Summary;
    use concertina_run::state::{DoubleWrites, StepStatus};

    use super::*;

    fn migration(name: &str, state: MigrationState) -> MigrationStatus {
        MigrationStatus {
            name: name.into(),
            state,
            simple: false,
            baseline: false,
            checksum: None,
            started_at: None,
            changed_at: Some("2026-11-21T10:30:00Z".into()),
            by: Some("deploy".into()),
            steps: Vec::new(),
            error: None,
            blocked_by: Vec::new(),
            claims: Vec::new(),
            double_writes: Vec::new(),
            quarantine: Vec::new(),
            plan: None,
        }
    }

    fn step(number: usize, state: StepState) -> StepStatus {
        StepStatus {
            step: number,
            phase: Phase::Backfill,
            title: "Fill total".into(),
            state,
            attempts: 2,
            rows: Some(1_200_000),
            seconds: Some(3.0),
            victim_ms: 12.0,
            estimate: Some(EstimateRow {
                ordinal: 0,
                expected: Expected { low: 2.0, high: 90.0, basis: Basis::Measured(2) },
                room: Room::default(),
                took: (state == StepState::Done).then_some(2.5),
                waited: None,
            }),
            error: None,
        }
    }

    fn shown(migrations: &[MigrationStatus]) -> String {
        anstream::adapter::strip_str(&text(migrations)).to_string()
    }

    #[test]
    fn an_interrupted_migration_says_where_it_is_and_how_to_go_on() {
        let mut second = migration("0002_b", MigrationState::Expanding);
        second.steps = vec![step(1, StepState::Done), step(2, StepState::Running)];
        second.error = Some("gave way".into());
        let text = shown(&[migration("0001_a", MigrationState::Done), second]);
        assert_eq!(
            text,
            "\
MIGRATION  STATE      STEPS  SINCE                 BY
0001_a     done       -      2026-11-21 10:30:00Z  deploy
0002_b     expanding  1/2    2026-11-21 10:30:00Z  deploy

0002_b
  step 2 (backfill): Fill total, 1,200,000 rows
  begun 3.0 s ago, expected to take 2 s to 90 s (as 2 earlier steps on this server)
  tried 2 times
  finished steps took 2.5 s, expected were 2 s to 90 s (as 2 earlier steps on this server)
  other sessions waited 24 ms because of it, all together
  stopped with: gave way

Next: concertina expand 0002_b   # unless it is running now
"
        );
    }

    #[test]
    fn values_that_were_lost_between_two_names_stand_out() {
        let mut renamed = migration("0001_a", MigrationState::Expanded);
        let pair = |new: &str, count| DoubleWrites {
            table: "public.t".into(),
            old: "a".into(),
            new: new.into(),
            count,
        };
        renamed.double_writes = vec![pair("b", 2), pair("never", 0)];
        let text = shown(&[renamed]);
        assert!(
            text.contains("look: 2 row updates of public.t gave a and b different values; b was kept"),
            "{text}"
        );
        assert!(!text.contains("never"), "{text}");
    }

    #[test]
    fn rows_in_quarantine_are_named() {
        let mut retyped = migration("0001_a", MigrationState::Expanded);
        let summary = |blocks| Summary {
            table: "public.t".into(),
            column: "a".into(),
            blocks,
            rows: 2,
            examples: vec!["id=7: invalid (22P02)".into()],
        };
        retyped.quarantine = vec![summary(Blocks::Switch), summary(Blocks::Undo)];
        let text = shown(&[retyped]);
        let rows =
            "  look: 2 rows of public.t in quarantine, without a value of a\n    id=7: invalid (22P02)\n";
        assert!(text.contains(&format!("{rows}{rows}    undo waits for them")), "{text}");
    }

    #[test]
    fn claims_and_who_waits_for_them() {
        let mut first = migration("0001_a", MigrationState::Expanded);
        let whole = |name: &str, write| Claim { relation: Name::new("public", name), column: None, write };
        first.claims = vec![whole("a", false), whole("b", true)];
        first.claims.push(Claim { column: Some(Ident::new("Total")), ..whole("t", true) });
        let mut second = migration("0002_b", MigrationState::Pending);
        second.blocked_by = vec!["public.b is claimed by 0001_a; it can run after contract of 0001_a".into()];
        let text = shown(&[first, second]);
        assert!(text.contains("0001_a\n  claims public.b, column \"Total\" of public.t\n"), "{text}");
        assert!(text.contains("0002_b\n  blocked: public.b is claimed by 0001_a;"), "{text}");
    }

    #[test]
    fn what_comes_next() {
        let next = |state| {
            next(&[migration("0001_a", state)]).map(|next| anstream::adapter::strip_str(&next).to_string())
        };
        assert_eq!(next(MigrationState::Done), None);
        assert!(next(MigrationState::Pending).unwrap().starts_with("concertina plan"));
        assert!(next(MigrationState::Expanded).unwrap().ends_with("concertina contract"));
        assert!(next(MigrationState::Undoing).unwrap().starts_with("concertina undo 0001_a"));
    }
}
