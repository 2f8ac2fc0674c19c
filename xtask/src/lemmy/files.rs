//! The migrations of a directory, and the directives that are kept beside them: the files are another project's, and stay as they
//! are.
//!
//! `NAME.allow` holds the directives for `NAME/up.sql`, a line each: the number of a statement, from 1, and the directive line
//! that somebody who has to run this file would write above it, or `split`: what begins there goes into a file of its own, as
//! the refusals of `split-file` ask for. `#` begins a comment.
//!
//! ```text
//! # A handful of rows, and nobody writes them.
//! 3 -- concertina:allow not-batchable reason: one row a site
//! 5 split
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use concertina_plan::sql::pieces;
use concertina_run::state::MigrationFile;

/// A migration.
#[derive(Clone, Debug)]
pub(super) struct File {
    /// As it is.
    pub(super) plain: MigrationFile,
    /// With the directives above their statements; several where it is split.
    pub(super) parts: Vec<Part>,
}

/// What runs as one.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// Its text with the directives.
    pub(super) file: MigrationFile,
    /// How many statements of the file come before it.
    before: usize,
    /// Where each of its statements begins.
    starts: Vec<usize>,
    /// How many of them have a directive.
    pub(super) directed: usize,
}

impl Part {
    /// How many statements it has.
    pub(super) fn statements(&self) -> usize {
        self.starts.len()
    }

    /// The number in the whole file, from 1, of the statement at this place.
    pub(super) fn number(&self, at: usize) -> usize {
        self.before + self.starts.iter().filter(|start| **start <= at).count()
    }
}

/// The migrations in order of their names.
pub(super) fn read(directory: &Path, directives: Option<&Path>) -> Result<Vec<File>> {
    let mut paths: Vec<PathBuf> = fs::read_dir(directory)
        .with_context(|| format!("cannot read {}", directory.display()))?
        .map(|entry| Ok(entry?.path().join("up.sql")))
        .collect::<Result<_>>()?;
    paths.retain(|path| path.is_file());
    paths.sort();
    let mut beside = directives.map_or_else(|| Ok(BTreeMap::new()), beside)?;
    let mut files = Vec::new();
    for (at, path) in paths.iter().enumerate() {
        let name = path.parent().and_then(Path::file_name).context("no directory name")?.to_string_lossy();
        let own = beside.remove(name.as_ref()).unwrap_or_default();
        let text = fs::read_to_string(path)?;
        files.push(file(at, &name, text, &own).with_context(|| format!("directives of {name}"))?);
    }
    let left: Vec<&String> = beside.keys().collect();
    ensure!(left.is_empty(), "directives for migrations that do not exist: {left:?}");
    Ok(files)
}

const SPLIT: &str = "split";

fn file(at: usize, name: &str, text: String, beside: &[(usize, String)]) -> Result<File> {
    // The folder's own naming (dashes in the date) is not one of ours: number the files in their order, and their parts.
    let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let statements = pieces::split(&text).map_err(|diagnostic| anyhow!(diagnostic.message))?;
    ensure!(beside.is_sorted_by_key(|(number, _)| number), "the numbers of the statements are not in order");
    let mut parts = Vec::new();
    let mut directed = String::new();
    let (mut first, mut from, mut with) = (0, 0, BTreeSet::new());
    for (number, line) in beside {
        let statement = number.checked_sub(1).context("statements are counted from 1")?;
        let start =
            statements.get(statement).with_context(|| format!("there is no statement {number}"))?.span.start;
        directed.push_str(&text[from..start]);
        from = start;
        if line == SPLIT {
            parts.push((std::mem::take(&mut directed), first, std::mem::take(&mut with).len()));
            first = statement;
        } else {
            directed.push_str(&format!("\n{line}\n"));
            with.insert(statement);
        }
    }
    directed.push_str(&text[from..]);
    parts.push((directed, first, with.len()));
    let named = |nth: usize| format!("{:04}{nth:02}_{name}", at + 1);
    let part = |(nth, (text, before, directed)): (usize, (String, usize, usize))| -> Result<Part> {
        let starts = pieces::split(&text).map_err(|diagnostic| anyhow!(diagnostic.message))?;
        ensure!(!starts.is_empty(), "nothing stands before the first split");
        Ok(Part {
            file: MigrationFile { name: named(nth), text },
            before,
            starts: starts.into_iter().map(|statement| statement.span.start).collect(),
            directed,
        })
    };
    let parts = parts.into_iter().enumerate().map(part).collect::<Result<_>>()?;
    Ok(File { plain: MigrationFile { name: named(0), text }, parts })
}

/// The directives of every `NAME.allow`, in order.
fn beside(directory: &Path) -> Result<BTreeMap<String, Vec<(usize, String)>>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "allow") {
            continue;
        }
        let name = path.file_stem().context("no name")?.to_string_lossy().into_owned();
        let mut lines = Vec::new();
        for line in fs::read_to_string(&path)?.lines().map(str::trim) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (number, directive) = line.split_once(' ').with_context(|| format!("{name}: {line}"))?;
            lines.push((number.parse().with_context(|| format!("{name}: {line}"))?, directive.to_owned()));
        }
        all.insert(name, lines);
    }
    Ok(all)
}
