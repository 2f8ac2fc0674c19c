//! `concertina plan`

use std::path::Path;

use concertina_plan::plan::{Claim, Plan as OnlinePlan};
use concertina_plan::{Source, effect};
use concertina_run::state::{MigrationFile, MigrationState, MigrationStatus};
use concertina_run::{Engine, Error};

use crate::args::Format;
use crate::cmd::Order;
use crate::exit_code::ExitCode;
use crate::failure::{Failure, Refusal};
use crate::folder::{self, Folder};
use crate::render;
use crate::render::plan::Shown;
use crate::session::Session;
use crate::wire::{MissingRight, PlanDocument, PlannedMigration, RefusedMigration};

/// Explains what would run on the live database: every step with its locks, its reason and its undo. Changes nothing.
///
/// Without a migration: all that are not applied yet, in order, each planned on top of those before it. One that is under
/// way or done is shown as it was stored when it began. Refused statements are shown with the reason and the way out; the exit
/// code is 3 then.
#[derive(Debug, clap::Args)]
pub struct Plan {
    /// Only this one: name, number or path. A path outside of the migrations folder is planned on the database as it is.
    migration: Option<String>,
    #[command(flatten)]
    order: Order,
}

/// What planning in order came to.
#[derive(Default)]
struct Planned {
    plans: Vec<Shown>,
    refusal: Option<Refusal>,
    not_planned: Vec<String>,
}

impl Plan {
    pub(crate) async fn run(self, mut session: Session) -> Result<ExitCode, Failure> {
        self.order.apply(&mut session);
        let session = &session;
        let outside =
            self.migration.as_deref().and_then(|wanted| outside(wanted, &session.config.migrations));
        let planned = if let Some(path) = outside {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let file = MigrationFile { name, text: folder::read_text(path)? };
            let engine = session.engine().await?;
            let mut planned = in_order(session, &engine, &[&file], &[]).await?;
            look_ahead(&engine, &mut planned).await?;
            if let Some(refusal) = &mut planned.refusal {
                refusal.origin = path.display().to_string();
            }
            planned
        } else {
            let folder = session.folder()?;
            let wanted = self.migration.as_deref().map(|wanted| folder.find(wanted)).transpose()?;
            let engine = session.engine().await?;
            let statuses = engine.status(&folder.files).await?;
            session.written(&engine, &folder, wanted.map(|file| file.name.as_str())).await?;
            let mut planned = of_folder(session, &engine, &folder, wanted, &statuses).await?;
            look_ahead(&engine, &mut planned).await?;
            planned
        };
        Ok(print(session, planned))
    }
}

/// A file that exists and is not one of the folder.
fn outside<'a>(wanted: &'a str, migrations: &Path) -> Option<&'a Path> {
    let path = Path::new(wanted);
    let parent = path.canonicalize().ok().filter(|path| path.is_file())?.parent()?.to_owned();
    (migrations.canonicalize().ok().as_deref() != Some(&parent)).then_some(path)
}

async fn of_folder(
    session: &Session,
    engine: &Engine,
    folder: &Folder,
    wanted: Option<&MigrationFile>,
    statuses: &[MigrationStatus],
) -> Result<Planned, Failure> {
    let pending = |file: &&MigrationFile| {
        let state = statuses.iter().find(|status| status.name == file.name).map(|status| status.state);
        state.is_none_or(|state| matches!(state, MigrationState::Pending | MigrationState::Undone))
    };
    // What would keep it from running keeps it from being planned. A stored plan is shown whatever became of its file.
    if wanted.is_none_or(|file| pending(&file)) {
        engine.check_files(&folder.files).await?;
    }
    let mut planned = match wanted {
        Some(file) if !pending(&file) => {
            let plan = engine.plan(file).await?;
            let outside = PlannedMigration::new(&plan, true, Vec::new());
            Planned { plans: vec![Shown { plan, outside, outlook: None }], ..Planned::default() }
        }
        Some(file) => {
            // Those before it come first when it runs, so it is planned on top of them.
            let upto = folder.files.iter().position(|known| known.name == file.name).map_or(0, |at| at + 1);
            let files: Vec<&MigrationFile> = folder.files[..upto].iter().filter(pending).collect();
            let mut planned = in_order(session, engine, &files, statuses).await?;
            planned.plans.retain(|shown| shown.plan.migration == file.name);
            planned
        }
        None => {
            let files: Vec<&MigrationFile> = folder.files.iter().filter(pending).collect();
            in_order(session, engine, &files, statuses).await?
        }
    };
    if let Some(refusal) = &mut planned.refusal {
        refusal.origin = folder.path_of(&refusal.migration).display().to_string();
    }
    Ok(planned)
}

