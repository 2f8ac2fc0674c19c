//! What every command that talks to a database needs: configuration, folder, engine, progress, and a way to stop.

use std::sync::Arc;

use concertina_run::Engine;
use concertina_run::connect::Target;
use concertina_run::engine::Stop;

use crate::args::{Format, Global};
use crate::config::Config;
use crate::failure::Failure;
use crate::folder::Folder;
use crate::render::progress::Progress;
use crate::wire::{self, Document};
use crate::{render, signal};

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
        let target = Target::resolve(self.config.database.as_ref().map(|url| url.reveal()))?;
        signal::listen(self.stop.clone(), self.progress.clone())?;
        let engine = Engine::connect(
            target,
            self.config.settings.clone(),
            self.config.policy.clone(),
            self.progress.clone(),
            self.stop.clone(),
        );
        Ok(engine.await?)
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
