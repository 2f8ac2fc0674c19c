//! Oracle 6: the runner dies by SIGKILL at one of the engine's failpoints, before and after every effect and every COMMIT;
//! the same commands go on to the same result.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, anyhow, bail, ensure};
use concertina_plan::plan::Undo;
use concertina_run::failpoint;
use concertina_run::state::{MigrationFile, MigrationState};
use tokio::process::Command as Process;

use crate::drive::{self, Command};
use crate::oracle::{Boundaries, Exhibit, forward, hash};

/// Places that one step passes, at least.
const PLACES_A_STEP: usize = 4;

/// Judges the commands: killed at every place, or twice at places chosen by the case's name.
///
/// # Errors
/// What is wrong.
pub async fn judge(exhibit: &Exhibit<'_>, boundaries: Boundaries) -> Result<()> {
    let steps = exhibit.plan.steps.len();
    let early = drive::of_expand(&exhibit.plan);
    for (command, steps) in [("expand", early), ("contract", steps - early)] {
        if steps == 0 {
            continue;
        }
        if let Boundaries::Some(_) = boundaries {
            let seed = hash(&exhibit.case.name);
            let first = 1 + seed % (steps * PLACES_A_STEP);
            // Again, a little further: a resumed run must be resumable.
            let second = 1 + seed / 7 % PLACES_A_STEP;
            at(exhibit, command, &[first, second])
                .await
                .with_context(|| format!("{command} killed at place {first}, then {second}"))?;
            continue;
        }
        for place in 1.. {
            let killed = at(exhibit, command, &[place])
                .await
                .with_context(|| format!("{command} killed at place {place}"))?;
            if !killed {
                break;
            }
            ensure!(place < 10_000, "{command} never ends");
        }
    }
    undo(exhibit, boundaries).await
}

/// Undo of the whole, killed and run again: the database is what it was.
async fn undo(exhibit: &Exhibit<'_>, boundaries: Boundaries) -> Result<()> {
    let steps = &exhibit.plan.steps;
    if steps.iter().any(|step| matches!(step.undo, Undo::Impossible { .. })) {
        return Ok(());
    }
    let back: usize = steps
        .iter()
        .map(|step| match &step.undo {
            Undo::Steps { steps, .. } => steps.len(),
            Undo::Nothing | Undo::Impossible { .. } => 0,
        })
        .sum();
    let seed = hash(&exhibit.case.name);
    let places = match boundaries {
        Boundaries::All => 1..=10_000,
        Boundaries::Some(_) => {
            let place = 1 + seed % (back.max(1) * PLACES_A_STEP);
            place..=place
        }
    };
    let there = exhibit.start.copy().await?;
    let file = exhibit.case.file();
    for command in [Command::Expand, Command::Contract] {
        drive::run(&there.url(), command, &file, usize::MAX).await?.stopped_or_done()?;
    }
    for place in places {
        let copy = there.copy().await?;
        let directory = tempfile::tempdir()?;
        let killed = dies(&copy.url(), directory.path(), &file, "undo", place).await?;
        // What was killed after its last word has nothing left to do.
        let ended =
            drive::looking(&copy.url()).await?.status(&[]).await.map_err(|error| anyhow!("{error}"))?;
        if ended.iter().any(|status| status.state != MigrationState::Undone) {
            let run = drive::run(&copy.url(), Command::Undo, &file, usize::MAX).await?;
            run.stopped_or_done().with_context(|| format!("undo goes on, killed at place {place}"))?;
        }
        super::undo::is_as_before(exhibit, &copy, steps)
            .await
            .with_context(|| format!("undo killed at place {place}"))?;
        copy.remove().await?;
        if !killed {
            break;
        }
    }
    there.remove().await
}

/// Kills one run after the other, each at its place, then lets it finish. Returns whether the first one was killed: if not,
/// the command has fewer places.
async fn at(exhibit: &Exhibit<'_>, command: &str, places: &[usize]) -> Result<bool> {
    let copy = exhibit.start.copy().await?;
    let (url, file) = (copy.url(), exhibit.case.file());
    if command == "contract" {
        drive::run(&url, Command::Expand, &file, usize::MAX).await?.stopped_or_done()?;
    }
    let directory = tempfile::tempdir()?;
    let mut killed = 0;
    for place in places {
        if !dies(&url, directory.path(), &file, command, *place).await? {
            break;
        }
        killed += 1;
    }
    for command in [Command::Expand, Command::Contract] {
        let run = drive::run(&url, command, &file, usize::MAX).await?;
        run.stopped_or_done().with_context(|| format!("{command:?} goes on"))?;
    }
    forward::end(exhibit, &copy).await?;
    copy.remove().await?;
    Ok(killed > 0)
}

/// Runs the command with a failpoint armed; returns whether it died there, or had come to its end before.
///
/// # Errors
/// When the command fails.
pub async fn dies(
    url: &str,
    directory: &Path,
    file: &MigrationFile,
    command: &str,
    place: usize,
) -> Result<bool> {
    let path = directory.join(format!("{}.sql", file.name));
    std::fs::write(&path, &file.text)?;
    let mut runner = Process::new(runner()?);
    runner.arg(url).arg(&path).arg(command).env(failpoint::VARIABLE, format!("*:{place}"));
    let output =
        runner.stdin(Stdio::null()).kill_on_drop(true).output().await.context("running the runner")?;
    match output.status.code() {
        None => Ok(true),
        Some(0) => Ok(false),
        Some(_) => bail!("the runner failed: {}", String::from_utf8_lossy(&output.stderr)),
    }
}

/// The test runner lies beside the test that calls us.
fn runner() -> Result<PathBuf> {
    let test = std::env::current_exe().context("where we are")?;
    let directory = test.parent().and_then(Path::parent).context("where we are")?;
    Ok(directory.join(format!("runner{}", std::env::consts::EXE_SUFFIX)))
}