/// Plans each file on the catalogs as those before it leave them, up to the first that is refused.
async fn in_order(
    session: &Session,
    engine: &Engine,
    files: &[&MigrationFile],
    statuses: &[MigrationStatus],
) -> Result<Planned, Failure> {
    let mut planned = Planned::default();
    let mut catalogs = None;
    let mut busy: Vec<(String, Vec<Claim>)> = statuses.iter().filter_map(in_flight).collect();
    for (at, file) in files.iter().enumerate() {
        let plan = match &catalogs {
            None => match engine.plan(file).await {
                Ok(plan) => Ok(plan),
                Err(Error::Refused { diagnostics, .. }) => Err(diagnostics),
                Err(error) => return Err(error.into()),
            },
            Some((physical, logical)) => {
                let source = Source { name: &file.name, text: &file.text };
                concertina_plan::plan(source, logical, physical, &session.config.policy)
            }
        };
        let plan = match plan {
            Ok(plan) => plan,
            Err(diagnostics) => {
                let (migration, text) = (file.name.clone(), file.text.clone());
                planned.refusal = Some(Refusal { origin: migration.clone(), migration, text, diagnostics });
                planned.not_planned = files[at + 1..].iter().map(|file| file.name.clone()).collect();
                break;
            }
        };
        // An overlap with one that is not contracted makes this one wait for it; so whatever it meets, it meets it contracted.
        let after = |(name, claims): &(String, Vec<Claim>)| {
            let overlap = claims.iter().any(|claim| plan.claims.iter().any(|own| own.overlaps(claim)));
            overlap.then(|| name.clone())
        };
        let runs_after: Vec<String> = busy.iter().filter_map(after).collect();
        if at + 1 < files.len() {
            let (physical, logical) = match catalogs.take() {
                Some(known) => known,
                None => engine.catalogs().await?,
            };
            let effects = || plan.steps.iter().flat_map(|step| &step.provides);
            catalogs = Some((effect::fold(&physical, effects()), effect::fold(&logical, effects())));
        }
        busy.push((plan.migration.clone(), plan.claims.clone()));
        let outside = PlannedMigration::new(&plan, false, runs_after);
        planned.plans.push(Shown { plan, outside, outlook: None });
    }
    Ok(planned)
}

/// Says beforehand what `expand` and `contract` would stop for, and how long they may take.
async fn look_ahead(engine: &Engine, planned: &mut Planned) -> Result<(), Failure> {
    let plans: Vec<&OnlinePlan> =
        planned.plans.iter().filter(|shown| !shown.outside.stored).map(|shown| &shown.plan).collect();
    let missing = engine.missing_rights(&plans).await?;
    for (shown, missing) in planned.plans.iter_mut().filter(|shown| !shown.outside.stored).zip(missing) {
        shown.outside.missing_rights = missing.iter().map(MissingRight::from).collect();
    }
    let plans: Vec<&OnlinePlan> = planned.plans.iter().map(|shown| &shown.plan).collect();
    let outlooks = engine.outlook(&plans).await?;
    for (shown, outlook) in planned.plans.iter_mut().zip(outlooks) {
        shown.outside.add_outlook(&outlook);
        shown.outlook = Some(outlook);
    }
    Ok(())
}

fn in_flight(status: &MigrationStatus) -> Option<(String, Vec<Claim>)> {
    let under_way = match status.state {
        MigrationState::Pending | MigrationState::Done | MigrationState::Undone => false,
        MigrationState::Expanding
        | MigrationState::Expanded
        | MigrationState::Switched
        | MigrationState::Contracting
        | MigrationState::Undoing => true,
    };
    let plan = status.plan.as_ref().filter(|_| under_way)?;
    Some((status.name.clone(), plan.claims.clone()))
}

fn print(session: &Session, planned: Planned) -> ExitCode {
    let Planned { plans, refusal, not_planned } = planned;
    let code = if refusal.is_some() { ExitCode::Refused } else { ExitCode::Ok };
    if session.global.format == Format::Text
        && let Some(refusal) = &refusal
    {
        let count = render::plural(refusal.diagnostics.len(), "statement");
        let failure = Failure {
            refusal: Some(Box::new(refusal.clone())),
            ..Failure::new(code, format!("{} cannot be planned: {count} refused", refusal.migration))
        };
        let failure = match not_planned.as_slice() {
            [] => failure,
            later => {
                failure.hint(format!("Not looked at, because they come after it: {}.", later.join(", ")))
            }
        };
        session.answer(|| render::plan::texts(&plans), empty);
        render::say(&render::failure::text(&failure));
        return code;
    }
    session.answer(
        || match plans.is_empty() {
            true => "Nothing to plan: every migration of the folder is applied or under way.\n".to_owned(),
            false => render::plan::texts(&plans),
        },
        || PlanDocument {
            refused: refusal.as_ref().map(RefusedMigration::from),
            not_planned: not_planned.clone(),
            plans: plans.iter().map(|shown| shown.outside.clone()).collect(),
        },
    );
    code
}

fn empty() -> PlanDocument {
    PlanDocument { plans: Vec::new(), refused: None, not_planned: Vec::new() }
}
