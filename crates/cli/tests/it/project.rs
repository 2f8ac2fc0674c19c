//! Runs the binary in a directory of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A project: a directory with `concertina.toml` or without, and a database or none.
pub(crate) struct Project {
    directory: tempfile::TempDir,
    environment: Vec<(String, String)>,
}

/// What one command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Project {
    /// An empty directory, and an environment that names no database.
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), environment: Vec::new() }
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a migration, and makes the folder.
    pub(crate) fn migration(&self, name: &str, sql: &str) -> PathBuf {
        let folder = self.path().join("migrations");
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!("{name}.sql"));
        fs::write(&path, sql).unwrap();
        path
    }

    /// The command, ready to be spawned.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_concertina"));
        command.args(arguments).current_dir(self.path()).stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            let known = name.to_string_lossy();
            if known.starts_with("PG") || known.starts_with("CONCERTINA_") || known == "DATABASE_URL" {
                command.env_remove(&name);
            }
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        Said::from(self.command(arguments).output().unwrap())
    }

    /// Runs it to its end, which must be this one.
    #[track_caller]
    pub(crate) fn expect(&self, code: i32, arguments: &[&str]) -> Said {
        let said = self.run(arguments);
        assert_eq!(said.code, code, "concertina {}\n{}{}", arguments.join(" "), said.stdout, said.stderr);
        said
    }

    /// Runs it with `--format json`; the one document of stdout, checked against its schema.
    #[track_caller]
    pub(crate) fn json(&self, code: i32, arguments: &[&str]) -> Value {
        let said = self.expect(code, &[arguments, &["--format", "json"]].concat());
        let document: Value =
            serde_json::from_str(&said.stdout).unwrap_or_else(|error| panic!("{error}: {said:?}"));
        let schema =
            format!("docs/schema/{}.v{}.json", document["format"].as_str().unwrap(), document["version"]);
        let schema = fs::read_to_string(crate::root(&schema)).unwrap();
        let schema = serde_json::from_str(&schema).unwrap();
        crate::validate::validate(&schema, &document).unwrap();
        document
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}
