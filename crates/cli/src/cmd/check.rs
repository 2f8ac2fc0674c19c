//! `concertina check`

use std::path::{Path, PathBuf};

use concertina_run::check::Checked;
use concertina_run::dump::{CUSTOM_FORMAT, Dump};

use crate::args::Format;
use crate::exit_code::ExitCode;
use crate::failure::{Failure, Refusal};
use crate::folder::{self, Folder};
use crate::render;
use crate::session::Session;
use crate::wire::CheckDocument;

/// Plans every migration on an empty database, for CI: whether production would refuse one is known before it gets there.
///
/// Needs --database, and takes only a database with nothing in it. Each file is planned on the schema that those before it make, as
/// if every table held rows, and then run as written. With --schema the database begins as a dump of production's schema
/// (`pg_dump --schema-only`), and --baseline says how far the files are in it. What was refused is shown with the reason and the way
/// out; the exit code is 3 then, and 15 when a file fails as written. The database is used up afterwards: drop it.
#[derive(Debug, clap::Args)]
pub struct Check {
    /// Begin with this dump, as `pg_dump --schema-only` writes it.
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// The last migration that is not to be planned, with all before it: they are in the dump or, without one, run as written.
    #[arg(long, value_name = "MIGRATION")]
    baseline: Option<String>,
}

impl Check {
    pub(crate) async fn run(self, session: &Session) -> Result<ExitCode, Failure> {
        if session.global.database.is_none() {
            return Err(Failure::usage("check needs --database: an empty database, which it fills")
                .hint("Neither DATABASE_URL nor concertina.toml is taken for it, since they may well mean production."));
        }
        let folder = session.folder()?;
        let baseline = match &self.baseline {
            Some(wanted) => Some(folder.find(wanted)?.name.as_str()),
            None => None,
        };
        let dump = self.schema.as_deref().map(read).transpose()?;
        let engine = session.engine().await?;
        let checked = engine.check(&folder.files, baseline, dump.as_ref()).await?;
        Ok(print(session, &folder, dump.as_ref(), &checked))
    }
}

fn read(path: &Path) -> Result<Dump, Failure> {
    let origin = path.display().to_string();
    // A custom-format dump is not even text; what to do about it is said where dumps are known.
    match std::fs::read(path) {
        Ok(bytes) if bytes.starts_with(CUSTOM_FORMAT.as_bytes()) => {
            Ok(Dump { origin, text: CUSTOM_FORMAT.to_owned() })
        }
        _ => Ok(Dump { origin, text: folder::read_text(path)? }),
    }
}

fn print(session: &Session, folder: &Folder, dump: Option<&Dump>, checked: &Checked) -> ExitCode {
    let refusals: Vec<Refusal> = checked
        .files
        .iter()
        .filter_map(|file| {
            let diagnostics = file.plan.as_ref().err()?.clone();
            let text = folder.files.iter().find(|known| known.name == file.name)?.text.clone();
            let origin = folder.path_of(&file.name).display().to_string();
            Some(Refusal { migration: file.name.clone(), origin, text, diagnostics })
        })
        .collect();
    let code = match (&checked.failed, refusals.as_slice()) {
        (Some(_), _) => ExitCode::StepFailed,
        (None, [_, ..]) => ExitCode::Refused,
        (None, []) => ExitCode::Ok,
    };
    let origin = dump.map(|dump| dump.origin.as_str());
    session
        .report(|| render::check::text(checked, origin), || CheckDocument::new(checked, origin, &refusals));
    if session.global.format == Format::Text {
        for refusal in &refusals {
            render::say(&render::failure::diagnostics(refusal));
        }
        if let Some(failure) = render::check::failure(checked, refusals.len(), code) {
            render::say(&render::failure::text(&failure));
        }
    }
    code
}
