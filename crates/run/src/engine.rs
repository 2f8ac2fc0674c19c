//! The door to everything that touches the database.
//!
//! Commands that change something take the lease first, so that two runners never work at once; those that look do not.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use concertina_plan::catalog::Catalog;
use concertina_plan::effect::Effect;
use concertina_plan::plan::{Phase, Plan, Undo};
use concertina_plan::policy::Policy;
use concertina_plan::rights::Missing;
use concertina_plan::{Source, effect};

use crate::archive::ArchivedObject;
use crate::connect::{Session, Target};
use crate::error::Error;
use crate::event::{Event, Observer};
use crate::executor::Run;
use crate::lease::{self, Lease};
use crate::ledger::{self, Direction, MigrationRow, StepRow};
use crate::outlook::Outlook;
use crate::report::RunReport;
use crate::settings::Settings;
use crate::state::{HistoryEntry, MigrationFile, MigrationState, MigrationStatus, StepState};
use crate::{archive, files, forward, introspect, outlook, report, rights, simple, status, undo};

/// Asks a run to stop at the next safe point. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Asks.
    pub fn request(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether it was asked.
    pub fn requested(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// What a command did.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Migrations moved forward (or back, by undo), in order.
    pub moved: Vec<String>,
    /// Steps executed (not skipped as already done).
    pub steps: usize,
    /// Migrations that wait for a later command, with the reason.
    pub waiting: Vec<(String, String)>,
}

/// How `contract` and `apply` may go.
#[derive(Clone, Copy, Debug, Default)]
pub struct Confirm {
    /// `--yes`: data may be removed.
    pub destroy: bool,
}

/// A connection's worth of Concertina.
///
/// What a command does is boxed: its future is large, and callers nest it in their own.
pub struct Engine {
    pub(crate) target: Target,
    pub(crate) settings: Settings,
    pub(crate) policy: Policy,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) stop: Stop,
}

impl Engine {
    /// Connects, checks server version, standby and pooler. Does not create the ledger.
    ///
    /// # Errors
    /// [`Error::Connection`], [`Error::Unsupported`].
    pub async fn connect(
        target: Target,
        settings: Settings,
        policy: Policy,
        observer: Arc<dyn Observer>,
        stop: Stop,
    ) -> Result<Self, Error> {
        target.refuse_pooler().await?;
        let session = target.connect("check", &settings).await?;
        for note in session.notes.iter().chain(&session.schemas_left_out().await?) {
            observer.event(&Event::Note(note.clone()));
        }
        Ok(Self { target, settings, policy, observer, stop })
    }

    /// Creates or upgrades the ledger schema. Idempotent.
    ///
    /// # Errors
    /// [`Error::Privilege`], [`Error::Ledger`], [`Error::Connection`].
    pub async fn init(&self) -> Result<(), Error> {
        ledger::ensure(&self.open().await?.client).await
    }

    /// Physical and logical catalog: the server now, and as it will be once everything in flight is contracted.
    ///
    /// # Errors
    /// [`Error::Ledger`], [`Error::Sql`], [`Error::Connection`].
    pub async fn catalogs(&self) -> Result<(Catalog, Catalog), Error> {
        let session = self.open().await?;
        let rows = known(&session).await?;
        catalogs(&session, &rows).await
    }

    /// Plans one file on the live catalog: read-only, works without a ledger. For a migration that already runs, its stored plan.
    ///
    /// # Errors
    /// [`Error::Refused`], and those of [`Engine::catalogs`].
    pub async fn plan(&self, file: &MigrationFile) -> Result<Plan, Error> {
        let session = self.open().await?;
        let rows = known(&session).await?;
        let row = rows.iter().find(|row| row.name == file.name && row.state != MigrationState::Undone);
        match row {
            Some(MigrationRow { plan: Some(plan), .. }) => Ok(plan.clone()),
            Some(row) => Err(Error::File {
                message: format!(
                    "{} has no plan: it {}",
                    row.name,
                    if row.is_baseline() {
                        "was recorded as applied by `concertina baseline`, and never ran here"
                    } else {
                        "was run as written by `concertina apply --simple`"
                    }
                ),
            }),
            None => self.compile(&session, &rows, file).await,
        }
    }

    /// Compares the files with what the ledger knows, as every run does first. Read-only, works without a ledger.
    ///
    /// # Errors
    /// [`Error::File`], and those of [`Engine::catalogs`].
    pub async fn check_files(&self, files: &[MigrationFile]) -> Result<(), Error> {
        let session = self.open().await?;
        let rows = known(&session).await?;
        files::in_order(files, &rows, self.settings.allow_out_of_order).map(|_| ())
    }

