//! Kills the runner with SIGKILL, again and again, while clients write; every migration must still come to the naive result.

mod clients;
mod hunter;
mod subject;
pub(crate) mod victim;

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use concertina_lab::{Installation, Options};
use concertina_proof::compare;
use concertina_proof::drive;
use concertina_proof::world::{Database, World};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::time::sleep;

use hunter::Hunter;
use subject::{SUBJECTS, Subject};

/// How many, and of what.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Kills altogether, at least a tenth of them in each sort of long step
    #[arg(long, default_value_t = 200)]
    kills: u64,
    /// Repeats the choice of moments (their effect still depends on the machine)
    #[arg(long)]
    seed: Option<u64>,
    /// Rows of the table; by default a million, and a twentieth of that for fewer than 100 kills
    #[arg(long)]
    rows: Option<i64>,
    /// Client operations a second
    #[arg(long, default_value_t = 150.0)]
    rate: f64,
}

/// The sorts of steps that kills are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sort {
    /// CREATE INDEX CONCURRENTLY.
    IndexBuild,
    /// VALIDATE CONSTRAINT and proofs.
    Validation,
    /// Batches.
    Backfill,
    /// A transaction of short statements, and DROP INDEX CONCURRENTLY.
    Short,
    /// Before, between and after steps.
    Between,
}

impl Sort {
    /// Those that must get their share of the kills.
    const LONG: [Self; 3] = [Self::IndexBuild, Self::Validation, Self::Backfill];
}

impl fmt::Display for Sort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::IndexBuild => "index build",
            Self::Validation => "validation",
            Self::Backfill => "backfill",
            Self::Short => "short transaction",
            Self::Between => "between steps",
        })
    }
}

/// Clients run at least this long beside each command.
const CLIENTS_RUN: Duration = Duration::from_millis(500);

/// Runs it.
pub(crate) async fn run(args: &Args) -> Result<()> {
    let seed = args.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let thorough = args.kills >= 100;
    let rows = args.rows.unwrap_or(if thorough { 1_000_000 } else { 50_000 });
    let migrations = if thorough { 10 } else { SUBJECTS.len() };
    let installation = Installation::find()?;
    println!("seed {seed}: {} kills, {rows} rows, PostgreSQL {}", args.kills, installation.version);

    let options = Options::new().set("max_wal_size", "4GB").set("shared_buffers", "512MB");
    let world = World::with(&installation, options).await?;
    let template = world.database(&subject::schema(rows)).await?;
    let small = world.database(&subject::schema(100)).await?;
    let begun = Instant::now();
    let mut rng = StdRng::seed_from_u64(seed);
    let mut kills: BTreeMap<Sort, u64> = BTreeMap::new();
    let mut completed = 0;
    let enough = |kills: &BTreeMap<Sort, u64>, completed: usize| {
        let share = args.kills / 10;
        completed >= migrations
            && kills.values().sum::<u64>() >= args.kills
            && Sort::LONG.iter().all(|sort| kills.get(sort).copied().unwrap_or_default() >= share)
    };
    while !enough(&kills, completed) {
        let subject = &SUBJECTS[completed % SUBJECTS.len()];
        let budget = args.kills.div_ceil(migrations as u64);
        let hunter = Hunter::new(&mut rng, budget, &kills);
        let made = one(&world, &template, &small, subject, rows, args.rate, hunter)
            .await
            .with_context(|| format!("seed {seed}, migration {} ({})", completed + 1, subject.name))?;
        completed += 1;
        let here: u64 = made.values().sum();
        for (sort, count) in made {
            *kills.entry(sort).or_default() += count;
        }
        println!(
            "{completed:3}. {:12} {here:3} kills, resumed to the naive result; {} kills in all, {} s",
            subject.name,
            kills.values().sum::<u64>(),
            begun.elapsed().as_secs()
        );
        ensure!(completed < migrations * 20, "too few kills hit: {kills:?}");
    }
    println!("\nseed {seed}: {completed} migrations completed, {} s", begun.elapsed().as_secs());
    for (sort, count) in &kills {
        println!("{sort:20} {count:5} kills");
    }
    println!("{:20} {:5} kills, every one resumed to the naive result", "all", kills.values().sum::<u64>());
    Ok(())
}

/// One migration from the template to the end.
async fn one(
    world: &World,
    template: &Database<'_>,
    small: &Database<'_>,
    subject: &Subject,
    rows: i64,
    rate: f64,
    mut hunter: Hunter<'_>,
) -> Result<BTreeMap<Sort, u64>> {
    let naive = small.copy().await?;
    naive.psql(subject.sql).await.context("the naive run")?;
    let expected = compare::dump(&naive).await?;
    drive::looking(&naive.url()).await?.init().await?;
    let ledger = compare::ours(&naive.connect().await?).await?;
    naive.remove().await?;

    let database = template.copy().await?;
    let file = subject.file();
    let plan = drive::plan(&database.url(), &file).await?.map_err(|e| anyhow::anyhow!(drive::words(&e)))?;
    let book = clients::Book::new(rows);
    for command in ["expand", "contract"] {
        let traffic = clients::start(&database.url(), subject, command == "contract", &book, rate).await?;
        let hunted = hunter.hunt(&database.url(), &file, &plan, command).await;
        // A command on a small table may be through before the clients have done anything worth counting.
        sleep(CLIENTS_RUN.saturating_sub(traffic.elapsed())).await;
        let report = traffic.stop().await;
        hunted.with_context(|| command.to_owned())?;
        ensure!(report.failed == 0, "clients got errors during {command}: {:?}", report.failures.first());
        ensure!(report.unanswered() == 0, "clients got no answer during {command}");
    }
    let client = database.connect().await?;
    book.check(&client).await?;
    for query in subject.holds {
        let wrong = compare::query(&client, query).await?;
        ensure!(wrong.is_empty(), "{query} returns {} rows, such as {:?}", wrong.len(), wrong[0]);
    }
    let now = compare::dump(&database).await?;
    ensure!(
        now == expected,
        "the schema differs (- naive, + ours):\n{}",
        compare::difference(&expected, &now)
    );
    let mut left = compare::ours(&client).await?;
    left.retain(|object| !ledger.contains(object) && !object.starts_with("relation concertina_archive."));
    ensure!(left.is_empty(), "left behind: {left:?}");
    drop(client);
    database.remove().await?;
    let _ = world;
    Ok(hunter.kills())
}
