//! Undo from every phase while the clients of that phase write: old code from before expand on, new code from its end to the undo.

use std::time::Duration;

use anyhow::{Context, Result};
use concertina_proof::drive::{self, Command};
use concertina_proof::oracle::Boundaries;

use crate::scene::{Scene, stop};
use crate::writer::Names;
use crate::{By, run};

/// How long the clients of one boundary write.
const WHILE: Duration = Duration::from_millis(400);

#[test]
fn back_from_every_boundary() {
    run(|| async move {
        let Some(scene) = Scene::open(By::Themselves).await? else { return Ok(()) };
        let plan = scene.plan().await?;
        let (early, steps) = (drive::of_expand(&plan), plan.steps.len());
        let mut boundaries = Boundaries::from_environment().of(early, "two clients, before contract");
        let late = Boundaries::from_environment().of(steps - early, "two clients, at contract");
        boundaries.extend(late.into_iter().map(|step| step + early));
        for boundary in boundaries {
            back_from(boundary).await.with_context(|| format!("undo after step {boundary} of {steps}"))?;
        }
        Ok(())
    });
}

async fn back_from(boundary: usize) -> Result<()> {
    let Some(scene) = Scene::open(By::Themselves).await? else { return Ok(()) };
    let (plan, url) = (scene.plan().await?, scene.deploy());
    let early = drive::of_expand(&plan);
    let mut old = scene.start(4, 0, Names::OLD);
    drive::to_boundary(&url, &plan, &scene.file, boundary.min(early)).await?;
    let mut done = Vec::new();
    if boundary >= early {
        let new = scene.start(4, 100, Names::NEW);
        let both = scene.start(2, 200, Names::BOTH);
        tokio::time::sleep(WHILE).await;
        done.extend(stop(both).await?);
        if boundary > early {
            done.extend(stop(old).await?);
            let contract = drive::run(&url, Command::Contract, &scene.file, boundary - early).await?;
            contract.stopped_or_done()?;
            tokio::time::sleep(WHILE).await;
            old = Vec::new();
        }
        done.extend(stop(new).await?);
    }
    tokio::time::sleep(WHILE).await;
    scene.command(Command::Undo).await?;
    old.extend(scene.start(2, 50, Names::OLD));
    tokio::time::sleep(WHILE).await;
    done.extend(stop(old).await?);
    scene.judge(&done, &Names::OLD).await
}
