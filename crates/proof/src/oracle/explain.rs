//! Oracle 1: the plan in words is the golden file `plan.snap`; planning is deterministic, and a stored plan is the plan.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use concertina_plan::diagnostic::Diagnostic;
use concertina_plan::explain::explain;
use concertina_plan::plan::Plan;

use crate::case::Case;
use crate::compare::difference;
use crate::drive;
use crate::world::Database;

/// Judges a plan that was made.
///
/// # Errors
/// What is wrong.
pub async fn judge(case: &Case, start: &Database<'_>, plan: &Plan) -> Result<()> {
    let Ok(again) = drive::plan(&start.url(), &case.file()).await? else {
        bail!("planned once, refused the next time")
    };
    let (first, second) = (serde_json::to_string(plan)?, serde_json::to_string(&again)?);
    ensure!(
        first == second,
        "planning twice gives two plans:\n{}",
        difference(&pretty(plan)?, &pretty(&again)?)
    );
    let stored: Plan = serde_json::from_str(&first).context("a stored plan cannot be read")?;
    ensure!(
        stored == *plan,
        "a stored plan comes back as another:\n{}",
        difference(&pretty(plan)?, &pretty(&stored)?)
    );
    golden(case, start.world().major(), &explain(plan))
}

fn pretty(plan: &Plan) -> Result<String> {
    Ok(serde_json::to_string_pretty(plan)?)
}

/// A refusal as text.
pub fn refusal(diagnostics: &[Diagnostic], text: &str) -> String {
    let one = |diagnostic: &Diagnostic| {
        let line = 1 + text[..diagnostic.span.start.min(text.len())].matches('\n').count();
        let sql = text.get(diagnostic.span.clone()).unwrap_or_default().lines().next().unwrap_or_default();
        let kind = diagnostic.kind.as_deref().map(|kind| format!(" ({kind})")).unwrap_or_default();
        format!(
            "refused: {}{kind}, line {line}: {sql}\n  {}\n  help: {}\n",
            diagnostic.code, diagnostic.message, diagnostic.help
        )
    };
    diagnostics.iter().map(one).collect()
}

/// Compares with `plan.snap`, or writes it where `UPDATE=1`. Where a major version plans otherwise it has a `plan.N.snap`.
///
/// # Errors
/// The difference.
pub fn golden(case: &Case, major: u32, text: &str) -> Result<()> {
    // The minor version is the machine's, not the plan's.
    let lines = text.lines().filter(|line| !line.starts_with("Planned for PostgreSQL"));
    let text: String = lines.flat_map(|line| [line.trim_end(), "\n"]).collect();
    let common = case.path.join("plan.snap");
    let special = case.path.join(format!("plan.{major}.snap"));
    let read = |path: &PathBuf| fs::read_to_string(path).ok();
    let expected = read(&special).or_else(|| read(&common));
    if expected.as_deref() == Some(&text) {
        return Ok(());
    }
    if std::env::var_os("UPDATE").is_some() {
        // The version that `./dev test` runs on writes the common file.
        let path =
            if expected.is_none() || (major == COMMON && !special.exists()) { common } else { special };
        return fs::write(&path, text).with_context(|| path.display().to_string());
    }
    match expected {
        None => bail!("there is no plan.snap; UPDATE=1 writes:\n{text}"),
        Some(expected) => {
            bail!("plan.snap differs, UPDATE=1 writes it (- file, + plan):\n{}", difference(&expected, &text))
        }
    }
}

/// The major version whose plans are in `plan.snap`.
const COMMON: u32 = 15;
