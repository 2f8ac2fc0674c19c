//! `initdb` once per version, then copies: a copy takes a tenth of the time.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

use crate::account::Account;
use crate::{Installation, cache};

/// Fills `data`, which must not exist, with a fresh data directory. Its parent must belong to `account`.
pub(crate) async fn copy_to(installation: &Installation, account: Account, data: &Path) -> Result<()> {
    let template = template(installation, account).await?;
    copy(account, &template, data).await
}

/// Copies a data directory, sharing blocks where the file system can.
async fn copy(account: Account, from: &Path, to: &Path) -> Result<()> {
    let mut sharing = account.command(Path::new("cp"));
    sharing.args(["-a", "--reflink=auto"]).arg(from).arg(to);
    if run(sharing).await.is_ok() {
        return Ok(());
    }
    let mut plain = account.command(Path::new("cp"));
    plain.arg("-Rp").arg(from).arg(to);
    run(plain).await
}

/// The template of this version for this account, made when it is not there yet.
///
/// Two processes may make it at the same time; the first to rename its own wins, and both are the same.
async fn template(installation: &Installation, account: Account) -> Result<PathBuf> {
    let place = installation.bin.to_string_lossy().trim_matches('/').replace(['/', ' '], "-");
    let name = format!("{}-{}-uid{}", place, installation.version, account.uid());
    let templates = cache::dir().join("templates");
    let finished = templates.join(&name).join("data");
    if finished.join("PG_VERSION").is_file() {
        return Ok(finished);
    }

    fs::create_dir_all(&templates).with_context(|| format!("creating {}", templates.display()))?;
    let draft = tempfile::Builder::new()
        .prefix(&format!("{name}."))
        .tempdir_in(&templates)
        .with_context(|| format!("creating a directory in {}", templates.display()))?;
    account.own(draft.path())?;
    let mut initdb = account.command(&installation.program("initdb"));
    initdb
        .args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"])
        .arg("-D")
        .arg(draft.path().join("data"));
    run(initdb)
        .await
        .with_context(|| format!("making a database cluster of version {}", installation.version))?;

    let draft = draft.keep();
    if fs::rename(&draft, templates.join(&name)).is_err() {
        fs::remove_dir_all(&draft).with_context(|| format!("removing {}", draft.display()))?;
    }
    ensure!(finished.join("PG_VERSION").is_file(), "{} is not a data directory", finished.display());
    Ok(finished)
}

/// Runs a command to its end; its complaint becomes the error.
pub(crate) async fn run(mut command: Command) -> Result<()> {
    let name = command.as_std().get_program().to_string_lossy().into_owned();
    let output = command.kill_on_drop(true).output().await.with_context(|| format!("running {name}"))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name} failed ({}): {}", output.status, complaint.trim());
    Ok(())
}
