//! A refusal names its reason. Where it says that the statement would fail, the naive run fails; where it gives another
//! reason, the naive run must not fail, or the refusal hides the real one.

use anyhow::{Result, bail, ensure};
use concertina_run::Error;

use crate::case::Case;
use crate::world::Database;
use crate::{drive, oracle::explain};

/// Judges a case with `refused`.
///
/// # Errors
/// What is wrong.
pub async fn judge(case: &Case, start: &Database<'_>) -> Result<()> {
    let expected = case.expect.refused.as_deref().unwrap_or_default();
    let (diagnostics, text) = match drive::plan(&start.url(), &case.file()).await? {
        Ok(plan) => bail!("it was planned:\n{}", concertina_plan::explain::explain(&plan)),
        Err(Error::Refused { diagnostics, text, .. }) => (diagnostics, text),
        Err(error) => bail!("{}", drive::words(&error)),
    };
    let words = explain::refusal(&diagnostics, &text);
    let says = |d: &&concertina_plan::diagnostic::Diagnostic| {
        d.code.slug() == expected
            && (d.message.contains(&case.expect.says) || d.help.contains(&case.expect.says))
    };
    ensure!(
        diagnostics.iter().any(|d| says(&d)),
        "not refused as {expected} with \"{}\":\n{words}",
        case.expect.says
    );

    let naive = start.copy().await?;
    let ran = naive.psql(&case.naive).await;
    naive.remove().await?;
    match (expected, ran) {
        ("will-fail" | "syntax", Ok(_)) => {
            bail!("refused as {expected}, but the naive run succeeds:\n{words}")
        }
        ("will-fail" | "syntax" | "has-dependents", _) | (_, Ok(_)) => {}
        (_, Err(error)) => bail!("refused as {expected}, but the naive run fails: {error:#}"),
    }
    explain::golden(case, start.world().major(), &words)
}
