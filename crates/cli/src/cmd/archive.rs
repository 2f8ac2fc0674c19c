//! `concertina archive`

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use concertina_run::archive::ArchivedObject;
use concertina_run::{Engine, Error};

use crate::cmd::confirm;
use crate::config;
use crate::failure::Failure;
use crate::render::{self, BAD, say};
use crate::session::Session;
use crate::wire::{ArchiveDocument, ArchiveFileDocument};

/// Shows, saves, brings back or removes what migrations left in the archive.
///
/// A dropped table, function, type or sequence lies in schema concertina_archive as it was; of a dropped column lies a copy of
/// its values there, and so do values that undo keeps of an added column, and rows that `keep-before-image` keeps. Nothing leaves
/// the archive by itself.
#[derive(Debug, clap::Args)]
pub struct Archive {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    List(List),
    Save(Save),
    Verify(Verify),
    Restore(Restore),
    Purge(Purge),
}

/// Shows what lies in the archive, since when, and how large it is.
#[derive(Debug, clap::Args)]
pub struct List {}

/// Saves what a migration left in the archive into a file, so that it may be purged.
///
/// The file holds the statements that make each object again and, of tables, their rows with their number and checksum,
/// compressed by gzip: `zcat` shows it. It is written in one snapshot, and gets its name once it is whole; it must not exist
/// before, and only its owner may read it.
#[derive(Debug, clap::Args)]
pub struct Save {
    /// Which: name, number or path.
    migration: String,
    /// File to write.
    #[arg(long, short = 'o', value_name = "FILE")]
    output: PathBuf,
}

/// Reads a saved file to its end, and compares every number and checksum in it. Needs no database.
#[derive(Debug, clap::Args)]
pub struct Verify {
    /// File that `archive save` wrote.
    file: PathBuf,
}

/// Brings back what a migration archived, by taking the migration back: the same as `undo MIGRATION`.
///
/// With --from, brings back into the archive what was purged from it, and takes nothing back: `undo MIGRATION` works again
/// after that. The file is verified before anything is touched, and the tables are compared with it before it is committed.
#[derive(Debug, clap::Args)]
pub struct Restore {
    /// Which: name, number or path. With --from it may be left out, as the file says it.
    #[arg(required_unless_present = "from")]
    migration: Option<String>,
    /// File that `archive save` wrote.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
}

/// Removes from the archive for good. Undo of the migrations it came from is not possible any more, unless a file was saved of it.
///
/// Asks first, on a terminal; elsewhere it needs --yes.
#[derive(Debug, clap::Args)]
pub struct Purge {
    /// Only what has been there longer than this, such as 30d or 12h.
    #[arg(long, value_name = "TIME", value_parser = config::parse_age)]
    older_than: Duration,
    /// Only what this migration left: name, number or path.
    migration: Option<String>,
    /// Remove without asking.
    #[arg(long, short = 'y')]
    yes: bool,
}

impl Archive {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        match self.verb {
            Verb::List(_) => {
                let found = session.engine().await?.archive().await?;
                session.answer(|| render::archive::text(&found), || ArchiveDocument::of(&found, &[]));
                Ok(())
            }
            Verb::Save(save) => save.run(session).await,
            Verb::Verify(verify) => verify.run(session),
            Verb::Restore(restore) => restore.run(session).await,
            Verb::Purge(purge) => purge.run(session).await,
        }
    }
}

impl Restore {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let folder = session.folder()?;
        let name = self
            .migration
            .as_deref()
            .map(|wanted| folder.find(wanted).map_or(wanted, |file| file.name.as_str()));
        let engine = session.engine().await?;
        if let Some(path) = &self.from {
            let loaded = engine.load_archive(path, name).await?;
            session.report(
                || render::archive::loaded(&loaded),
                || ArchiveFileDocument::of(path, &loaded.contents, Some(&loaded.made)),
            );
            return Ok(());
        }
        let Some(name) = name else { return Ok(()) };
        let objects: Vec<_> =
            engine.archive().await?.into_iter().filter(|object| object.migration == name).collect();
        if objects.is_empty() {
            return Err(Failure::file(format!("migration {name} has left nothing in the archive"))
                .hint("`concertina archive list` shows what lies there. Nothing was changed."));
        }
        if objects.iter().all(|object| object.kept) {
            let what: Vec<&str> = objects.iter().map(|object| object.archived.of.as_str()).collect();
            return Err(Failure::file(format!(
                "migration {name} has been taken back; of it are left: {}",
                what.join("; ")
            ))
            .hint(
                "Run it again with `concertina expand`: what was written into its columns comes back. Rows that undo could not \
                 put back are in the tables that `concertina archive list` names. Nothing was changed.",
            ));
        }
        let outcome = engine.undo(Some(name)).await?;
        let statuses = engine.status(&folder.files).await?;
        session.report(
            || render::outcome::text("undo", &outcome, &statuses),
            || render::outcome::document("undo", &outcome, &statuses),
        );
        Ok(())
    }
}

impl Save {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let folder = session.folder()?;
        let name = folder.find(&self.migration).map_or(self.migration.as_str(), |file| file.name.as_str());
        let contents = session.engine().await?.save_archive(name, &self.output).await?;
        session.report(
            || render::archive::file(&format!("Saved in {}", self.output.display()), &contents),
            || ArchiveFileDocument::of(&self.output, &contents, None),
        );
        Ok(())
    }
}

impl Verify {
    fn run(self, session: &Session) -> Result<(), Failure> {
        let contents = concertina_run::archive::verify(&self.file)?;
        session.answer(
            || render::archive::file(&format!("{} is whole", self.file.display()), &contents),
            || ArchiveFileDocument::of(&self.file, &contents, None),
        );
        Ok(())
    }
}

impl Purge {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let folder = session.folder()?;
        let only = self
            .migration
            .as_deref()
            .map(|wanted| folder.find(wanted).map_or(wanted, |file| file.name.as_str()));
        let engine = session.engine().await?;
        let (wanted, kept): (Vec<_>, Vec<_>) = engine.archive().await?.into_iter().partition(|object| {
            object.age > self.older_than && only.is_none_or(|only| object.migration == only)
        });
        if !wanted.is_empty() && !self.yes {
            ask(session, &wanted).await?;
        }
        let gone = if wanted.is_empty() { Vec::new() } else { purge(&engine, wanted).await? };
        session.report(|| render::archive::purged(&gone, kept.len()), || ArchiveDocument::of(&kept, &gone));
        Ok(())
    }
}

async fn purge(engine: &Engine, wanted: Vec<ArchivedObject>) -> Result<Vec<ArchivedObject>, Error> {
    engine.purge(wanted).await
}

async fn ask(session: &Session, wanted: &[ArchivedObject]) -> Result<(), Failure> {
    let what: Vec<String> = wanted
        .iter()
        .map(|object| {
            let saved = render::archive::saved(object);
            format!("{} ({}; {saved})", object.archived.of, object.migration)
        })
        .collect();
    let refused = || Error::NotConfirmed { migration: "archive purge".to_owned(), what: what.join("; ") };
    if !std::io::stdin().is_terminal() {
        return Err(refused().into());
    }
    session.progress.finish();
    say(&format!("This {BAD}removes data for good{BAD:#}: {}", what.join("; ")));
    if confirm::ask(session).await { Ok(()) } else { Err(refused().into()) }
}
