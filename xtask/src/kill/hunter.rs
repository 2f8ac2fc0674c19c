//! Chooses the moments, kills, and starts the runner again until the command is done.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use concertina_plan::plan::{Action, Plan, Step, WorkKind};
use concertina_run::failpoint;
use concertina_run::state::MigrationFile;
use rand::Rng;
use rand::rngs::StdRng;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout_at;

use super::Sort;

/// One step is killed at most so often: an index build starts from nothing each time.
const MOST: u32 = 6;
/// A runner that says nothing for so long hangs.
const PATIENCE: Duration = Duration::from_secs(300);

/// Hunts the runner of one migration.
pub(crate) struct Hunter<'r> {
    rng: &'r mut StdRng,
    budget: u64,
    before: &'r BTreeMap<Sort, u64>,
    kills: BTreeMap<Sort, u64>,
    by_step: BTreeMap<String, u32>,
    /// How long a step of this title was last seen to take, in seconds.
    lengths: BTreeMap<String, f64>,
}

/// How one runner ended.
enum End {
    Killed(Sort),
    Done,
}

impl<'r> Hunter<'r> {
    /// May kill so often.
    pub(crate) fn new(rng: &'r mut StdRng, budget: u64, before: &'r BTreeMap<Sort, u64>) -> Self {
        Self {
            rng,
            budget,
            before,
            kills: BTreeMap::new(),
            by_step: BTreeMap::new(),
            lengths: BTreeMap::new(),
        }
    }

    /// Kills made, by the sort of step they hit.
    pub(crate) fn kills(self) -> BTreeMap<Sort, u64> {
        self.kills
    }

    /// Runs a command to its end, through kills.
    pub(crate) async fn hunt(
        &mut self,
        url: &str,
        file: &MigrationFile,
        plan: &Plan,
        command: &str,
    ) -> Result<()> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join(format!("{}.sql", file.name));
        std::fs::write(&path, &file.text)?;
        loop {
            let mut runner = Command::new(std::env::current_exe()?);
            runner.args(["victim", url]).arg(&path).arg(command);
            runner.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).kill_on_drop(true);
            if let Some(failpoint) = self.failpoint() {
                runner.env(failpoint::VARIABLE, failpoint);
            }
            let mut child = runner.spawn().context("starting the runner")?;
            let lines = BufReader::new(child.stdout.take().context("no output")?).lines();
            match self.follow(&mut child, lines, plan).await? {
                End::Done => return Ok(()),
                End::Killed(sort) => *self.kills.entry(sort).or_default() += 1,
            }
        }
    }

    /// Follows one runner until it is done or dead.
    async fn follow(
        &mut self,
        child: &mut Child,
        mut lines: Lines<BufReader<ChildStdout>>,
        plan: &Plan,
    ) -> Result<End> {
        let mut current: Option<(&Step, Instant)> = None;
        let mut kill_at = self.blindly();
        let mut heard = Instant::now();
        loop {
            let until = kill_at.unwrap_or(heard + PATIENCE);
            match timeout_at(until.into(), lines.next_line()).await {
                Err(_) if kill_at.is_none() => bail!("the runner said nothing for {PATIENCE:?}"),
                Err(_) => {
                    child.start_kill().context("killing the runner")?;
                    let status = child.wait().await?;
                    if status.code() == Some(0) {
                        return Ok(End::Done);
                    }
                    ensure!(status.code().is_none(), "the runner failed: {status}");
                    return Ok(self.killed(current));
                }
                Ok(line) => match line?.as_deref().map(|line| line.split_once(' ').unwrap_or((line, ""))) {
                    Some(("begin", title)) => {
                        let step = plan.steps.iter().find(|step| step.title == title);
                        let step = step.with_context(|| format!("the plan has no step \"{title}\""))?;
                        current = Some((step, Instant::now()));
                        kill_at = kill_at.or_else(|| self.within(step));
                    }
                    Some(("done", _)) => {
                        if let Some((step, begun)) = current.take() {
                            self.lengths.insert(step.title.clone(), begun.elapsed().as_secs_f64());
                        }
                    }
                    Some(_) => {}
                    None => {
                        let status = child.wait().await?;
                        if status.code().is_none() {
                            return Ok(self.killed(current));
                        }
                        ensure!(status.success(), "the runner failed: {status}");
                        return Ok(End::Done);
                    }
                },
            }
            heard = Instant::now();
        }
    }

    fn killed(&mut self, current: Option<(&Step, Instant)>) -> End {
        if let Some((step, _)) = current {
            *self.by_step.entry(step.title.clone()).or_default() += 1;
        }
        End::Killed(current.map_or(Sort::Between, |(step, _)| sort(step)))
    }

    /// One runner in eight dies at a place of its own: right before or after an effect, a COMMIT, a batch.
    fn failpoint(&mut self) -> Option<String> {
        let armed = self.left() > 0 && self.rng.random_bool(0.12);
        armed.then(|| format!("*:{}", self.rng.random_range(1..60)))
    }

    fn left(&self) -> u64 {
        self.budget.saturating_sub(self.kills.values().sum())
    }

    /// One runner in eight is killed by the clock alone, whatever it does then.
    fn blindly(&mut self) -> Option<Instant> {
        let blind = self.left() > 0 && self.rng.random_bool(0.12);
        blind.then(|| Instant::now() + Duration::from_secs_f64(self.rng.random_range(0.0..2.0)))
    }

    /// A moment within a step that begins now; sorts that have few kills so far are preferred.
    fn within(&mut self, step: &Step) -> Option<Instant> {
        let sort = sort(step);
        if self.left() == 0 || self.by_step.get(&step.title).is_some_and(|kills| *kills >= MOST) {
            return None;
        }
        let of = |sort: Sort| {
            self.before.get(&sort).copied().unwrap_or_default()
                + self.kills.get(&sort).copied().unwrap_or_default()
        };
        let fewest = Sort::LONG.into_iter().map(of).min().unwrap_or_default();
        let wanted = match sort {
            Sort::Short | Sort::Between => 0.1,
            long if of(long) <= fewest + 2 => 0.9,
            _ => 0.5,
        };
        let usual = if sort == Sort::Short { 0.02 } else { 0.5 };
        let length = self.lengths.get(&step.title).copied().unwrap_or(usual).clamp(0.005, 4.0);
        let delay = Duration::from_secs_f64(self.rng.random_range(0.0..length));
        self.rng.random_bool(wanted).then(|| Instant::now() + delay)
    }
}

fn sort(step: &Step) -> Sort {
    match &step.action {
        Action::Alone { .. } if step.work.iter().any(|work| work.what == WorkKind::IndexBuild) => {
            Sort::IndexBuild
        }
        Action::Long { .. } | Action::Proof { .. } => Sort::Validation,
        Action::Backfill(_) => Sort::Backfill,
        Action::Alone { .. } | Action::Transaction { .. } => Sort::Short,
    }
}
