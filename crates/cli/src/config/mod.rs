//! Configuration: flags over environment over `concertina.toml` over defaults.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use concertina_plan::policy::Policy;
use concertina_run::settings::Settings;

use crate::args::Global;
use crate::failure::Failure;

mod file;
mod value;

pub use file::File;
pub use value::{parse_age, parse_duration, parse_free_space, parse_load};

/// The file's name.
pub const FILE_NAME: &str = "concertina.toml";

/// What `init` writes: every default, commented out. A test proves that they are the defaults.
pub const DEFAULT_FILE: &str = include_str!("default.toml");

/// A connection string. Its `Debug` leaves it out, since it may hold a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text, for connecting and nothing else.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(redacted)")
    }
}

impl FromStr for Secret {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

/// Everything that was decided before the command began.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The file that was read, if there is one.
    pub file: Option<PathBuf>,
    /// Migrations folder.
    pub migrations: PathBuf,
    /// Database; `None` leaves it to DATABASE_URL and the PG* variables.
    pub database: Option<Secret>,
    /// How hard to push.
    pub settings: Settings,
    /// What the planner may do.
    pub policy: Policy,
}

impl Config {
    /// Finds and reads the file, then lays environment and flags over it.
    ///
    /// # Errors
    /// With the position in the file, when it is wrong; never with the text of the line, which may hold a password.
    pub fn load(global: &Global) -> Result<Self, Failure> {
        let path = match &global.config {
            Some(path) => Some(path.clone()),
            None => std::env::current_dir().ok().and_then(|here| find(&here)),
        };
        let file = match &path {
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
                File::parse(&text).map_err(|problem| {
                    Failure::usage(format!("{}:{problem}", path.display()))
                        .hint("Every key is explained in docs/configuration.md.")
                })?
            }
            None => File::default(),
        };
        Self::layer(path, file, global, |name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn layer(
        path: Option<PathBuf>,
        file: File,
        global: &Global,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Failure> {
        let named = &file.database.url_env;
        let database = match (&global.database, environment(named), &file.database.url) {
            (Some(flag), _, _) => Some(flag.clone()),
            (None, Some(url), _) => Some(Secret(url)),
            (None, None, Some(url)) => Some(Secret(url.clone())),
            // Falling back to whatever else the environment names would be another database than the one meant.
            (None, None, None) if named != file::DATABASE_URL => {
                return Err(Failure::usage(format!(
                    "database.url_env names the environment variable {named}, and it is not set"
                ))
                .hint("Set it, or give --database."));
            }
            (None, None, None) => None,
        };
        // A path in the file is meant from the file; a flag's from here.
        let base = path.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
        let migrations = global.migrations.clone().unwrap_or_else(|| base.join(&file.migrations));

        let mut settings = file.settings();
        if let Some(max_stall) = global.max_stall {
            settings.max_stall = max_stall;
        }
        if let Some(total_stall) = global.total_stall {
            settings.total_stall = total_stall;
        }
        if let Some(load) = global.load {
            settings.throttle.load = load;
        }
        if let Some(free) = global.disk_free {
            settings.disk.free = free;
        }
        if global.no_wait {
            settings.lease_patience = Duration::ZERO;
        }
        Ok(Self { file: path, migrations, database, settings, policy: file.policy })
    }

    /// Whether anything at all says which database is meant.
    pub fn names_a_database(&self) -> bool {
        let libpq = ["DATABASE_URL", "PGHOST", "PGHOSTADDR", "PGDATABASE", "PGSERVICE", "PGPORT", "PGUSER"];
        self.database.is_some() || libpq.iter().any(|name| std::env::var_os(name).is_some())
    }
}

/// The nearest file in this directory or above. The one right here gets a short path, as people write it.
fn find(here: &Path) -> Option<PathBuf> {
    let found = here.ancestors().map(|directory| directory.join(FILE_NAME)).find(|path| path.is_file())?;
    Some(if found.parent() == Some(here) { FILE_NAME.into() } else { found })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(file: &str, global: &Global, environment: &[(&str, &str)]) -> Result<Config, Failure> {
        let file = File::parse(file).unwrap();
        Config::layer(Some("/etc/app/concertina.toml".into()), file, global, |name| {
            environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn nothing_said_is_the_default() {
        let config = layer("", &Global::default(), &[]).unwrap();
        assert_eq!(config.settings, Settings::default());
        assert_eq!(config.policy, Policy::default());
        assert_eq!(config.migrations, Path::new("/etc/app/migrations"));
        assert_eq!(config.database, None);
    }

    #[test]
    fn flag_over_environment_over_file() {
        let file = "migrations = 'm'\n[database]\nurl = 'file'\n[stall]\nmax = '1s'\n[throttle]\nload = 0.1";
        let flags = Global {
            database: Some(Secret("flag".into())),
            migrations: Some("here".into()),
            max_stall: Some(Duration::from_millis(5)),
            load: Some(1.0),
            no_wait: true,
            ..Global::default()
        };
        let environment = [("DATABASE_URL", "environment")];
        let url = |config: Config| config.database.map(|url| url.0);

        let config = layer(file, &Global::default(), &[]).unwrap();
        assert_eq!(config.settings.max_stall, Duration::from_secs(1));
        assert_eq!(config.settings.throttle.load, 0.1);
        assert_eq!(config.migrations, Path::new("/etc/app/m"));
        assert_eq!(url(config).as_deref(), Some("file"));
        assert_eq!(
            url(layer(file, &Global::default(), &environment).unwrap()).as_deref(),
            Some("environment")
        );
        let config = layer(file, &flags, &environment).unwrap();
        assert_eq!(config.settings.max_stall, Duration::from_millis(5));
        assert_eq!(config.settings.throttle.load, 1.0);
        assert_eq!(config.settings.lease_patience, Duration::ZERO);
        assert_eq!(config.migrations, Path::new("here"));
        assert_eq!(url(config).as_deref(), Some("flag"));
    }

    #[test]
    fn a_variable_that_the_file_names_must_be_set() {
        let file = "[database]\nurl_env = 'APP_DB'";
        let environment = [("DATABASE_URL", "another database")];
        let failure = layer(file, &Global::default(), &environment).unwrap_err();
        assert!(failure.message.contains("APP_DB"), "{failure:?}");
        let config = layer(file, &Global::default(), &[("APP_DB", "this one")]).unwrap();
        assert_eq!(config.database, Some(Secret("this one".into())));
    }
}
