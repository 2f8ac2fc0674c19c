//! What every command that talks to a database needs: configuration, folder, engine, progress, and a way to stop.

use std::sync::Arc;

use concertina_run::Engine;
use concertina_run::connect::Target;
use concertina_run::engine::Stop;
use concertina_run::state::MigrationState;

use crate::args::{Format, Global};
use crate::cmd::new::TEMPLATE;
use crate::config::Config;
use crate::failure::Failure;
use crate::folder::Folder;
use crate::render::progress::Progress;
use crate::wire::{self, Document};
use crate::{render, signal};

/// What names a database where the configuration does not. Source: doc/src/sgml/libpq.sgml, "Environment Variables".
const NAMES: [&str; 5] = ["PGHOST", "PGHOSTADDR", "PGDATABASE", "PGSERVICE", "PGPORT"];

/// One command's surroundings.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) global: Global,
    pub(crate) config: Config,
    pub(crate) progress: Arc<Progress>,
    pub(crate) stop: Stop,
}

impl Session {
    /// Reads the configuration; connects to nothing.
    pub(crate) fn new(global: &Global) -> Result<Self, Failure> {
        Ok(Self {
            global: global.clone(),
            config: Config::load(global)?,
            progress: Arc::new(Progress::new(global)),
            stop: Stop::default(),
        })
    }

    /// Reads the migrations folder.
    pub(crate) fn folder(&self) -> Result<Folder, Failure> {
        Folder::read(&self.config.migrations)
    }

    /// Connects. From here on Ctrl-C and SIGTERM stop the run at a safe point.
    pub(crate) async fn engine(&self) -> Result<Engine, Failure> {
        let named =
            self.config.database.is_some() || NAMES.iter().any(|name| std::env::var_os(name).is_some());
        // What is wrong with the names or with the way to the server, and not with a run.
        let hint = |error: concertina_run::Error| {
            let unreached = matches!(error, concertina_run::Error::Connection { .. });
            let failure = Failure::from(error);
            match (unreached, named) {
                (false, _) => failure,
                (true, true) => failure.hint("Check --database, DATABASE_URL or the PG* variables."),
                (true, false) => failure.hint(
                    "Nothing names a database, so libpq's defaults were tried: set DATABASE_URL, or pass --database.",
                ),
            }
        };
        let target = Target::resolve(self.config.database.as_ref().map(|url| url.reveal())).map_err(hint)?;
        signal::listen(self.stop.clone(), self.progress.clone())?;
        let engine = Engine::connect(
            target,
            self.config.settings.clone(),
            self.config.policy.clone(),
            self.progress.clone(),
            self.stop.clone(),
        );
        engine.await.map_err(hint)
    }

    /// A file that is still as `new` made it is somebody's work that has not begun, and not a migration that wants nothing: it is
    /// not to be run, or it could not be written any more.
    pub(crate) async fn written(
        &self,
        engine: &Engine,
        folder: &Folder,
        only: Option<&str>,
    ) -> Result<(), Failure> {
        let blank = |name: &str| folder.files.iter().any(|file| file.name == name && file.text == TEMPLATE);
        if !folder.files.iter().any(|file| blank(&file.name)) {
            return Ok(());
        }
        let pending = |state| matches!(state, MigrationState::Pending | MigrationState::Undone);
        let statuses = engine.status(&folder.files).await?;
        let wanted = statuses.iter().filter(|status| only.is_none_or(|only| only == status.name));
        match wanted.filter(|status| pending(status.state)).find(|status| blank(&status.name)) {
            None => Ok(()),
            Some(status) => Err(Failure::file(format!(
                "{} is still as `concertina new` made it",
                folder.path_of(&status.name).display()
            ))
            .hint("Write into it what the migration wants, or remove the file. Nothing was run.")),
        }
    }

    /// The command's answer to a question: as text, or as its document.
    pub(crate) fn answer<D: Document>(&self, text: impl FnOnce() -> String, document: impl FnOnce() -> D) {
        self.progress.finish();
        match self.global.format {
            Format::Text => render::answer(&text()),
            Format::Json => render::answer(&wire::to_json(&document())),
        }
    }

    /// The same for commands that were asked to do something: `--quiet` wants no text.
    pub(crate) fn report<D: Document>(&self, text: impl FnOnce() -> String, document: impl FnOnce() -> D) {
        let quiet = self.global.quiet;
        self.answer(|| if quiet { String::new() } else { text() }, document);
    }

    /// Gives a refusal the path of its file, so that editors can jump there.
    pub(crate) fn locate(&self, mut failure: Failure, folder: &Folder) -> Failure {
        if let Some(refusal) = &mut failure.refusal {
            let path = folder.path_of(&refusal.migration);
            if path.is_file() {
                refusal.origin = path.display().to_string();
            }
        }
        failure
    }
}
