//! Old and new code through a renaming, each writing in every way there is, each keeping its own ledger of what the server
//! acknowledged. At the end every row is what its last acknowledged write says, and nobody met an error.
//!
//! A writer owns its rows, so its ledger says what they hold. What writers do to the same rows (upserts on either unique key from
//! many connections, updates of many rows in random order) is counted instead: every acknowledged write adds one.

mod killed;
mod scene;
mod undone;
mod upserts;
mod writer;

use std::time::Duration;

use anyhow::Result;
use concertina_proof::drive::Command;
use scene::{Scene, stop};
use tokio::runtime::Runtime;
use writer::Names;

/// How long writers of both sorts run beside each other.
const TOGETHER: Duration = Duration::from_secs(3);

/// How the writers come to the server; the migration itself always goes there directly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// Each on a connection of its own.
    Themselves,
    /// Through a pgbouncer that gives them a connection a transaction, fewer than there are writers.
    Pooler,
}

#[test]
fn through_contract() {
    run(|| forward(By::Themselves));
}

#[test]
fn through_contract_by_a_pooler() {
    run(|| forward(By::Pooler));
}

#[test]
fn back_from_expand() {
    run(|| back(By::Themselves));
}

#[test]
fn back_from_expand_by_a_pooler() {
    run(|| back(By::Pooler));
}

async fn forward(by: By) -> Result<()> {
    let Some(scene) = Scene::open(by).await? else { return Ok(()) };
    let old = scene.start(5, 0, Names::OLD);
    scene.command(Command::Expand).await?;
    let new = scene.start(5, 100, Names::NEW);
    let both = scene.start(2, 200, Names::BOTH);
    tokio::time::sleep(TOGETHER).await;
    let mut done = stop(old).await?;
    done.extend(stop(both).await?);
    scene.command(Command::Contract).await?;
    done.extend(stop(new).await?);
    scene.judge(&done, &Names::NEW).await
}

async fn back(by: By) -> Result<()> {
    let Some(scene) = Scene::open(by).await? else { return Ok(()) };
    let old = scene.start(4, 0, Names::OLD);
    scene.command(Command::Expand).await?;
    let new = scene.start(4, 100, Names::NEW);
    let both = scene.start(2, 200, Names::BOTH);
    tokio::time::sleep(TOGETHER).await;
    let mut done = stop(new).await?;
    done.extend(stop(both).await?);
    scene.command(Command::Undo).await?;
    done.extend(stop(old).await?);
    scene.judge(&done, &Names::OLD).await
}

fn run<F: Future<Output = Result<()>>>(test: impl FnOnce() -> F) {
    let runtime = Runtime::new().expect("a runtime");
    if let Err(error) = runtime.block_on(test()) {
        panic!("{error:?}");
    }
}
