//! Oracle 6: the runner dies by SIGKILL at a boundary, and the same commands go on to the same result.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use tokio::process::Command as Process;

use crate::drive::{self, Command};
use crate::oracle::{Boundaries, Exhibit, forward};

/// Judges the boundaries: killed when a step begins, and when it has just been done.
///
/// # Errors
/// What is wrong.
pub async fn judge(exhibit: &Exhibit<'_>, boundaries: Boundaries) -> Result<()> {
    for step in boundaries.of(exhibit.plan.steps.len(), &exhibit.case.name) {
        let moments: &[Moment] = match boundaries {
            Boundaries::All => &[Moment::Begun, Moment::Done],
            Boundaries::Some(_) if step % 2 == 0 => &[Moment::Begun],
            Boundaries::Some(_) => &[Moment::Done],
        };
        for moment in moments {
            at(exhibit, step, *moment)
                .await
                .with_context(|| format!("killed with step {step} {moment:?}"))?;
        }
    }
    Ok(())
}

/// When the runner dies, as the argument of the test runner.
#[derive(Clone, Copy, Debug)]
enum Moment {
    Begun,
    Done,
}

async fn at(exhibit: &Exhibit<'_>, step: usize, moment: Moment) -> Result<()> {
    let copy = exhibit.start.copy().await?;
    let (url, file) = (copy.url(), exhibit.case.file());
    let early = drive::before_contract(&exhibit.plan);
    let (command, nth) = if step <= early { ("expand", step) } else { ("contract", step - early) };
    if step > early {
        drive::run(&url, Command::Expand, &file, usize::MAX).await?.stopped_or_done()?;
    }
    let directory = tempfile::tempdir()?;
    let path = directory.path().join(format!("{}.sql", file.name));
    std::fs::write(&path, &file.text)?;
    let word = match moment {
        Moment::Begun => "begun",
        Moment::Done => "done",
    };
    let mut runner = Process::new(runner()?);
    runner
        .arg(&url)
        .arg(&path)
        .args([command, word, &nth.to_string()])
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = runner.output().await.context("running the runner")?;
    ensure!(output.status.code().is_none(), "the runner was not killed: {output:?}");

    for command in [Command::Expand, Command::Contract] {
        let run = drive::run(&url, command, &file, usize::MAX).await?;
        run.stopped_or_done().with_context(|| format!("{command:?} goes on"))?;
    }
    forward::end(exhibit, &copy).await?;
    copy.remove().await
}

/// The test runner lies beside the test that calls us.
fn runner() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("CONCERTINA_RUNNER") {
        return Ok(path.into());
    }
    let test = std::env::current_exe().context("where we are")?;
    let directory = test.parent().and_then(|deps| deps.parent()).context("where we are")?;
    Ok(directory.join(format!("runner{}", std::env::consts::EXE_SUFFIX)))
}