    /// What the role lacks for each of these plans: empty where it may run. Read-only, works without a ledger.
    ///
    /// # Errors
    /// [`Error::Sql`], [`Error::Connection`].
    pub async fn missing_rights(&self, plans: &[&Plan]) -> Result<Vec<Vec<Missing>>, Error> {
        let session = self.open().await?;
        let mut all = Vec::new();
        for plan in plans {
            all.push(rights::missing(&session, &self.settings, plan, Phase::Expand).await?);
        }
        Ok(all)
    }

    /// How long each of these plans may take, what room it needs and whether the server has it; for one that is under way, of what is
    /// left. Read-only, works without a ledger.
    ///
    /// # Errors
    /// [`Error::Sql`], [`Error::Connection`].
    pub async fn outlook(&self, plans: &[&Plan]) -> Result<Vec<Outlook>, Error> {
        let work = self.open().await?;
        let control = self.target.connect_control("control", &self.settings).await?;
        let rows = known(&work).await?;
        let mut all = Vec::new();
        for plan in plans {
            let row =
                rows.iter().find(|row| row.name == plan.migration && row.state != MigrationState::Undone);
            let done = match row {
                Some(row) => ledger::steps(&work.client, row.id).await?,
                None => Vec::new(),
            };
            let left = forward::left(plan, &done, row.map_or(0, |row| row.id), |_| true);
            let mut outlook = outlook::look(&work, &control, &self.settings, plan, left).await?;
            // Of what has begun it is shown what was expected then.
            let kept = match row {
                Some(row) => ledger::estimates(&work.client, row.id).await?,
                None => Vec::new(),
            };
            for row in kept {
                if let Some(step) = usize::try_from(row.ordinal).ok().and_then(|at| outlook.steps.get_mut(at))
                {
                    (step.expected, step.room) = (row.expected, row.room);
                }
            }
            all.push(outlook);
        }
        Ok(all)
    }

    /// Expand, backfill and validate: all unapplied files in order up to the first refusal, or only `only`.
    ///
    /// # Errors
    /// The first one met; what was done before stays done, and the same command goes on from there.
    pub async fn expand(&self, files: &[MigrationFile], only: Option<&str>) -> Result<Outcome, Error> {
        let mut run = self.runner_for(files, only).await?;
        let result = Box::pin(forward::expand(self, &mut run, files, only)).await;
        run.close().await;
        result
    }

    /// Switch all expanded migrations that change a type, oldest first, or only `only`.
    ///
    /// # Errors
    /// As [`Engine::expand`].
    pub async fn switch(&self, files: &[MigrationFile], only: Option<&str>) -> Result<Outcome, Error> {
        let mut run = self.runner().await?;
        let result = Box::pin(forward::switch(&mut run, files, only)).await;
        run.close().await;
        result
    }

    /// Contract all expanded migrations, oldest first, or only `only`.
    ///
    /// # Errors
    /// [`Error::NotConfirmed`] at the first one that would remove data without being told to, and as [`Engine::expand`].
    pub async fn contract(
        &self,
        files: &[MigrationFile],
        only: Option<&str>,
        confirm: Confirm,
    ) -> Result<Outcome, Error> {
        let mut run = self.runner().await?;
        let result = Box::pin(forward::contract(&mut run, files, only, confirm)).await;
        run.close().await;
        result
    }

    /// Expand, switch and contract, file after file, as far as gates allow.
    ///
    /// # Errors
    /// As [`Engine::expand`].
    pub async fn apply(&self, files: &[MigrationFile], confirm: Confirm) -> Result<Outcome, Error> {
        let mut run = self.runner_for(files, None).await?;
        let result = Box::pin(forward::apply(self, &mut run, files, confirm)).await;
        run.close().await;
        result
    }

    /// Run the unapplied files as written, one transaction a file where legal, recorded in the ledger.
    ///
    /// # Errors
    /// As [`Engine::expand`].
    pub async fn apply_simple(&self, files: &[MigrationFile]) -> Result<Outcome, Error> {
        let mut run = match self.runner().await {
            // Not even the ledger may be made: what else is missing is said along.
            Err(error @ Error::Privilege { .. }) => {
                simple::require_rights(self, &self.open().await?, &[], files).await?;
                return Err(error);
            }
            result => result?,
        };
        let result = Box::pin(simple::apply(self, &mut run, files)).await;
        run.close().await;
        result
    }

