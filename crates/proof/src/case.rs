//! A case folder: `schema.sql`, `migration.sql`, `case.toml`, `plan.snap` and, where the migration as written cannot run,
//! `naive.sql`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use concertina_run::state::MigrationFile;
use serde::Deserialize;

/// One case.
#[derive(Clone, Debug)]
pub struct Case {
    /// `kind/case`.
    pub name: String,
    /// Its folder.
    pub path: PathBuf,
    /// What is there before, rows included.
    pub schema: String,
    /// The migration.
    pub migration: String,
    /// What has the same result by plain SQL; the migration itself, unless the folder has a `naive.sql`.
    pub naive: String,
    /// What is expected.
    pub expect: Expect,
}

/// `case.toml`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// What the case is about, in one sentence.
    pub about: String,
    /// The plan is refused with this code.
    pub refused: Option<String>,
    /// The plan is made, and expand stops because of what it finds in the rows.
    #[serde(default)]
    pub fails: Option<Fails>,
    /// Part of the refusal's or failure's words.
    #[serde(default)]
    pub says: String,
    /// Oldest major version on which the case makes sense.
    #[serde(default)]
    pub min_major: Option<u32>,
    /// Newest major version on which the case makes sense.
    #[serde(default)]
    pub max_major: Option<u32>,
    /// Whether the order of columns may differ from the naive result's.
    #[serde(default)]
    pub column_order: ColumnOrder,
    /// Columns (`schema.table.column`, without quotes) whose values differ from run to run: only how many are set and
    /// whether they are all the same is compared.
    #[serde(default)]
    pub volatile: Vec<String>,
    /// Relations (`schema.table`, without quotes) for which the facts may name a stronger lock than the statement takes here, with the reason.
    #[serde(default)]
    pub looser_facts: Vec<(String, String)>,
    /// What a plain owner must be granted beside the tables (`SET ON PARAMETER …`, which there is from 15 on); without it the
    /// plan is refused.
    #[serde(default)]
    pub grants: Vec<String>,
    /// Queries that return no row after the run, clients or not.
    #[serde(default)]
    pub holds: Vec<String>,
    /// What code that does not know the migration runs, until contract begins.
    #[serde(default)]
    pub old: Vec<Statement>,
    /// What code that knows the migration runs, once it is expanded.
    #[serde(default)]
    pub new: Vec<Statement>,
}

/// What stops expand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fails {
    /// Rows break a constraint.
    Violated,
    /// A unique index finds duplicates.
    Duplicates,
}

/// See [`Expect::column_order`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnOrder {
    /// The same.
    #[default]
    Same,
    /// Another; everything else is compared.
    Differs,
}

/// What a client runs over and over.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// SQL in which `{n}` is a number that never comes twice.
    pub sql: String,
    /// A query for the numbers whose writes are still there; each one that the server acknowledged must be among them.
    pub kept: Option<String>,
}

impl Case {
    /// Every case below `root`, by name.
    ///
    /// # Errors
    /// A folder that is not a whole case.
    pub fn all(root: &Path) -> Result<Vec<Self>> {
        let mut cases = Vec::new();
        for kind in folders(root)? {
            for case in folders(&kind)? {
                cases.push(Self::read(&case).with_context(|| format!("reading {}", case.display()))?);
            }
        }
        ensure!(!cases.is_empty(), "{} has no cases", root.display());
        cases.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(cases)
    }

    /// The folders of this repository.
    pub fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases")
    }

    fn read(path: &Path) -> Result<Self> {
        let text = |file: &str| fs::read_to_string(path.join(file)).with_context(|| file.to_owned());
        let expect: Expect = toml::from_str(&text("case.toml")?).context("case.toml")?;
        ensure!(!expect.about.is_empty(), "case.toml says nothing about the case");
        ensure!(
            expect.refused.is_none() || expect.fails.is_none(),
            "a refused plan does not run, so it cannot fail"
        );
        ensure!(
            expect.refused.is_none() || (expect.old.is_empty() && expect.new.is_empty()),
            "a refused plan does not run, so it needs no clients"
        );
        let migration = text("migration.sql")?;
        let naive = if path.join("naive.sql").exists() { text("naive.sql")? } else { migration.clone() };
        let part = |path: Option<&Path>| {
            path.and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
        };
        let name = format!("{}/{}", part(path.parent()), part(Some(path)));
        Ok(Self { name, path: path.to_owned(), schema: text("schema.sql")?, migration, naive, expect })
    }

    /// The migration as the engine takes it.
    pub fn file(&self) -> MigrationFile {
        MigrationFile { name: "0001_case".to_owned(), text: self.migration.clone() }
    }

    /// Whether it makes sense on this major version.
    pub fn runs_on(&self, major: u32) -> bool {
        self.expect.min_major.is_none_or(|min| major >= min)
            && self.expect.max_major.is_none_or(|max| major <= max)
    }
}

fn folders(of: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(of).with_context(|| format!("reading {}", of.display()))?;
    let mut folders: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    Ok(folders)
}
