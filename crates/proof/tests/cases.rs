//! One test a folder of `tests/cases`, on a server that they share; see `concertina_proof::oracle`.
//!
//! `UPDATE=1` writes the plans' golden files, `CONCERTINA_BOUNDARIES=all` visits every boundary, `CONCERTINA_PG_BIN`
//! chooses the server.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use concertina_lab::Installation;
use concertina_proof::case::Case;
use concertina_proof::oracle::{self, Boundaries};
use concertina_proof::world::World;
use libtest_mimic::{Arguments, Trial};
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

fn main() -> Result<ExitCode> {
    let arguments = Arguments::from_args();
    let runtime = Arc::new(Runtime::new().context("starting tokio")?);
    let world: Arc<OnceCell<World>> = Arc::default();
    let major = Installation::find().map(|installation| installation.major).unwrap_or_default();
    let trials = Case::all(&Case::root())?
        .into_iter()
        .map(|case| {
            let (runtime, world, ignored) = (runtime.clone(), world.clone(), !case.runs_on(major));
            Trial::test(case.name.clone(), move || {
                runtime.block_on(run(&world, &case)).map_err(|error| format!("{error:#}").into())
            })
            .with_ignored_flag(ignored)
        })
        .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    // The server stops when the last one who knows it is gone.
    drop(world);
    Ok(conclusion.exit_code())
}

async fn run(world: &OnceCell<World>, case: &Case) -> Result<()> {
    let world = world.get_or_try_init(World::start).await?;
    let start = world.database(&case.schema).await?;
    let verdict = oracle::judge(case, &start, Boundaries::from_environment()).await;
    start.remove().await?;
    verdict
}
