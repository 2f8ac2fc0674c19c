//! Random schemas and random migrations of the kinds we plan: what comes out equals what `psql` makes of the same SQL, or the
//! plan is refused for a reason that holds.
//!
//! The same scenarios each time, so that a change is judged by what it changes. `CONCERTINA_PROPERTY_SEED` takes others
//! (`random` any), `CONCERTINA_PROPERTY_CASES` says how many (30); a failure prints its seed and SQL.

mod scenario;

use anyhow::{Context, Result, bail, ensure};
use concertina_proof::case::ColumnOrder;
use concertina_proof::compare::{self, Picture};
use concertina_proof::drive::{self, Command};
use concertina_proof::oracle::explain;
use concertina_proof::world::{Database, World};
use concertina_run::Error;
use concertina_run::state::MigrationFile;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use scenario::Scenario;
use tokio::runtime::Runtime;

/// Any would do; this one is only always the same.
const SEED: u64 = 1_125_570_948;

#[test]
fn random_migrations_equal_the_naive_sql() {
    let cases = std::env::var("CONCERTINA_PROPERTY_CASES").map_or(30, |cases| cases.parse::<u64>().unwrap());
    let seed = match std::env::var("CONCERTINA_PROPERTY_SEED").as_deref() {
        Err(_) => SEED,
        Ok("random") => u64::from(rand::random::<u32>()),
        Ok(seed) => seed.parse::<u64>().unwrap(),
    };
    println!("seed {seed}: repeat with CONCERTINA_PROPERTY_SEED={seed} CONCERTINA_PROPERTY_CASES={cases}");

    let runtime = Runtime::new().unwrap();
    let world = runtime.block_on(World::start()).unwrap();
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let config = Config {
        cases: u32::try_from(cases).unwrap(),
        max_shrink_iters: 60,
        failure_persistence: None,
        ..Config::default()
    };
    let mut tally = Tally::default();
    let tally_in = std::sync::Mutex::new(&mut tally);
    let verdict = TestRunner::new_with_rng(config, rng).run(&scenario::scenarios(), |scenario| match runtime
        .block_on(check(&world, &scenario))
    {
        Ok(end) => {
            tally_in.lock().unwrap().count(end);
            Ok(())
        }
        Err(error) => {
            let (schema, migration) = (scenario.schema(), scenario.migration());
            Err(TestCaseError::fail(format!("{error:#}\n--- schema\n{schema}\n--- migration\n{migration}")))
        }
    });
    println!("{tally:?}");
    if let Err(failure) = verdict {
        panic!("seed {seed}: {failure}");
    }
    // A generator that only makes nonsense would prove nothing.
    assert!(u64::from(tally.equal) * 4 >= cases, "only {tally:?} of {cases}");
}

/// How scenarios ended.
#[derive(Debug, Default)]
struct Tally {
    equal: u32,
    refused: u32,
    stopped: u32,
}

impl Tally {
    fn count(&mut self, end: End) {
        match end {
            End::Equal => self.equal += 1,
            End::Refused => self.refused += 1,
            End::Stopped => self.stopped += 1,
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum End {
    Equal,
    Refused,
    Stopped,
}

async fn check(world: &World, scenario: &Scenario) -> Result<End> {
    let start = world.database(&scenario.schema()).await.context("the generated schema is wrong")?;
    let end = judge(&start, scenario).await;
    start.remove().await?;
    end
}

async fn judge(start: &Database<'_>, scenario: &Scenario) -> Result<End> {
    let file = MigrationFile { name: "0001_random".to_owned(), text: scenario.migration() };
    let volatile = scenario.volatile();
    let naive = start.copy().await?;
    let ran = naive.psql(&file.text).await;
    let plan = match drive::plan(&start.url(), &file).await? {
        Ok(plan) => plan,
        Err(Error::Refused { diagnostics, text, .. }) => {
            naive.remove().await?;
            let words = explain::refusal(&diagnostics, &text);
            ensure!(!diagnostics.is_empty(), "refused without a reason");
            let all_will_fail = diagnostics.iter().all(|d| d.code.slug() == "will-fail");
            ensure!(!all_will_fail || ran.is_err(), "it says that it fails, and it does not:\n{words}");
            return Ok(End::Refused);
        }
        Err(error) => bail!("{}", drive::words(&error)),
    };
    let before = compare::picture(start, &volatile).await?;
    let copy = start.copy().await?;
    let end = match ran {
        Ok(_) => {
            let after = compare::picture(&naive, &volatile).await?;
            let boundary = 1 + scenario.pick % plan.steps.len().max(1);
            if boundary <= plan.steps.len() {
                back(start, &plan, &file, boundary, &before, &volatile).await?;
            }
            forward(&copy, &file, &after, &volatile).await?;
            End::Equal
        }
        Err(error) => {
            stops(&copy, &file, &before, &volatile).await.with_context(|| format!("naive: {error:#}"))?;
            End::Stopped
        }
    };
    naive.remove().await?;
    copy.remove().await?;
    Ok(end)
}

async fn forward(
    copy: &Database<'_>,
    file: &MigrationFile,
    after: &Picture,
    volatile: &[String],
) -> Result<()> {
    for command in [Command::Expand, Command::Contract] {
        let run = drive::run(&copy.url(), command, file, usize::MAX).await?;
        run.stopped_or_done().with_context(|| format!("{command:?}"))?;
    }
    compare::picture(copy, volatile).await?.same_as(after, ColumnOrder::Same)
}

/// Undo at one boundary.
async fn back(
    start: &Database<'_>,
    plan: &concertina_plan::plan::Plan,
    file: &MigrationFile,
    boundary: usize,
    before: &Picture,
    volatile: &[String],
) -> Result<()> {
    use concertina_plan::plan::Undo;
    let done = &plan.steps[..boundary];
    let exact = |undo: &Undo| matches!(undo, Undo::Nothing | Undo::Steps { loses: None, .. });
    if !done.iter().all(|step| exact(&step.undo)) {
        return Ok(());
    }
    let copy = start.copy().await?;
    drive::to_boundary(&copy.url(), plan, file, boundary).await?;
    let undo = drive::run(&copy.url(), Command::Undo, file, usize::MAX).await?;
    undo.stopped_or_done().with_context(|| format!("undo after step {boundary}"))?;
    let order = if done.iter().any(|step| step.destroys) { ColumnOrder::Differs } else { ColumnOrder::Same };
    let now = compare::picture(&copy, volatile).await?;
    now.same_as(before, order).with_context(|| format!("undo after step {boundary}"))?;
    copy.remove().await
}

/// What the naive run cannot do does not end well here either, and leaves what was there.
async fn stops(
    copy: &Database<'_>,
    file: &MigrationFile,
    before: &Picture,
    volatile: &[String],
) -> Result<()> {
    let expand = drive::run(&copy.url(), Command::Expand, file, usize::MAX).await?;
    if expand.outcome.is_ok() {
        let contract = drive::run(&copy.url(), Command::Contract, file, usize::MAX).await?;
        ensure!(contract.outcome.is_err(), "the naive run fails, and the plan runs");
    }
    let undo = drive::run(&copy.url(), Command::Undo, file, usize::MAX).await?;
    if let Err(Error::CannotUndo { .. }) = undo.outcome {
        return Ok(());
    }
    undo.stopped_or_done().context("undo")?;
    compare::picture(copy, volatile).await?.same_as(before, ColumnOrder::Differs)
}
