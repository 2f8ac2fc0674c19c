//! The migrations of a directory, and the directives that are kept beside them: the files are another project's, and stay as they
//! are.
//!
//! `NAME.allow` holds the directives for `NAME/up.sql`, a line each: the number of the statement, from 1, and the directive line
//! that somebody who has to run this file would write above it. `#` begins a comment.
//!
//! ```text
//! # A handful of rows, and nobody writes them.
//! 3 -- concertina:allow not-batchable reason: one row a site
//! ```

use std::collections::BTreeMap;
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
    /// With the directives above their statements.
    pub(super) directed: MigrationFile,
    /// How many statements it has.
    pub(super) statements: usize,
    /// Where each begins in the text with the directives.
    starts: Vec<usize>,
    /// Which of them have a directive, from 0.
    pub(super) with_directives: Vec<usize>,
}

impl File {
    /// The number, from 1, of the statement at this place of the text with the directives.
    pub(super) fn number(&self, at: usize) -> usize {
        self.starts.iter().filter(|start| **start <= at).count()
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

fn file(at: usize, name: &str, text: String, directives: &[(usize, String)]) -> Result<File> {
    // The folder's own naming (dashes in the date) is not one of ours: number the files in their order.
    let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let name = format!("{:04}_{name}", at + 1);
    let statements = pieces::split(&text).map_err(|diagnostic| anyhow!(diagnostic.message))?;
    let mut directed = String::new();
    let mut done = 0;
    for (number, line) in directives {
        let statement = number.checked_sub(1).and_then(|at| statements.get(at));
        let start = statement.with_context(|| format!("there is no statement {number}"))?.span.start;
        ensure!(start >= done, "statement {number} comes after a later one");
        directed.push_str(&text[done..start]);
        directed.push('\n');
        directed.push_str(line);
        directed.push('\n');
        done = start;
    }
    directed.push_str(&text[done..]);
    let mut with_directives: Vec<usize> = directives.iter().map(|(number, _)| number - 1).collect();
    with_directives.dedup();
    let starts = pieces::split(&directed).map_err(|diagnostic| anyhow!(diagnostic.message))?;
    Ok(File {
        starts: starts.into_iter().map(|statement| statement.span.start).collect(),
        plain: MigrationFile { name: name.clone(), text },
        directed: MigrationFile { name, text: directed },
        statements: statements.len(),
        with_directives,
    })
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