    /// Back out to the start, from any phase. Without a name there must be exactly one candidate.
    ///
    /// # Errors
    /// [`Error::CannotUndo`] before anything is touched, and as [`Engine::expand`].
    pub async fn undo(&self, only: Option<&str>) -> Result<Outcome, Error> {
        let mut run = self.runner().await?;
        let result = Box::pin(undo::undo(&mut run, only)).await;
        run.close().await;
        result
    }

    /// Every known and every given migration, in order of name.
    ///
    /// # Errors
    /// [`Error::Ledger`], [`Error::Sql`], [`Error::Connection`].
    pub async fn status(&self, files: &[MigrationFile]) -> Result<Vec<MigrationStatus>, Error> {
        let session = self.open().await?;
        let rows = known(&session).await?;
        status::status(self, &session, rows, files).await
    }

    /// The event log, oldest first.
    ///
    /// # Errors
    /// [`Error::Ledger`], [`Error::Sql`], [`Error::Connection`].
    pub async fn history(&self) -> Result<Vec<HistoryEntry>, Error> {
        let session = self.open().await?;
        if !ledger::exists(&session.client).await? {
            return Ok(Vec::new());
        }
        ledger::check(&session.client).await?;
        ledger::history(&session.client).await
    }

    /// What the ledger knows of a migration's run; `None` where it never began. Read-only.
    ///
    /// # Errors
    /// [`Error::Ledger`], [`Error::Sql`], [`Error::Connection`].
    pub async fn report(&self, name: &str) -> Result<Option<RunReport>, Error> {
        let session = self.open().await?;
        if !ledger::exists(&session.client).await? {
            return Ok(None);
        }
        ledger::check(&session.client).await?;
        report::read(&session, name).await
    }

    /// What contracted migrations left in the archive and is still there, oldest first.
    ///
    /// # Errors
    /// [`Error::Ledger`], [`Error::Sql`], [`Error::Connection`].
    pub async fn archive(&self) -> Result<Vec<ArchivedObject>, Error> {
        let session = self.open().await?;
        if !ledger::exists(&session.client).await? {
            return Ok(Vec::new());
        }
        ledger::check(&session.client).await?;
        archive::list(&session.client).await
    }

    /// Removes these from the archive for good; undo of their migrations is not possible any more. Blocks nobody: they are used by
    /// nobody. Returns what is gone.
    ///
    /// # Errors
    /// As [`Engine::expand`]; what was removed before stays removed.
    pub async fn purge(&self, objects: Vec<ArchivedObject>) -> Result<Vec<ArchivedObject>, Error> {
        let run = self.runner().await?;
        let result = archive::purge(&run, objects).await;
        run.close().await;
        result
    }

    /// Saves what a migration left in the archive into a new file. Takes no lease: it only reads, in one snapshot.
    ///
    /// # Errors
    /// [`Error::File`]; then nothing is left under the file's name. As [`Engine::archive`].
    pub async fn save_archive(&self, migration: &str, path: &Path) -> Result<archive::Contents, Error> {
        let objects: Vec<ArchivedObject> =
            self.archive().await?.into_iter().filter(|object| object.migration == migration).collect();
        let session = self.open().await?;
        let row =
            if objects.is_empty() { None } else { ledger::migration(&session.client, migration).await? };
        let Some(row) = row else {
            return Err(Error::File {
                message: format!(
                    "migration {migration} has left nothing in the archive; `concertina archive list` shows what lies there"
                ),
            });
        };
        let around = archive::Around { observer: &*self.observer, stop: &self.stop, who: &session.who };
        Box::pin(archive::save(&session.client, &row, objects, path, &around)).await
    }

    /// Brings back into the archive what a file holds of it and was purged; then undo works as before. `only` names the migration
    /// that the file must be of.
    ///
    /// # Errors
    /// [`Error::File`] before anything is touched, and as [`Engine::expand`].
    pub async fn load_archive(&self, path: &Path, only: Option<&str>) -> Result<archive::Loaded, Error> {
        // Before the lease is taken, and beside the tasks that keep it: a large file takes its time.
        let file = path.to_owned();
        let verified = tokio::task::spawn_blocking(move || archive::verify(&file)).await;
        let contents = verified.map_err(|error| Error::File { message: error.to_string() })??;
        let run = self.runner().await?;
        let result = Box::pin(archive::load(&run, path, contents, only)).await;
        run.close().await;
        result
    }

    pub(crate) async fn open(&self) -> Result<Session, Error> {
        self.target.connect("work", &self.settings).await
    }

