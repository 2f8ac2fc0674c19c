//! The tool dies by SIGKILL while both sorts of writers go on, is started again and dies again, until each command has come to its end.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use concertina_proof::oracle::{Boundaries, kill};

use crate::scene::{Scene, stop};
use crate::writer::Names;
use crate::{By, run};

/// Writers rest in between, because this takes long, and dying is the tool's.
const REST: Duration = Duration::from_millis(3);

#[test]
fn killed_again_and_again_on_the_way_to_the_end() {
    run(|| async move {
        let Some(scene) = Scene::open(By::Themselves).await? else { return Ok(()) };
        let old = scene.start_slow(3, 0, Names::OLD, REST);
        dies_on_the_way(&scene, "expand").await?;
        let new = scene.start_slow(3, 100, Names::NEW, REST);
        let both = scene.start_slow(2, 200, Names::BOTH, REST);
        tokio::time::sleep(Duration::from_millis(500)).await;
        let mut done = stop(old).await?;
        done.extend(stop(both).await?);
        dies_on_the_way(&scene, "contract").await?;
        done.extend(stop(new).await?);
        scene.judge(&done, &Names::NEW).await
    });
}

#[test]
fn killed_again_and_again_on_the_way_back() {
    run(|| async move {
        let Some(scene) = Scene::open(By::Themselves).await? else { return Ok(()) };
        let old = scene.start_slow(3, 0, Names::OLD, REST);
        scene.command(concertina_proof::drive::Command::Expand).await?;
        let new = scene.start_slow(3, 100, Names::NEW, REST);
        let both = scene.start_slow(2, 200, Names::BOTH, REST);
        tokio::time::sleep(Duration::from_millis(500)).await;
        let mut done = stop(new).await?;
        done.extend(stop(both).await?);
        dies_on_the_way(&scene, "undo").await?;
        done.extend(stop(old).await?);
        scene.judge(&done, &Names::OLD).await
    });
}

/// Runs the command until it ends by itself. With all boundaries each run dies one place further than the one before, and at the
/// first place again once a step is done: so every place of every step is met. Otherwise the places are spread.
async fn dies_on_the_way(scene: &Scene, command: &str) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let client = scene.database.connect().await?;
    let (mut place, mut deaths, mut before) = (0, 0, String::new());
    loop {
        place += match Boundaries::from_environment() {
            Boundaries::All => 1,
            Boundaries::Some(_) => 7,
        };
        let died = kill::dies(&scene.deploy(), directory.path(), &scene.file, command, place)
            .await
            .with_context(|| format!("{command}, killed {deaths} times before"))?;
        if !died {
            break;
        }
        deaths += 1;
        ensure!(deaths < 2000, "{command} never ends");
        let done = steps_done(&client).await?;
        if done != before {
            (place, before) = (0, done);
        }
    }
    println!("{command} was killed {deaths} times");
    ensure!(deaths > 3, "{command} was killed {deaths} times only");
    Ok(())
}

/// Which steps are done, forward or back; nothing before there is a ledger.
async fn steps_done(client: &tokio_postgres::Client) -> Result<String> {
    let there = client.query_one("SELECT to_regclass('concertina.step') IS NOT NULL", &[]).await?;
    if !there.get::<_, bool>(0) {
        return Ok(String::new());
    }
    let sql = "SELECT coalesce(string_agg(s.*::text, ' ' ORDER BY s.*::text) FILTER (WHERE s.state = 'done'), '') \
               FROM (SELECT direction, ordinal, sub, state FROM concertina.step) AS s";
    Ok(client.query_one(sql, &[]).await?.get(0))
}
