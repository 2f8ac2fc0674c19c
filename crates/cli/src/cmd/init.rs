//! `concertina init`

use std::fs;
use std::path::{Path, PathBuf};

use crate::args::Global;
use crate::config::{self, Config};
use crate::failure::Failure;
use crate::session::Session;
use crate::wire::InitDocument;

/// Starts using Concertina here: configuration, migrations folder, ledger.
///
/// Writes concertina.toml with every default commented out, makes the migrations folder, and creates the ledger (schema
/// `concertina`) in the database, when one is named by --database, DATABASE_URL, concertina.toml or the PG* variables. What is
/// there already is left as it is, so it may be run again at any time.
#[derive(Debug, clap::Args)]
pub struct Init {}

impl Init {
    pub(crate) async fn run(self, global: &Global) -> Result<(), Failure> {
        let config = target(global);
        let config_written = write_new(&config, config::DEFAULT_FILE)?;
        let global = Global { config: Some(config.clone()), ..global.clone() };
        let session = Session::new(&global)?;
        let migrations = &session.config.migrations;
        let migrations_made = !migrations.is_dir();
        fs::create_dir_all(migrations)
            .map_err(|error| Failure::file(format!("cannot make {}: {error}", migrations.display())))?;

        let mut done = vec![
            wrote(&config, config_written, "written; every line in it is a default"),
            wrote(migrations, migrations_made, "made"),
        ];
        let ledger = session.config.names_a_database();
        if ledger {
            if let Err(failure) = create_ledger(&session).await {
                // The files are there, whatever the database says.
                done.iter().for_each(|line| session.progress.say(line));
                return Err(failure);
            }
            done.push("ledger: ready, in schema concertina of the database".to_owned());
        } else {
            done.push("ledger: not made, no database is named yet; the first run makes it".to_owned());
        }
        done.push("Next: concertina new NAME".to_owned());
        session.report(
            || done.iter().flat_map(|line| [line, "\n"]).collect(),
            || InitDocument {
                config: config.display().to_string(),
                config_written,
                migrations: migrations.display().to_string(),
                migrations_made,
                ledger,
            },
        );
        Ok(())
    }
}

/// The configuration in use here, or the one to be written.
fn target(global: &Global) -> PathBuf {
    // A mistake in the file is reported when it is read again below; here only its place matters.
    let known = Config::load(global).ok().and_then(|config| config.file);
    known.or_else(|| global.config.clone()).unwrap_or_else(|| config::FILE_NAME.into())
}

/// Writes a file unless it exists; says whether it did.
fn write_new(path: &Path, text: &str) -> Result<bool, Failure> {
    match fs::OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(mut file) => {
            use std::io::Write;
            file.write_all(text.as_bytes())
                .map(|()| true)
                .map_err(|error| Failure::file(format!("cannot write {}: {error}", path.display())))
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(Failure::file(format!("cannot write {}: {error}", path.display()))),
    }
}

fn wrote(path: &Path, now: bool, how: &str) -> String {
    format!("{}: {}", path.display(), if now { how } else { "was there" })
}

async fn create_ledger(session: &Session) -> Result<(), Failure> {
    session.engine().await?.init().await.map_err(Failure::from)
}