    /// Plans a file anew.
    pub(crate) async fn compile(
        &self,
        session: &Session,
        rows: &[MigrationRow],
        file: &MigrationFile,
    ) -> Result<Plan, Error> {
        let (physical, logical) = catalogs(session, rows).await?;
        let source = Source { name: &file.name, text: &file.text };
        concertina_plan::plan(source, &logical, &physical, &self.policy).map_err(|mut diagnostics| {
            forward::name_in_flight(&mut diagnostics, rows);
            Error::Refused { migration: file.name.clone(), diagnostics, text: file.text.clone() }
        })
    }

    /// The same; where not even the ledger may be made, it is said together with what the first migration needs.
    async fn runner_for(&self, files: &[MigrationFile], only: Option<&str>) -> Result<Run, Error> {
        match self.runner().await {
            Err(error @ Error::Privilege { .. }) => {
                let first = files.iter().find(|file| only.is_none_or(|only| only == file.name));
                let Some(file) = first else { return Err(error) };
                let Ok(plan) = self.plan(file).await else { return Err(error) };
                rights::require(&self.open().await?, &self.settings, &plan, Phase::Expand).await?;
                Err(error)
            }
            result => result,
        }
    }

    /// Makes sure of the ledger, takes the lease, and ends what an earlier runner left running.
    pub(crate) async fn runner(&self) -> Result<Run, Error> {
        let work = self.open().await?;
        ledger::ensure(&work.client).await?;
        let waiting = |reason: &str, since| {
            self.observer.event(&Event::Waiting { step: 0, reason: reason.to_owned(), since });
        };
        let lease = Lease::acquire(&self.target, &self.settings, &self.stop, waiting).await?;
        let control = match self.target.connect_control("control", &self.settings).await {
            Ok(control) => control,
            Err(error) => {
                lease.release().await;
                return Err(error);
            }
        };
        let run = Run::new(self, work, control, lease);
        let orphans = async {
            let candidates = ledger::orphan_candidates(&run.work.client).await?;
            lease::end_orphans(&run.control.client, &candidates).await
        };
        match orphans.await {
            Ok(()) => Ok(run),
            Err(error) => {
                run.close().await;
                Err(error)
            }
        }
    }
}

/// What the ledger knows; nothing where there is none.
async fn known(session: &Session) -> Result<Vec<MigrationRow>, Error> {
    if !ledger::exists(&session.client).await? {
        return Ok(Vec::new());
    }
    ledger::check(&session.client).await?;
    ledger::migrations(&session.client).await
}

pub(crate) async fn catalogs(session: &Session, rows: &[MigrationRow]) -> Result<(Catalog, Catalog), Error> {
    let physical = introspect::introspect(&session.client).await?;
    let mut logical = physical.clone();
    for row in rows.iter().filter(|row| in_flight(row.state)) {
        let Some(plan) = &row.plan else { continue };
        let steps = ledger::steps(&session.client, row.id).await?;
        logical = effect::fold(&logical, remaining(plan, row.state, &steps));
    }
    Ok((physical, logical))
}

/// Under way: its effects are not all there yet, or not all gone.
pub(crate) fn in_flight(state: MigrationState) -> bool {
    match state {
        MigrationState::Expanding
        | MigrationState::Expanded
        | MigrationState::Switched
        | MigrationState::Contracting
        | MigrationState::Undoing => true,
        MigrationState::Pending | MigrationState::Done | MigrationState::Undone => false,
    }
}

/// Effects of what is still to be done: of the plan's steps or, of one that is taken back, of their undo in reverse.
fn remaining<'p>(plan: &'p Plan, state: MigrationState, rows: &[StepRow]) -> Vec<&'p Effect> {
    let is = |ordinal: usize, direction, sub: usize, state| {
        rows.iter().any(|row| {
            row.direction == direction
                && usize::try_from(row.ordinal) == Ok(ordinal)
                && usize::try_from(row.sub) == Ok(sub)
                && row.state == state
        })
    };
    let mut effects = Vec::new();
    if state == MigrationState::Undoing {
        for (ordinal, step) in plan.steps.iter().enumerate().rev() {
            if let Undo::Steps { steps, .. } = &step.undo
                && is(ordinal, Direction::Forward, 0, StepState::Done)
            {
                for (sub, step) in steps.iter().enumerate() {
                    if !is(ordinal, Direction::Undo, sub, StepState::Done) {
                        effects.extend(&step.provides);
                    }
                }
            }
        }
        return effects;
    }
    for (ordinal, step) in plan.steps.iter().enumerate() {
        if !is(ordinal, Direction::Forward, 0, StepState::Done) {
            effects.extend(&step.provides);
        }
    }
    effects
}
